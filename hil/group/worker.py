"""Some hundred homes in one process: `python -m hil.group.worker PKI HOST:PORT FIRST COUNT`.

Words on stdin, one line of JSON to stdout for each: "go" lets the homes take part and answers when each has been told
the time; "watch" times the next command; "tell" answers with what became of it; "end" ends.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from hil.bench.tick import unit_nice
from hil.group.home import GroupHome
from hil.group.post import Post
from hil.pki import DeviceFiles, Tls
from hil.talk import data

MISC_NS = 5_000_000_000
NAP_S = 0.05
READY_S = 240.0
STEP_NS = 1_000_000_000  # of a home's time at once: who lags behind must not hold up the others
QUIET_NS = 5_000_000_000


class Worker:
    """One loop over sockets, the homes' own times, and the parent's words. What was heard goes first, and while a
    command is on its way nothing else is done: a home's polls would run on a processor of its own."""

    def __init__(self, pki: Path, address: tuple[str, int], first: int, count: int) -> None:
        self._post = Post()
        names = [f"home-{number:04}" for number in range(first, first + count)]
        self.homes = [GroupHome(device_files(pki, name), self._post, address) for name in names]
        self._of = {home.port: home for home in self.homes}
        self._number = {home: number for number, home in enumerate(self.homes)}
        self._due: list[tuple[int, int]] = []
        self._planned: dict[int, int] = {}
        self._misc_ns = 0
        self._words = select.poll()
        self._words.register(0, select.POLLIN)
        os.set_blocking(0, False)
        self._text = b""
        self._lag_ns = 0
        self._quiet_ns = 0  # until then homes do what they are told and nothing else

    def run(self) -> None:
        """Until "end", or until the parent is gone."""
        for number, home in enumerate(self.homes):
            home.begin(number)
        gc.collect()
        gc.freeze()
        data(json.dumps({"built": len(self.homes), "rss_kib": _rss_kib()}))
        while (word := self._word()) != "end":
            if word == "go":
                self._go()
            elif word == "watch":
                for home in self.homes:
                    home.watch()
                self._quiet_ns = time.monotonic_ns() + QUIET_NS
                nice(os.getpid(), unit_nice())  # what a daemon has in its home
                data(json.dumps({"lag_ms": self._lag_ns / 1e6}))
                self._lag_ns = 0
            elif word == "tell":
                nice(os.getpid(), 0)
                data(json.dumps(self._told()))
            self._turn()
        for home in self.homes:
            home.port.close()
            home.finish()

    def _go(self) -> None:
        for home in self.homes:
            home.join()
            self._plan(home)
        for home in self.homes:
            home.port.open()
            self._turn()
        end = time.monotonic() + READY_S
        while not all(home.fresh() for home in self.homes) and time.monotonic() < end:
            self._turn()
        data(json.dumps({"fresh": sum(home.fresh() for home in self.homes)}))

    def _turn(self) -> None:
        """Sockets first; then one whose time has come: nobody who is spoken to waits long."""
        now = time.monotonic_ns()
        wait_s = max(0.0, min(NAP_S, (self._due[0][0] - now) / 1e9)) if self._due else NAP_S
        heard = [self._of[port] for port in self._post.turn(wait_s)]
        for home in heard:
            home.react()
        for home in heard:
            home.port.flush()
            self._plan(home)
        if not heard:
            self._alive()
        now = time.monotonic_ns()
        if now >= self._misc_ns:
            self._misc_ns = now + MISC_NS
            for home in self.homes:
                home.port.misc()

    def _alive(self) -> None:
        now = time.monotonic_ns()
        if now < self._quiet_ns and not all(home.stamps.gate for home in self.homes):
            return
        for home in self.homes:
            if home.watching:
                home.say()
                home.port.flush()
                self._plan(home)
                return
        while self._due and self._due[0][0] <= now:
            at, number = heapq.heappop(self._due)
            if self._planned.get(number) != at:
                continue  # it has another appointment since
            del self._planned[number]
            self._lag_ns = max(self._lag_ns, now - at)
            home = self.homes[number]
            home.live(STEP_NS)
            home.port.flush()
            self._plan(home)
            return

    def _plan(self, home: GroupHome) -> None:
        number, at = self._number[home], home.due_ns
        if self._planned.get(number) != at:
            self._planned[number] = at
            heapq.heappush(self._due, (at, number))

    def _told(self) -> dict[str, Any]:
        return {
            "stamps": {home.device: home.stamps.row() for home in self.homes},
            "cpu_s": time.process_time(),
            "rss_kib": _rss_kib(),
            "sent": sum(home.port.sent for home in self.homes),
            "said": sum(home.port.said for home in self.homes),
            "heard": sum(home.port.heard for home in self.homes),
        }

    def _word(self) -> str:
        if b"\n" not in self._text and self._words.poll(0):
            self._text += os.read(0, 4096) or b"end\n"
        line, found, rest = self._text.partition(b"\n")
        if not found:
            return ""
        self._text = rest
        return line.decode()


def nice(pid: int, value: int) -> None:
    """As the unit has it, where we may."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, value)


def device_files(pki: Path, name: str) -> DeviceFiles:
    """What `hil.pki` wrote for a device."""
    own = pki / "device" / name
    tls = Tls(own / "ca.crt", own / "tls.crt", own / "tls.key")
    return DeviceFiles(name, tls, own / "sign.pem", own / "trust.json", own / "claim.json")


def _rss_kib() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    host, _, port = sys.argv[2].rpartition(":")
    Worker(Path(sys.argv[1]), (host, int(port)), int(sys.argv[3]), int(sys.argv[4])).run()
