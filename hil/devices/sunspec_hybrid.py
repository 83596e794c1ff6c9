"""A SunSpec hybrid inverter as a Modbus slave: chain 1, 103, 120, 122, 124, 160 from register 40000, holding registers.

Model layouts transcribed by hand from the SunSpec model definitions; offsets count from the ID register. Model 160 has
four modules as a Fronius GEN24 has: two PV strings, battery charge, battery discharge. Model 124 acts as
`hil.plant.inverter` says; any write to its control block restarts the reversion timer.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from hil.devices.slave import DEVICE_FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE, Image, Slave, Written
from hil.devices.sunspec_common import Common
from hil.plant.home import Home

BASE = 40_000
M1 = BASE + 2
M103 = M1 + 68
M120 = M103 + 52
M122 = M120 + 28
M124 = M122 + 46
M160 = M124 + 26
END = M160 + 10 + 4 * 20
LENGTH = END + 2 - BASE

STOR_CTL_MOD, MIN_RSV_PCT, OUT_W_RTE, IN_W_RTE = M124 + 5, M124 + 7, M124 + 12, M124 + 13
WIN_TMS, RVRT_TMS, RMP_TMS, CHA_GRI_SET = M124 + 14, M124 + 15, M124 + 16, M124 + 17

NOT_U16, NOT_I16 = 0xFFFF, -0x8000
RATE_SF = 10_000  # share 1.0 = 100.00 %


def _i16(value: float) -> int:
    return max(-32_767, min(32_767, round(value)))


def _u16(value: float) -> int:
    return max(0, min(65_534, round(value)))


class Hybrid:
    """Encoders of the models and the meaning of writes."""

    def __init__(self, home: Home, maker: str, model: str, serial: str, unit: int, number: int = 0) -> None:
        self.home = home
        self.inverter = home.inverters[number]
        self._roof = number == 0
        self.identity = Common(maker, model, "1.0.0", serial, unit)

    @property
    def _pv_w(self) -> float:
        """The roof hangs on the first inverter."""
        return self.home.pv_w if self._roof else 0.0

    def common(self, data: bytearray) -> None:
        """SunS, model 1, and the end of the chain."""
        self.identity.write(data, END - BASE)

    def inverter_model(self, data: bytearray) -> None:
        """Model 103: AC side. W + = toward the house bus."""
        home = self.home
        volts, hertz = home.output_v_hz()
        watts = self._pv_w + self.inverter.battery_w
        amps = abs(watts) / volts / 3.0 if volts else 0.0
        energy = int(home.discharged_wh + home.pv_wh) & 0x7FFF_FFFF
        state = 4 if abs(watts) > 1.0 else 8
        phase, line, one = _u16(volts * 10), _u16(volts * 17.3205), _u16(amps * 100)
        struct.pack_into(
            ">6Hh6Hh hh Hh hh hh hh Ih Hh Hh hh 4hh HH 6I",
            data,
            2 * (M103 - BASE),
            103, 50, _u16(amps * 300), one, one, one, -2,
            line, line, line, phase, phase, phase, -1,
            _i16(watts), 0, _u16(hertz * 100), -2, _i16(abs(watts)), 0, 0, 0, 1000, -1,
            energy, 0, NOT_U16, -2, _u16(home.battery.pack_v * 10), -1, _i16(watts), 0,
            350, 380, NOT_I16, NOT_I16, -1, state, state, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def ratings(self, data: bytearray) -> None:
        """Model 120: nameplate."""
        rated = _u16(self.inverter.params.rated_w)
        capacity_ah = self.home.params.pack.capacity_ah
        struct.pack_into(
            ">HH H Hh Hh 4hh Hh 4hh Hh Hh Hh Hh H",
            data,
            2 * (M120 - BASE),
            120, 26, 82, rated, 0, rated, 0, NOT_I16, NOT_I16, NOT_I16, NOT_I16, 0, _u16(rated / 690 * 10), -1,
            NOT_I16, NOT_I16, NOT_I16, NOT_I16, -2, _u16(capacity_ah * 51.2 / 10), 1, _u16(capacity_ah), 0,
            rated, 0, rated, 0, 0x8000,
        )  # fmt: skip

    def status(self, data: bytearray) -> None:
        """Model 122: PVConn, StorConn, ECPConn (bit 0 = connected to the grid) and a clock."""
        home = self.home
        offset = 2 * (M122 - BASE)
        connected = 0 if self.inverter.islanded else 1
        data[offset : offset + 92] = bytes(92)
        struct.pack_into(">5H", data, offset, 122, 44, 7 if self._pv_w else 3, 7, connected)
        struct.pack_into(">Q", data, offset + 10, int(home.discharged_wh + home.pv_wh))
        struct.pack_into(">hhHh", data, offset + 58, NOT_I16, NOT_I16, NOT_U16, NOT_I16)
        active = 1 if self.inverter.mode else 0
        struct.pack_into(">II", data, offset + 66, 0, active)
        struct.pack_into(">8sI", data, offset + 74, b"RTC\0\0\0\0\0", home.now_ns // 1_000_000_000 & 0x7FFF_FFFF)
        struct.pack_into(">HHh", data, offset + 86, 0, NOT_U16, NOT_I16)

    def storage(self, data: bytearray) -> None:
        """Model 124: what was written is what is read; ChaState is the BMS' SoC."""
        inverter, home = self.inverter, self.home
        watts, soc = inverter.battery_w, home.bank.soc
        state = 3 if watts > 20.0 else 4 if watts < -20.0 else 2 if soc <= 0.01 else 5 if soc >= 0.995 else 6
        struct.pack_into(
            ">HH 6H H H H H hh 3H H 8h",
            data,
            2 * (M124 - BASE),
            124, 24, _u16(inverter.params.rated_w), 100, 100, inverter.mode, NOT_U16, _u16(inverter.floor_pct * 100),
            _u16(soc * 10_000), NOT_U16, _u16(home.battery.pack_v * 10), state,
            _i16(inverter.out_share * RATE_SF), _i16(inverter.in_share * RATE_SF),
            0, _u16(inverter.revert_s), 0, 1 if inverter.grid_charging else 0,
            0, 0, NOT_I16, -2, -2, NOT_I16, -1, -2,
        )  # fmt: skip

    def modules(self, data: bytearray) -> None:
        """Model 160: strings 1 and 2, battery charge, battery discharge; DC watts with eta = 1."""
        home, offset = self.home, 2 * (M160 - BASE)
        watts, pv = self.inverter.battery_w, self._pv_w
        clock = home.now_ns // 1_000_000_000 & 0x7FFF_FFFF
        struct.pack_into(">HH 4h I HH", data, offset, 160, 88, -2, -1, 0, 0, 0, 4, NOT_U16)
        volts = home.battery.pack_v
        rows = (
            (b"String 1", pv * 0.55, 380.0, home.pv_wh * 0.55),
            (b"String 2", pv * 0.45, 360.0, home.pv_wh * 0.45),
            (b"StCha 3", -watts if watts < 0.0 else 0.0, volts, home.charged_wh),
            (b"StDisCha 4", watts if watts > 0.0 else 0.0, volts, home.discharged_wh),
        )
        for i, (name, dc_w, dc_v, energy_wh) in enumerate(rows):
            amps = dc_w / dc_v
            struct.pack_into(
                ">H16sHHHIIhHI",
                data,
                offset + 20 + 40 * i,
                i + 1, name, _u16(amps * 100), _u16(dc_v * 10), _u16(dc_w),
                int(energy_wh) & 0x7FFF_FFFF, clock, 35, 4 if dc_w > 1.0 else 8, 0,
            )  # fmt: skip

    def write(self, address: int, words: tuple[int, ...], now_ns: int) -> Written:
        """Only model 124's control points can be written; a write that touches anything else is refused whole."""
        fields: dict[int, int] = {address + i: word for i, word in enumerate(words)}
        writable = {STOR_CTL_MOD, MIN_RSV_PCT, OUT_W_RTE, IN_W_RTE, WIN_TMS, RVRT_TMS, RMP_TMS, CHA_GRI_SET}
        if not fields.keys() <= writable:
            return Written(ILLEGAL_ADDRESS)
        if self.inverter.booting:
            return Written(DEVICE_FAILURE)
        mode, floor, source = fields.get(STOR_CTL_MOD), fields.get(MIN_RSV_PCT), fields.get(CHA_GRI_SET)
        rates = [_signed(fields[a]) / RATE_SF if a in fields else None for a in (OUT_W_RTE, IN_W_RTE)]
        if (
            (mode is not None and mode > 3)
            or (floor is not None and floor > 10_000)
            or (source is not None and source > 1)
            or any(rate is not None and abs(rate) > 1.0 for rate in rates)
        ):
            return Written(ILLEGAL_VALUE)
        if floor is not None:
            self.inverter.set_floor(floor / 100.0)
        if source is not None:
            self.inverter.grid_charging = source == 1
        if fields.keys() & {STOR_CTL_MOD, OUT_W_RTE, IN_W_RTE, WIN_TMS, RVRT_TMS, RMP_TMS}:
            self.inverter.command(now_ns, mode, rates[0], rates[1], fields.get(RVRT_TMS))
        return self._meaning(mode, rates, floor, fields.keys())

    def _meaning(
        self, mode: int | None, rates: list[float | None], floor: int | None, touched: Collection[int]
    ) -> Written:
        """What an accepted write was for: "power" sets or holds one, "clear" ends remote control, "floor", "other"."""
        given = [rate for rate in rates if rate is not None]
        share = rates[0] if rates[0] is not None else self.inverter.out_share
        watts = round(share * self.inverter.params.rated_w)
        if mode or any(rate < 1.0 for rate in given):
            return Written(0, "power", watts)
        if mode == 0 or given:
            return Written(0, "clear")
        if floor is not None:
            return Written(0, "floor", floor // 10)
        if self.inverter.mode and CHA_GRI_SET not in touched:
            return Written(0, "power", watts)  # it renews the lease of the power that is set
        return Written(0, "other")


def _signed(word: int) -> int:
    return word - 0x1_0000 if word & 0x8000 else word


def sunspec_hybrid(
    home: Home,
    unit: int = 3,
    maker: str = "Hearth",
    model: str = "Hybrid 11.4",
    serial: str = "SIM-INV-0001",
    number: int = 0,
) -> Slave:
    """The home's inverter number `number` at `unit`."""
    hybrid = Hybrid(home, maker, model, serial, unit, number)
    image = Image(
        BASE,
        LENGTH,
        [
            (BASE, 70, hybrid.common),
            (M103, 52, hybrid.inverter_model),
            (M120, 28, hybrid.ratings),
            (M122, 46, hybrid.status),
            (M124, 26, hybrid.storage),
            (M160, 90, hybrid.modules),
            (END, 2, hybrid.common),
        ],
    )
    return Slave(unit, home, {3: [image]}, 125, hybrid.write, silent=lambda: hybrid.inverter.booting)
