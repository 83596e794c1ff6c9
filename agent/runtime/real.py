"""The same parts on threads of their own: no asyncio, one mailbox a part, clocks and randomness of the machine.

Control and the buses start first; nothing they do waits for MQTT, TLS or the disk.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.runtime import part
from agent.runtime.part import Now, Part
from agent.runtime.watchdog import LATE_NS, OPENING_NS, Token
from drivers import events as bus_events
from drivers.bus import Bus
from drivers.line import Line

NEVER_NS = 1 << 62


def now() -> Now:
    """Both clocks of this machine."""
    return Now(time.monotonic_ns(), time.time_ns() // 1_000_000)


def random_bytes(count: int) -> bytes:
    """The kernel's randomness, for nonces, ids and jitter; parts get it by injection."""
    return os.urandom(count)


def ntp_synced() -> bool:
    """What the kernel says of its clock: systemd-timesyncd's and chrony's mark, or STA_UNSYNC by adjtimex."""
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = [("modes", ctypes.c_uint), ("pad", ctypes.c_byte * 1020)]

    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(Timex(0)))
    except (OSError, AttributeError):
        return False
    return 0 <= int(state) < 5  # 5 = TIME_ERROR: not synchronised


def kernel_boot_id() -> str:
    """An id that lasts as long as this kernel runs; monotonic times are comparable while it is the same."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _name_thread(name: str) -> None:
    """What `top -H` and /proc show; Python before 3.14 names threads for itself only. The kernel keeps 15 bytes."""
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_bytes(name.encode()[:15])


class Mailbox:
    """What one thread waits on."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()

    def put(self, event: object) -> None:
        """Never blocks."""
        self._queue.put(event)

    @property
    def waiting(self) -> int:
        """How many events lie in it."""
        return self._queue.qsize()

    def get(self, until_ns: int) -> object | None:
        """The next event, or None at `until_ns`."""
        try:
            if until_ns >= NEVER_NS:
                return self._queue.get()
            left = until_ns - time.monotonic_ns()
            return self._queue.get(timeout=left / 1e9) if left > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None


class RealRuntime:
    """Routes effects between threads. `log` takes every Log effect; the two adapters take what is theirs."""

    def __init__(self, log: Callable[[part.Log], None]) -> None:
        self._boxes: dict[str, Mailbox] = {"runtime": Mailbox()}
        self._threads: list[threading.Thread] = []
        self.tokens: dict[str, Token] = {}  # what each thread shows of its progress
        self._log = log
        self.mqtt: Callable[[part.Effect], None] = lambda effect: None
        self.local: Callable[[part.LocalReply], None] = lambda reply: None
        self.notify: Callable[[str], None] = lambda state: None

    def post(self, to: str, event: object) -> None:
        """Into a mailbox, from any thread."""
        box = self._boxes.get(to)
        if box is not None:
            box.put(event)

    def waiting(self, name: str) -> int:
        """How many events that part has not looked at."""
        return self._boxes[name].waiting

    def add(self, name: str, agent_part: Part) -> None:
        """A part on a thread of its own, started by `start`."""
        self._boxes[name] = Mailbox()
        self.tokens[name] = Token()
        self._thread(name, lambda: self._run_part(name, agent_part))

    def add_bus(self, name: str, bus: Bus, line: Line) -> None:
        """A bus and its line on a thread of their own."""
        self._boxes[f"bus:{name}"] = Mailbox()
        self.tokens[f"bus:{name}"] = Token()
        self._thread(f"bus:{name}", lambda: BusThread(self, name, bus, line).run())

    def start(self) -> None:
        """Every thread begins; what exists by now is never looked at again by the garbage collector."""
        gc.collect()
        gc.freeze()
        for thread in self._threads:
            thread.start()

    def wait_stopped(self, names: Iterable[str], until_ns: int) -> set[str]:
        """The parts of `names` that have not said by then that they stopped as they should."""
        missing, failed = set(names), set[str]()
        while missing:
            event = self._boxes["runtime"].get(until_ns)
            if event is None:
                break
            if isinstance(event, part.Stopped):
                missing.discard(event.part)
                if not event.ok:
                    failed.add(event.part)
        return missing | failed

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        def run() -> None:
            _name_thread(name)
            try:
                target()
            except BaseException as error:  # noqa: BLE001 - a part that raises is a bug: say so, the watchdog ends us
                self._log(part.Log("error", f"part {name} died: {error!r}; this is a bug, please report it"))
                sys.excepthook(type(error), error, error.__traceback__)

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def _run_part(self, name: str, agent_part: Part) -> None:
        box, token = self._boxes[name], self.tokens[name]
        wake_ns = NEVER_NS
        event: object | None = part.Start()
        while True:
            if event is None:
                wake_ns = NEVER_NS
                event = part.Wake()
            at = now()
            token.works(at.mono_ns)
            for effect in agent_part.handle(event, at):
                if isinstance(effect, part.Post):
                    self.post(effect.to, effect.event)
                elif isinstance(effect, part.WakeAt):
                    wake_ns = effect.at_ns
                elif isinstance(effect, part.Log):
                    self._log(effect)
                elif isinstance(effect, part.SdNotify):
                    self.notify(effect.state)
                elif isinstance(effect, part.LocalReply):
                    self.local(effect)
                else:
                    self.mqtt(effect)
            token.waits(wake_ns)
            event = box.get(wake_ns)


