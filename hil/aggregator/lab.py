"""`python -m hil aggregator lab DIR`: a PKI, a broker and a registrar to try things with, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import Any

from hil.broker import Broker
from hil.pki import Authority, make_pki
from hil.registrar import Desk
from hil.registrar_server import Serving, claims_of, into


def parser(rows: Any) -> None:
    """Its words."""
    lab = rows.add_parser("lab", help="a PKI, a broker and a registrar to try things with, until Ctrl-C")
    lab.set_defaults(run=run)
    lab.add_argument("directory", type=Path)
    lab.add_argument("--fleet", default="demo")
    lab.add_argument("--device", action="append", help="its id; may be given more than once (default home-1)")
    lab.add_argument("--group", action="append", default=[])
    lab.add_argument("--port", type=int, help="of the broker (default: a free one)")


def run(args: argparse.Namespace) -> int:
    """Every file in one directory. The registrar's claims are for `batteryctl keys enrol --claim FILE --url URL`."""
    names = args.device or ["home-1"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the broker must not outlive us
    authority = Authority("lab CA")
    pki = make_pki(args.directory, args.fleet, names, args.group, authority=authority)
    tls = authority.issue(args.directory / "registrar", "registrar", ["localhost", "127.0.0.1"])
    bundles = pki.devices[names[0]].trust.read_bytes()
    desk = Desk(authority, args.fleet, bundles, enrolled=into(pki.devices_file))
    claims = claims_of(desk, tls, args.directory, names)
    with Broker(args.directory / "broker", pki, port=args.port) as broker, Serving(desk, tls) as registrar:
        devices = {name: str(files.tls.ca.parent) for name, files in pki.devices.items()}
        told = {"broker": f"localhost:{broker.port}", "pki": str(pki.devices_file.parent), "devices": devices}
        print(json.dumps(told | {"registrar": registrar.url, "claims": claims}, separators=(",", ":")), flush=True)
        threading.Event().wait()
    return 0
