"""The paced line between two ptys, and what befalls it. Standard library and `hil.wire` only."""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter, deque
from pathlib import Path

from hil.wire.pty_end import Pty

now_ns = time.monotonic_ns
LOG_WITHIN_NS = 50_000_000
STRANGER = bytes.fromhex("090300000002c543")  # another master asks unit 9 for two registers


class Wire:
    """The line. `turn` does all that is due and returns the seconds until there is more."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.master, self.slaves = Pty(Path(options.link)), Pty(Path(options.slave_link))
        self.plugged = True
        self.noise, self.drop = float(options.noise), float(options.drop)
        self.cut: set[int] = set()
        self.broken = False
        self.late_ns: dict[int, int] = {}  # by unit
        self._stranger_ns = 0  # how often another master asks; 0 = there is none
        self._stranger_due = 0
        self.byte_ns = options.bits * 1_000_000_000 // options.baud
        self.t35_ns = 1_750_000 if options.baud > 19_200 else 3_500_000_000 * options.bits // options.baud
        self.turnaround_ns = round(options.turnaround * 1e6)
        self.counters = dict.fromkeys(
            ("requests", "replies", "violations", "collisions", "flips", "drops", "request_bytes", "reply_bytes"), 0
        )
        self.did: Counter[str] = Counter()  # what each fault of the line did, by name and unit
        self.errors: deque[float] = deque(maxlen=20_000)  # of a delivered frame's last byte, share of the frame's time
        self.gaps_ns: deque[int] = deque(maxlen=20_000)  # reply end -> next request begins
        self._rng = random.Random(options.seed)
        self._queue: deque[tuple[int, Pty, bytes, int]] = deque()  # (due, to, bytes, frame's length in ns at its end)
        self._usb = bytearray()  # what the adapter holds back
        self._usb_due = 0
        self._free_ns = 0  # the line is idle from here
        self._sender = ""
        self._heard = True  # whether the slaves get the frame that the master is sending
        self._log_fd = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if options.log else -1
        self._unlogged: list[str] = []
        self._logged_ns = 0

    # --- time --------------------------------------------------------------------------------------------------------
    def turn(self) -> float:
        """Deliver what is due; seconds until the next thing is."""
        queue = self._queue
        now = now_ns()
        while queue and queue[0][0] <= now:
            due, end, data, frame_ns = queue.popleft()
            if end is self.master and self.options.latency:
                self._hold(data, now)
            else:
                end.write(data)
            now = now_ns()
            if frame_ns:
                self.errors.append((now - due) / frame_ns)
        if self._usb and now >= self._usb_due:
            self._flush_usb()
        if self._stranger_ns and now >= self._stranger_due:
            self._stranger(now)
        if self._unlogged and (not queue or now - self._logged_ns > LOG_WITHIN_NS):
            self.write_log(now)
            now = now_ns()
        wait = queue[0][0] - now if queue else 250_000_000
        if self._usb:
            wait = min(wait, self._usb_due - now)
        if self._stranger_ns:
            wait = min(wait, self._stranger_due - now)
        return max(wait, 0) / 1e9

    def _stranger(self, now: int) -> None:
        """It listens to nobody: what is under way is spoiled by it, and it by that."""
        self._stranger_due = now + self._stranger_ns
        self.did["strangers"] += 1
        if now < self._free_ns:
            self.counters["collisions"] += 1
            self._spoil()
            return
        self._sender = "stranger"
        self._send(STRANGER, now, [self.master], self.options.fifo, ["stranger"])

    def _hold(self, data: bytes, now: int) -> None:
        """An FTDI-like adapter hands over 62 bytes, or what it has when its latency timer ends."""
        if not self._usb:
            self._usb_due = now + round(self.options.latency * 1e6)
        self._usb += data
        while len(self._usb) >= 62:
            self.master.write(bytes(self._usb[:62]))
            del self._usb[:62]

    def _flush_usb(self) -> None:
        self.master.write(bytes(self._usb))
        self._usb.clear()

    # --- the line ----------------------------------------------------------------------------------------------------
    def from_master(self, data: bytes, now: int) -> None:
        """The master began to send at `now`."""
        notes = []
        idle_ns = now - self._free_ns
        if self._sender != "master" or idle_ns > self.t35_ns:
            self.counters["requests"] += 1
            if self._sender == "slave" and idle_ns >= 0:
                self.gaps_ns.append(idle_ns)
            self._heard = not self._lost(data[0])
            if self._sender == "slave" and idle_ns < 0:
                self.counters["collisions"] += 1
                self._spoil()
                self._heard = False
                notes.append("collision")
            elif self._sender == "slave" and idle_ns < self.t35_ns:
                self.counters["violations"] += 1
                self._heard = self._heard and not self.options.strict
                notes.append("inside t3.5")
        if data[0] in self.cut:
            notes.append("cut")
        self.counters["request_bytes"] += len(data)
        start = max(now, self._free_ns)
        self._sender = "master"
        self._send(data, start, [self.slaves] if self._heard else [], self.options.slave_fifo, notes)
        if self.options.echo:
            self.did["echoes"] += 1
            self._schedule(data, start, self.master, self.options.fifo)
            self._queue = deque(sorted(self._queue, key=lambda item: item[0]))

    def from_slaves(self, data: bytes, now: int) -> None:
        """A slave answers; not before t3.5 and its own turnaround after the request."""
        notes: list[str] = []
        ends = [self.master]
        if self._sender == "master":
            if now < self._free_ns:  # it speaks into the request
                self.counters["collisions"] += 1
                ends, notes = [], ["collision"]
            late_ns = self.late_ns.get(data[0], 0)
            if late_ns:
                self.did[f"late:{data[0]}"] += 1
            start = max(now, self._free_ns + self.t35_ns + self.turnaround_ns) + late_ns
            self.counters["replies"] += 1
        else:
            start = max(now, self._free_ns)
        if self._lost(data[0]):
            ends, notes = [], [*notes, "cut"]
        self.counters["reply_bytes"] += len(data)
        self._sender = "slave"
        self._send(data, start, ends, self.options.fifo, notes)

    def _lost(self, unit: int) -> bool:
        """Whether a frame to or from `unit` does not come over the line as it is now."""
        if self.broken:
            self.did["broken"] += 1
        if unit in self.cut:
            self.did[f"cut:{unit}"] += 1
        return self.broken or unit in self.cut

    def _send(self, data: bytes, start: int, ends: list[Pty], fifo: int, notes: list[str]) -> None:
        self._free_ns = start + len(data) * self.byte_ns
        arriving = data
        if self.noise:
            arriving = self._noisy(data)
            if arriving != data:
                notes.append("noise")
        if self.drop and self._rng.random() < self.drop:
            self.counters["drops"] += 1
            ends = []
            notes.append("dropped")
        for end in ends:
            self._schedule(arriving, start, end, fifo)
        if self._log_fd >= 0:
            note = {"note": ", ".join(notes)} if notes else {}
            row = {"from": self._sender, "t0": start, "t1": self._free_ns, "hex": data.hex(), **note}
            self._unlogged.append(json.dumps(row))

    def _schedule(self, data: bytes, start: int, end: Pty, fifo: int) -> None:
        """Groups of `fifo` bytes, each at the time of its last byte."""
        total = len(data)
        for i in range(0, total, fifo):
            upto = min(i + fifo, total)
            last = upto * self.byte_ns if upto == total else 0
            self._queue.append((start + upto * self.byte_ns, end, data[i:upto], last))

    def _spoil(self) -> None:
        """Two senders at once: what is still under way arrives as rubbish."""
        self._queue = deque((due, end, bytes(b ^ 0xFF for b in data), 0) for due, end, data, _ in self._queue)

    def _noisy(self, data: bytes) -> bytes:
        out = bytearray(data)
        for i in range(len(out)):
            if self._rng.random() < self.noise:
                out[i] ^= 1 << self._rng.randrange(8)
                self.counters["flips"] += 1
        return bytes(out)

    # --- talk --------------------------------------------------------------------------------------------------------
    def write_log(self, now: int) -> None:
        """All frames so far, in one write."""
        if self._log_fd >= 0 and self._unlogged:
            os.write(self._log_fd, ("\n".join(self._unlogged) + "\n").encode())
        self._unlogged.clear()
        self._logged_ns = now

    def obey(self, line: bytes | bytearray) -> dict[str, object]:
        """One command of the control socket."""
        try:
            command = json.loads(line)
            verb = command["do"]
            if verb == "noise":
                self.noise = float(command["share"])
            elif verb == "drop":
                self.drop = float(command["share"])
            elif verb == "cut":
                (self.cut.add if command["on"] else self.cut.discard)(int(command["unit"]))
            elif verb == "break":
                self.broken = bool(command["on"])
            elif verb == "plug":
                self.plug(bool(command["on"]))
            elif verb == "echo":
                self.options.echo = bool(command["on"])
            elif verb == "late":
                self.late_ns[int(command["unit"])] = round(command["ms"] * 1e6)
            elif verb == "stranger":
                self._stranger_ns = round(command["every_ms"] * 1e6)
                self._stranger_due = now_ns() + self._stranger_ns
            elif verb != "stats":
                known = "noise, drop, cut, break, plug, echo, late, stranger, stats"
                return {"ok": False, "error": f"a wire cannot {verb!r}; it can {known}"}
        except (ValueError, KeyError, TypeError) as wrong:
            return {"ok": False, "error": f"not a command of a wire: {wrong!r}"}
        return {"ok": True, **self.counters, **self.did}

    def plug(self, on: bool) -> None:
        """Unplug the master's adapter, or plug it in again under the same name."""
        if on and not self.plugged:
            self.master = Pty(Path(self.options.link))
        elif not on and self.plugged:
            self._queue = deque(item for item in self._queue if item[1] is not self.master)
            self._usb.clear()
            self.master.close()
        self.plugged = on

    def summary(self) -> dict[str, object]:
        """Counters and pacing, for `--stats`."""

        def at(values: list[float], share: float) -> float | None:
            return values[min(len(values) - 1, int(share * len(values)))] if values else None

        errors, gaps = sorted(self.errors), sorted(gap / 1e6 for gap in self.gaps_ns)
        return {
            **self.counters,
            "t35_ms": self.t35_ns / 1e6,
            "frame_error_p50": at(errors, 0.5),
            "frame_error_p99": at(errors, 0.99),
            "gap_p50_ms": at(gaps, 0.5),
            "gap_p99_ms": at(gaps, 0.99),
            "gap_min_ms": gaps[0] if gaps else None,
        }