class BusThread:
    """Owns one line. A write that comes while a transaction is on the wire waits for that one only."""

    def __init__(self, runtime: RealRuntime, name: str, bus: Bus, line: Line) -> None:
        self._runtime = runtime
        self._box = runtime._boxes[f"bus:{name}"]
        self._token = runtime.tokens[f"bus:{name}"]
        self._bus = bus
        self._line = line
        self._wake_ns = NEVER_NS
        self._reopen_ns = 0
        self._send: bus_events.Transmit | None = None

    def run(self) -> None:
        """Forever."""
        while True:
            if self._send is not None:
                at_ns = time.monotonic_ns()
                self._token.works(at_ns, max(0, self._send.deadline_ns - at_ns) + LATE_NS)
                self._transact(self._send)
                continue
            until_ns = min(self._wake_ns, self._reopen_ns)
            self._token.waits(until_ns)
            event = self._box.get(until_ns)
            self._token.works(time.monotonic_ns())
            if event is not None:
                self._feed(event)
                continue
            now_ns = time.monotonic_ns()
            if now_ns >= self._reopen_ns:
                self._open()
            elif now_ns >= self._wake_ns:
                self._wake_ns = NEVER_NS
                self._feed(bus_events.Wake())

    def _open(self) -> None:
        self._reopen_ns = NEVER_NS
        self._token.works(time.monotonic_ns(), OPENING_NS)
        try:
            self._line.open()
        except OSError as error:
            self._feed(bus_events.Lost(str(error)))
        else:
            self._feed(bus_events.Opened())

    def _transact(self, send: bus_events.Transmit) -> None:
        self._send = None
        try:
            stale = self._line.drain()
            self._line.write(send.data)
            if stale:
                self._feed(bus_events.Stray(stale, time.monotonic_ns()))
            data, at_ns = self._line.read_until(send.reply_len, send.predicted_end_ns, send.deadline_ns)
        except OSError as error:
            self._feed(bus_events.Lost(str(error)))
            return
        while (event := self._box.get(0)) is not None:  # orders first: the bus picks by priority once the wire is free
            self._feed(event)
        while data:
            self._feed(bus_events.Received(data, at_ns))
            if not self._still_waits(send.deadline_ns):
                return
            data, at_ns = self._more(send.deadline_ns)  # what came was not the reply: it may still come

    def _still_waits(self, deadline_ns: int) -> bool:
        return self._send is None and self._bus.waiting and time.monotonic_ns() < deadline_ns

    def _more(self, deadline_ns: int) -> tuple[bytes, int]:
        try:
            return self._line.read_until(1, 0, deadline_ns)
        except OSError as error:
            self._feed(bus_events.Lost(str(error)))
            return b"", 0

    def _feed(self, event: object) -> None:
        effects = self._bus.handle(event, time.monotonic_ns())  # type: ignore[arg-type]  # only bus events are posted here
        for effect in effects:
            if isinstance(effect, bus_events.Transmit):
                self._send = effect
            elif isinstance(effect, bus_events.WakeAt):
                self._wake_ns = effect.at_ns
            elif isinstance(effect, bus_events.Emit):
                self._runtime.post("control", effect.event)
            else:
                self._line.close()
                self._reopen_ns = effect.at_ns
