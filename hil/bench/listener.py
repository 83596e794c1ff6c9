"""mosquitto_sub as the subscriber of a bench: it costs little enough that the broker lets nothing fall before it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.broker import Broker
from hil.kin import kin
from hil.pki import Tls
from hil.talk import say

READY_S = 20.0
CHUNK = 1 << 16
MISSING = "{} is not installed: install it with `apt-get install --no-install-recommends mosquitto-clients`"


def find(program: str) -> str:
    """Path of one of mosquitto's clients. One sentence and exit 2 if there is none."""
    found = shutil.which(program)
    if found is None:
        say(MISSING.format(program))
        raise SystemExit(2)
    return found


def reach(broker: Broker, tls: Tls) -> list[str]:
    """Arguments by which mosquitto's clients find a broker and say who they are."""
    where = ["-h", broker.host, "-p", str(broker.port)]
    return [*where, "--cafile", str(tls.ca), "--cert", str(tls.cert), "--key", str(tls.key)]


@dataclass(slots=True)
class Heard:
    """Lines since `Listener.begin`: how many, when the first and the last of `wanted` came, monotonic ns."""

    wanted: int
    lines: int = 0
    first_ns: int = 0
    last_ns: int = 0
    whole: threading.Event = field(default_factory=threading.Event)

    def count(self, lines: int, now_ns: int) -> None:
        """That many more came, read in one piece."""
        self.first_ns = self.first_ns or now_ns
        self.lines += lines
        if self.lines >= self.wanted and not self.whole.is_set():
            self.last_ns = now_ns
            self.whole.set()

    @property
    def rate(self) -> float:
        """Lines a second between the first and the last. Raises ZeroDivisionError if all came in one piece."""
        return self.wanted / ((self.last_ns - self.first_ns) / 1e9)


class Listener:
    """Hears one topic at QoS 1. `each` gets every `every`th line, from the listener's own thread."""

    def __init__(self, broker: Broker, tls: Tls, topic: str, every: int, each: Callable[[bytes], None]) -> None:
        self._command = [find("mosquitto_sub"), *reach(broker, tls), "-q", "1", "-t", topic]
        self._every, self._each = every, each
        self._heard = Heard(1)

    def start(self, probe: Callable[[], None]) -> None:
        """`probe` publishes a line, again and again until one is heard. OSError if none is."""
        self._process = subprocess.Popen(kin(self._command), stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        until = time.monotonic() + READY_S
        while not self._heard.whole.wait(0.1):
            if time.monotonic() > until or self._process.poll() is not None:
                raise OSError("mosquitto_sub did not hear what was published")
            probe()

    def begin(self, wanted: int) -> Heard:
        """Count anew."""
        self._heard = Heard(wanted)
        return self._heard

    def stop(self) -> None:
        """End the process and the thread."""
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        rest, number = b"", 0
        with self._process.stdout as pipe:
            while data := os.read(pipe.fileno(), CHUNK):
                *lines, rest = (rest + data).split(b"\n")
                self._heard.count(len(lines), time.monotonic_ns())
                for line in lines:
                    number += 1
                    if number % self._every == 0:
                        self._each(line)
