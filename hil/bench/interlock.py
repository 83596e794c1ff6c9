"""The rig's own guard: reads an independent meter and ends the daemon when it sees too much, or sees nothing.

    python -m hil.bench.interlock --port /dev/ttyUSB1 --baud 9600 --unit 2 --limit-w 800 --pid-file /tmp/rig/daemon.pid

A process of its own with a Modbus reader of its own: it must not share a mistake with what it guards. The meter is an
Eastron (SDM120/230/630: total power as a 32-bit float at input register 0x34, or 0x0C for `--single`). Each reading is
one JSON line on stdout; a trip is {"trip": reason}, after SIGTERM to the daemon, and SIGKILL when that is not enough;
then its inverter's own timer, and the service manager's release, end what is left. It never resets itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import serial

from hil.devices.slave import crc16, seal

EVERY_S = 0.25
BLIND_S = 2.0  # no good reading for so long is a trip
TWICE = 2  # readings over the limit in a row: one may be a transient of the meter
GRACE_S = 6.0  # for a clean stop with its release


class MeterReader:
    """Total watts of one Eastron meter, + = as its clamps look. `read` gives None for no good answer."""

    def __init__(self, port: str, baud: int, unit: int, register: int) -> None:
        self._line = serial.Serial(port, baud, timeout=0.3)
        self._request = seal(struct.pack(">BBHH", unit, 4, register, 2))

    def read(self) -> float | None:
        """One request, one answer."""
        try:
            self._line.reset_input_buffer()
            self._line.write(self._request)
            reply = self._line.read(9)
        except OSError:
            return None
        if len(reply) != 9 or reply[:3] != self._request[:2] + b"\4" or crc16(reply):
            return None
        watts: float = struct.unpack(">f", reply[3:7])[0]
        return watts if watts == watts else None


class Judge:
    """Feed it every reading; `reason` says why it trips, and keeps it."""

    def __init__(self, limit_w: float, now_s: float) -> None:
        self._limit_w = limit_w
        self._seen_s = now_s
        self._over = 0
        self.reason = ""

    def look(self, watts: float | None, now_s: float) -> str:
        """Why to trip, "" while all is well."""
        if self.reason:
            return self.reason
        if watts is not None:
            self._seen_s = now_s
            self._over = self._over + 1 if abs(watts) > self._limit_w else 0
        if self._over >= TWICE:
            self.reason = f"the meter shows {watts:.0f} W, the rig's limit is {self._limit_w:.0f} W"
        elif now_s - self._seen_s > BLIND_S:
            self.reason = f"the meter has given no good reading for {BLIND_S:g} s"
        return self.reason


def end(pid_file: Path) -> None:
    """A clean stop of the daemon; SIGKILL when it does not come in time."""
    for number, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, 0.0)):
        try:
            pid = int(pid_file.read_text())
            os.kill(pid, number)
        except (OSError, ValueError):
            return
        over = time.monotonic() + wait_s
        while time.monotonic() < over:
            time.sleep(0.05)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 0)
                continue
            return


def main(argv: Sequence[str] | None = None) -> int:
    """Until a trip (exit 3) or a signal."""
    parser = argparse.ArgumentParser(prog="python -m hil.bench.interlock", description="the rig's guard")
    parser.add_argument("--port", required=True, help="of the independent meter, on an adapter of its own")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--unit", type=int, default=1)
    parser.add_argument("--single", action="store_true", help="a single-phase meter: power at 0x0C")
    parser.add_argument("--limit-w", type=float, required=True)
    parser.add_argument("--pid-file", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        meter = MeterReader(args.port, args.baud, args.unit, 0x0C if args.single else 0x34)
    except (OSError, ValueError) as error:
        print(json.dumps({"trip": f"the independent meter's port: {error}"}), flush=True)
        end(args.pid_file)
        return 3
    judge = Judge(args.limit_w, time.monotonic())
    while True:
        watts = meter.read()
        reason = judge.look(watts, time.monotonic())
        if reason:
            end(args.pid_file)
            print(json.dumps({"trip": reason, "w": watts}), flush=True)
            return 3
        print(json.dumps({"w": watts}), flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
