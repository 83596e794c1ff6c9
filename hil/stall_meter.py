"""The process behind hil.stall: stdlib only, run by path. One line when it watches, its findings when stdin ends."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

NAP_S = 0.005
STALL_S = 0.250


def watch(cpu: int, done: threading.Event, found: list[tuple[float, float]], worst: list[float]) -> None:
    """Nap on one core until `done`; lateness over the limit goes to `found`."""
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError:  # a core we may not use cannot stall us
        return
    before = time.monotonic()
    while not done.is_set():
        time.sleep(NAP_S)
        now = time.monotonic()
        late = now - before - NAP_S
        before = now
        worst[0] = max(worst[0], late)
        if late > STALL_S:
            found.append((now, round(late * 1e3, 1)))


def main() -> None:
    """Watch until stdin ends."""
    done, found, worst = threading.Event(), list[tuple[float, float]](), [0.0]
    threads = [threading.Thread(target=watch, args=(cpu, done, found, worst)) for cpu in os.sched_getaffinity(0)]
    for thread in threads:
        thread.start()
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps({"worst_ms": round(worst[0] * 1e3, 2), "stalls": found}))


if __name__ == "__main__":
    main()
