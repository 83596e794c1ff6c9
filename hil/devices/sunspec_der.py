"""The second variant of the SunSpec inverter: chain 1, 701, 702, 704, 714, 713, 715 from register 40000.

Model layouts transcribed by hand from the SunSpec model definitions; offsets count from the ID register. WSet is watts
(or percent of WMax) at the inverter's AC terminals, + = injecting; after WSetRvrtTms without a write of the set-point
group, WSetEna falls to WSetEnaRvrt, which this device accepts as 0 only. No on-grid floor register, no model 124. The
heartbeat of 715 is taken and shown, its absence is not punished.
"""

from __future__ import annotations

import struct

from hil.devices.slave import DEVICE_FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE, Image, Slave, Written
from hil.devices.sunspec_common import Common, text
from hil.plant.home import Home
from hil.plant.inverter import NEVER

BASE = 40_000
M1 = BASE + 2
M701 = M1 + 68
M702 = M701 + 155
M704 = M702 + 52
M714 = M704 + 67
M713 = M714 + 20 + 3 * 25
M715 = M713 + 9
END = M715 + 9
LENGTH = END + 2 - BASE

W_SET_ENA, W_SET_RVRT_TMS_LOW = M704 + 22, M704 + 32
CONTROLLER_HB = M715 + 5
NOT_U16, NOT_I16, NOT_U32, NOT_U64 = 0xFFFF, -0x8000, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
PV_PORT, STORAGE_PORT = 0, 1


