"""How true the paced wire is: the time from write() to the last byte at the far end, against bytes x bits / baud."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import termios
import time
import tty
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Relative errors of whole frames."""

    baud: int
    fifo: int
    frames: int
    p50: float
    p90: float
    worst: float


def measure(baud: int, fifo: int, frames: int, size: int = 125) -> Accuracy:
    """Send `frames` frames of `size` bytes over a wire of its own, one after the other."""
    with tempfile.TemporaryDirectory(prefix="wire") as folder:
        near, far = Path(folder, "near"), Path(folder, "far")
        command = [sys.executable, "-m", "hil.wire.paced", "--link", str(near), "--slave-link", str(far)]
        command += ["--baud", str(baud), "--fifo", str(fifo), "--slave-fifo", str(fifo)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                json.loads(process.stdout.readline())
                errors = sorted(_frames(near, far, frames, size, size * 10 / baud))
            finally:
                process.terminate()
    return Accuracy(baud, fifo, frames, errors[len(errors) // 2], errors[int(0.9 * len(errors))], max(errors, key=abs))


def _frames(near: Path, far: Path, frames: int, size: int, ideal_s: float) -> list[float]:
    sender, receiver = os.open(near, os.O_RDWR | os.O_NOCTTY), os.open(far, os.O_RDWR | os.O_NOCTTY)
    errors = []
    try:
        for fd in (sender, receiver):
            tty.setraw(fd, termios.TCSANOW)
        for _ in range(frames):
            begun = time.monotonic()
            os.write(sender, bytes(size))
            got = 0
            while got < size:
                if not select.select([receiver], [], [], 5.0)[0]:
                    raise TimeoutError(f"the wire delivered {got} of {size} bytes and no more for 5 s")
                got += len(os.read(receiver, 4096))
            errors.append((time.monotonic() - begun) / ideal_s - 1.0)
            time.sleep(0.005)  # an idle line before the next frame
    finally:
        os.close(sender)
        os.close(receiver)
    return errors


def main() -> int:
    """One JSON object a line: 9600 and 19200 byte by byte, 115200 by a fifo of 8."""
    for baud, fifo, frames in ((9_600, 1, 20), (19_200, 1, 40), (115_200, 8, 150)):
        print(json.dumps(asdict(measure(baud, fifo, frames))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
