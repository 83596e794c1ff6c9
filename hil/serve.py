"""`python -m hil serve PROFILE`: one simulated device, alone, for any Modbus client, until Ctrl-C.

stdout has one JSON object when it serves: {"profile", "unit", "tcp": "HOST:PORT" or null, "pty": path or null}.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Sequence
from pathlib import Path

from drivers.profile import parse
from hil.devices.serve import Server, profiles
from hil.talk import data, say


def main(argv: Sequence[str]) -> int:
    """Serve; the exit code: 0 after SIGINT or SIGTERM, 2 for what cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m hil serve", description=__doc__.splitlines()[0])
    parser.add_argument("profile", metavar="PROFILE", help="one of drivers/profiles, or a FILE.toml of your own")
    parser.add_argument("--tcp", metavar="HOST:PORT", help="Modbus/TCP; port 0 = any free one")
    parser.add_argument("--pty", nargs="?", const="", metavar="PATH", help="a serial line; PATH: a name for it")
    parser.add_argument("--unit", type=int, help="unit address; default: as on the demo bus")
    parser.add_argument("--seed", type=int, default=1, help="of the home behind the device")
    args = parser.parse_args(argv)
    try:
        _judge(args.profile)
        server = Server(args.profile, args.tcp, args.pty, args.unit, args.seed)
    except (ValueError, OSError) as error:
        say(f"hil serve: {error}")
        return 2

    def stop(*_: object) -> None:
        server.stopped = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    address = None if server.address is None else "{}:{}".format(*server.address)
    data(json.dumps({"profile": args.profile, "unit": server.unit, "tcp": address, "pty": server.link}))
    say("serving; Ctrl-C ends it")
    try:
        server.run()
    finally:
        server.close()
    return 0


def _judge(name: str) -> None:
    """ValueError with file, key and reason: what the driver would refuse is not served either."""
    if not name.endswith(".toml"):
        if name not in profiles():
            raise ValueError(f"there is no profile {name!r}; give FILE.toml, or one of {', '.join(profiles())}")
        return
    path = Path(name)
    parse(path.read_text("utf-8"), path.name)
