"""What we use of pymodbus, imported without asyncio and without what a server needs.

pymodbus' PDU modules import asyncio and the data store of a server for annotations that Python never evaluates. The
daemon has neither: the stand-ins save it 3 MB and a tenth of its start.
"""

from __future__ import annotations

from drivers.stand_in import stand_in

with stand_in("asyncio"), stand_in("pymodbus.datastore", ModbusServerContext=None):
    from pymodbus.framer.rtu import FramerRTU
    from pymodbus.framer.socket import FramerSocket
    from pymodbus.pdu import DecodePDU
    from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
    from pymodbus.pdu.register_message import (
        ReadHoldingRegistersRequest,
        ReadInputRegistersRequest,
        WriteMultipleRegistersRequest,
        WriteSingleRegisterRequest,
    )

__all__ = [
    "DecodePDU",
    "FramerRTU",
    "FramerSocket",
    "ReadCoilsRequest",
    "ReadDiscreteInputsRequest",
    "ReadHoldingRegistersRequest",
    "ReadInputRegistersRequest",
    "WriteMultipleRegistersRequest",
    "WriteSingleRegisterRequest",
]
