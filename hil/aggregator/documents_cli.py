"""`python -m hil aggregator config | default | firmware`: publish a document, and print what became of it."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.runtime.part import Now
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.aggregator.documents import document, manifest, release_topic
from hil.aggregator.keys import load_signing_key
from hil.aggregator.verbs import seconds

LIMITS = ("import_limit_w", "export_limit_w", "charge_limit_w", "discharge_limit_w", "soc_floor_permille")
NUMBERS = (*LIMITS, "raise_permille", "raise_s", "peak_target_w", "batch_s", "live_s")
KINDS = {
    "config": "settings, tighter than commissioned; on probation first",
    "default": "what a home does when nothing is asked",
    "firmware": "tell of a release, signed by two firmware keys",
}
WORDS = {
    "config": ("config_applied", "config_refused", "config_rolled_back", "config_confirmed"),
    "default": ("default_applied",),
    "firmware": ("firmware_known",),
}


def options(kind: str, parser: argparse.ArgumentParser) -> None:
    """Of one of KINDS."""
    parser.add_argument("device", help="a device")
    parser.add_argument("--version", dest="number", type=int, required=True, help="of the document: only ever rises")
    if kind == "config":
        parser.add_argument("--probation-s", type=int, default=600)
        for name in NUMBERS:
            parser.add_argument(f"--{name.replace('_', '-')}", type=int)
        parser.add_argument("--group", dest="groups", action="append", help="more than once for several")
    elif kind == "default":
        parser.add_argument("--mode", choices=["self_consumption", "idle"], required=True)
        for name in ("import_limit_w", "export_limit_w", "ramp_permille_per_s"):
            parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    else:
        parser.add_argument("--min-version", type=int, required=True)
        parser.add_argument("--name", required=True)
        parser.add_argument("--security", action="store_true")
        parser.add_argument("--package", action="append", required=True, metavar="ARCH=FILE=URL")
        parser.add_argument("--key", action="append", required=True, type=Path, help="of a firmware role; two of them")
    parser.add_argument("--wait-s", type=seconds, default=10.0, help="for the event that tells of it; 0: do not wait")


def built(kind: str, aggregator: Aggregator, args: argparse.Namespace, now: Now) -> Publish:
    """The message. ValueError, OSError for what the options say wrong."""
    if kind == "firmware":
        keys = [load_signing_key(path) for path in args.key]
        body = {
            "version": args.number,
            "min_version": args.min_version,
            "name": args.name,
            "security": args.security,
            "packages": [package(text) for text in args.package],
        }
        fleet = aggregator.keyring.fleet
        return Publish(release_topic(fleet, args.device), manifest(fleet, body, keys, os.urandom(16), now), True)
    if kind == "config":
        settings = {name: value for name in (*NUMBERS, "groups") if (value := getattr(args, name)) is not None}
        body = {"probation_s": args.probation_s, "settings": settings}
    else:
        names = ("mode", "import_limit_w", "export_limit_w", "ramp_permille_per_s")
        body = {name: value for name in names if (value := getattr(args, name)) is not None}
    return document(aggregator, kind, args.device, args.number, body, now)


def package(text: str) -> dict[str, Any]:
    """`arm64=batteryd_0.7.0_arm64.deb=https://...`: size and SHA-256 are those of the file."""
    parts = text.split("=", 2)
    if len(parts) != 3:
        raise ValueError(f"--package {text!r}: expected ARCH=FILE=URL")
    data = Path(parts[1]).read_bytes()
    return {"arch": parts[0], "url": parts[2], "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def tells(kind: str, version: int) -> Callable[[Verdict], bool]:
    """Whether a message is the event that tells what became of that version."""

    def is_it(verdict: Verdict) -> bool:
        if verdict.message is None or verdict.message.kind != "event":
            return False
        claims = verdict.message.claims
        return claims.get("event") in WORDS[kind] and claims.get("version") == version

    return is_it