class Der:
    """Encoders of the models and the meaning of writes."""

    def __init__(self, home: Home, maker: str, model: str, serial: str, unit: int) -> None:
        self.home = home
        self.inverter = home.inverter
        self.inverter.point = "ac"
        self.identity = Common(maker, model, "2.1", serial, unit)
        self.controller_hb = 0
        self._mode_percent = False
        self._permille = 0  # WSetPct as written; it counts in its own mode only

    def common(self, data: bytearray) -> None:
        """SunS, model 1, and the end of the chain."""
        self.identity.write(data, END - BASE)

    def measure(self, data: bytearray) -> None:
        """Model 701; only totals and phase 1 of the AC side are implemented."""
        home, offset = self.home, 2 * (M701 - BASE)
        volts, hertz = home.output_v_hz()
        watts = round(home.pv_w + self.inverter.battery_w)
        amps = abs(watts) / volts / 3 if volts else 0.0
        state = 3 if abs(watts) > 1 else 7
        connected = 0 if self.inverter.islanded else 1
        head = struct.pack(
            ">HH HHHH II hhhhh HH I QQQQ 6h",
            701, 153, 2, 1, state, connected, 0, 0, watts, abs(watts), 0, 1000, round(amps * 30),
            round(volts * 17.3205), round(volts * 10), round(hertz * 1000), int(home.discharged_wh + home.pv_wh),
            int(home.charged_wh), NOT_U64, NOT_U64, 300, 350, NOT_I16, NOT_I16, NOT_I16, NOT_I16,
        )  # fmt: skip
        phase = struct.pack(">5h HH 4Q", *[NOT_I16] * 5, NOT_U16, NOT_U16, *[NOT_U64] * 4)
        tail = struct.pack(">HI 10h", NOT_U16, 0, -1, -1, -3, 0, -3, 0, 0, 0, NOT_I16, -1) + bytes(64)
        data[offset : offset + 310] = head + 3 * phase + tail

    def capacity(self, data: bytearray) -> None:
        """Model 702, in tens of watts."""
        rated = round(self.inverter.params.rated_w / 10)
        ratings = [rated, NOT_U16, NOT_U16, NOT_U16, NOT_U16, rated, NOT_U16, NOT_U16, rated, rated, rated, rated]
        rest = [2300, 2530, 2070, 500, NOT_U16, NOT_U16, NOT_U16, 1, 2]
        settings = [rated, *[NOT_U16] * 4, rated, NOT_U16, NOT_U16, rated, rated, rated, rated, 2300, 2530, 2070, 500]
        words = [702, 50, *ratings, *rest, 0, 0x0001, 0, *settings, NOT_U16, NOT_U16, 0]
        factors = [1, -3, 1, 1, -1, -1, NOT_I16]
        struct.pack_into(f">{len(words)}H7h", data, 2 * (M702 - BASE), *words, *factors)

    def control(self, data: bytearray) -> None:
        """Model 704: only the set-point group is implemented."""
        inverter, offset = self.inverter, 2 * (M704 - BASE)
        watts = round(inverter.out_share * inverter.params.rated_w)
        left_s = (
            0 if inverter.revert_at_ns == NEVER else max(0, -(-(inverter.revert_at_ns - self.home.now_ns) // 10**9))
        )
        data[offset : offset + 134] = b"\xff" * 134
        struct.pack_into(">HH", data, offset, 704, 65)
        enabled = 1 if inverter.mode else 0
        percent = round(inverter.out_share * 1000) if self._mode_percent else self._permille
        struct.pack_into(
            ">HHiihhHII", data, offset + 44,
            enabled, 0 if self._mode_percent else 1, watts, 0, percent, 0, 0, inverter.revert_s, left_s,
        )  # fmt: skip
        struct.pack_into(">6h", data, offset + 106, -3, -1, 0, -1, NOT_I16, NOT_I16)

    def ports(self, data: bytearray) -> None:
        """Model 714: two strings and the battery (+ = discharge)."""
        home, offset = self.home, 2 * (M714 - BASE)
        watts, pv, volts = self.inverter.battery_w, home.pv_w, home.battery.pack_v
        head = struct.pack(">HHIHhhQQ5h", 714, 93, 0, 3, NOT_I16, round(pv + watts), NOT_U64, NOT_U64, -1, -1, 0, 0, 0)
        rows = (
            (PV_PORT, "String 1", pv * 0.55, 380.0, home.pv_wh * 0.55, 0.0),
            (PV_PORT, "String 2", pv * 0.45, 360.0, home.pv_wh * 0.45, 0.0),
            (STORAGE_PORT, "Battery", watts, volts, home.discharged_wh, home.charged_wh),
        )
        for i, (kind, name, dc_w, dc_v, out_wh, in_wh) in enumerate(rows):
            head += struct.pack(">HH", kind, i + 1) + text(name, 8)
            head += struct.pack(
                ">hHhQQhHI", round(dc_w / dc_v * 10), round(dc_v * 10), round(dc_w), int(out_wh), int(in_wh), 35, 2, 0
            )
        data[offset : offset + len(head)] = head

    def storage(self, data: bytearray) -> None:
        """Model 713: energy in tens of Wh, SoC in tenths of a percent."""
        rated_wh = self.home.params.pack.capacity_ah * self.home.battery.pack_v
        soc = self.home.bms.soc
        words = [713, 7, round(rated_wh / 10), round(rated_wh * soc / 10), round(soc * 1000), NOT_U16, 0]
        struct.pack_into(">7H2h", data, 2 * (M713 - BASE), *words, 1, -1)

    def heartbeat(self, data: bytearray) -> None:
        """Model 715: remote control allowed, its own heartbeat counts seconds."""
        seconds = self.home.now_ns // 1_000_000_000 & 0x7FFF_FFFF
        struct.pack_into(">3HIIHH", data, 2 * (M715 - BASE), 715, 7, 0, seconds, self.controller_hb, 0, NOT_U16)

    def write(self, address: int, words: tuple[int, ...], now_ns: int) -> Written:
        """Only the set-point group of model 704 and the controller's heartbeat of 715 can be written."""
        last = address + len(words) - 1
        if (address, last) == (CONTROLLER_HB, CONTROLLER_HB + 1):
            self.controller_hb = words[0] << 16 | words[1]
            return Written(0)
        if not W_SET_ENA <= address <= last <= W_SET_RVRT_TMS_LOW:
            return Written(ILLEGAL_ADDRESS)
        if self.inverter.booting:
            return Written(DEVICE_FAILURE)
        # Over the group as it is now, so that half of a 32-bit value keeps its other half.
        image = bytearray(2 * LENGTH)
        self.control(image)
        struct.pack_into(f">{len(words)}H", image, 2 * (address - BASE), *words)
        group = struct.unpack_from(">HHiihhHI", image, 2 * (W_SET_ENA - BASE))
        enabled, kind, watts, _, permille, _, enabled_after, revert_s = group
        rated = self.inverter.params.rated_w
        share = watts / rated if kind == 1 else permille / 1000
        if enabled > 1 or kind > 1 or enabled_after != 0 or abs(share) > 1.0 or revert_s > 86_400:
            return Written(ILLEGAL_VALUE)
        self._mode_percent, self._permille = kind == 0, permille
        self.inverter.command(now_ns, 3 if enabled else 0, share, -share, revert_s)
        if enabled:
            return Written(0, "power", round(share * rated))
        return Written(0, "clear" if address == W_SET_ENA else "other")


def sunspec_der(
    home: Home, unit: int = 3, maker: str = "Hearth", model: str = "DER 11.4", serial: str = "SIM-DER-0001"
) -> Slave:
    """The home's inverter at `unit`."""
    der = Der(home, maker, model, serial, unit)
    parts = [
        (BASE, 70, der.common),
        (M701, 155, der.measure),
        (M702, 52, der.capacity),
        (M704, 67, der.control),
        (M714, 95, der.ports),
        (M713, 9, der.storage),
        (M715, 9, der.heartbeat),
        (END, 2, der.common),
    ]
    return Slave(unit, home, {3: [Image(BASE, LENGTH, parts)]}, 125, der.write, silent=lambda: home.inverter.booting)
