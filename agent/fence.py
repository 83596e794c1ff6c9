"""No write leaves the registers of storage control: protection, trip and ride-through belong to the inverter alone.

Two fences, and an order must be inside both: the profile's own list (`Binding.writable`), and, for whatever lies in a
SunSpec model, the table below. Neither looks at how the order was made.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.binding import Binding
from drivers.events import WriteSequence

STORAGE: Mapping[int, frozenset[int]] = {  # model -> offsets from its ID register, by the SunSpec model definitions
    124: frozenset((5, 7, 12, 13, 15)),  # StorCtl_Mod, MinRsvPct, OutWRte, InWRte, InOutWRte_RvrtTms
    704: frozenset(range(22, 33)),  # WSetEna to WSetRvrtTms: the active power setpoint and its reversion
    715: frozenset((5, 6)),  # ControllerHb
}
MOST_WORDS = 123  # of one write (Modbus application protocol 6.12)
FUNCTIONS = (6, 16)  # write one, write several registers


def outside(order: WriteSequence, binding: Binding) -> str | None:
    """What of the order may not be written, as the end of a sentence; None = nothing."""
    for write in order.writes:
        if write.function not in FUNCTIONS or not 1 <= len(write.words) <= MOST_WORDS:
            return f"function {write.function} with {len(write.words)} registers is no write of ours"
        if write.function == 6 and len(write.words) != 1:
            return "function 6 writes one register only"
        if write.unit == binding.unit:
            return f"unit {write.unit} is the device's own, called by another name"
        for address in range(write.address, write.address + len(write.words)):
            if (write.unit, address) not in binding.writable:
                return f"register {address} is not one that its profile writes"
            model = _model(binding, address)  # of any unit: a device may answer for more than one number
            if model is not None and address - model[1] not in STORAGE.get(model[0], ()):
                return f"register {address} is in SunSpec model {model[0]} and none of its storage control points"
    return None


def _model(binding: Binding, address: int) -> tuple[int, int, int] | None:
    """The model of the device's chain that the register lies in: (id, address of its ID register, L)."""
    return next((model for model in binding.chain if model[1] <= address < model[1] + model[2] + 2), None)
