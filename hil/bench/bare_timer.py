"""The host's floor for `bench tick`: stdlib only, run by path. A period kept by sleeping, told by one datagram each."""

from __future__ import annotations

import socket
import sys
import time


def main() -> None:
    """`bare_timer.py SOCKET PERIOD_NS`, until it is killed."""
    path, period_ns = sys.argv[1], int(sys.argv[2])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(path)
        due_ns = time.monotonic_ns()
        while True:
            due_ns += period_ns
            left_ns = due_ns - time.monotonic_ns()
            if left_ns > 0:
                time.sleep(left_ns / 1e9)
            out.send(b"TICK=1")


if __name__ == "__main__":
    main()
