"""`batteryctl config` without a daemon, and `batteryctl config export FILE`: settings with their hash, no secret."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent import remote as remotes
from agent.cli import config as shown
from agent.config import Config
from agent.link import roles as matrix
from agent.local.settings import config_json
from agent.remote import InForce, Remote
from agent.store.documents import DocumentsFile
from agent.tools import keyfiles
from agent.tools.keys import Body, _done, _print, _wall_ms
from agent.tools.lines import Refused

SECRET = frozenset({"homeowner_pin_hash"})


def main(argv: list[str] | None = None) -> int:
    """0 done, 2 a file or the usage, 4 refused by a rule, 5 the disk."""
    parser = argparse.ArgumentParser(prog="batteryctl config", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("show", "export"))
    parser.add_argument("file", nargs="?")
    parser.add_argument("--config", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        config = load(args.config)
        body = _export(config, args) if args.action == "export" else config_json(in_force(config))
    except Refused as error:
        body = {"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}
    except OSError as error:
        text = f"{error.filename or 'the disk'}: {error.strerror or error}"
        body = {"v": 1, "ok": False, "code": 5, "error": {"text": text, "next": "sudo batteryctl config ..."}}
    if args.action == "show" and "error" not in body and not args.json:
        print(*shown.lines(body), sep="\n")
    else:
        _print(args, body)
    return int(str(body["code"]))


def load(path: str) -> Config:
    """The configuration; Refused says what is wrong with it."""
    try:
        return configuration.load(Path(path))
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE shows what is wrong with it") from error


def in_force(config: Config) -> InForce:
    """What the file has. What is on probation there a start takes back; it is shown as it is."""
    data = DocumentsFile(config.state_dir / "documents").read()
    kept = Remote() if data is None else data if isinstance(data, str) else remotes.parse(data)
    if isinstance(kept, str):
        raise Refused(5, kept, "sudo batteryctl config; a start goes by what was commissioned and says so")
    return InForce(config.params, remotes.effective(config.params, kept), kept)


def _export(config: Config, args: argparse.Namespace) -> Body:
    if args.file is None:
        raise Refused(2, "into which file?", "sudo batteryctl config export home-config.json")
    owner = config.state_dir.stat().st_uid if config.state_dir.is_dir() else os.geteuid()
    role = "technician" if os.geteuid() in (0, owner) else "viewer"
    if not matrix.may_ask(role, "config_export"):
        raise Refused(4, "config export needs a technician", "sudo batteryctl config export FILE")
    found = in_force(config)
    body = {
        "v": 1,
        "made_ms": _wall_ms(),
        "file": _public(config.file.model_dump(mode="json", exclude_none=True)),
        "in_force": config_json(found),
    }
    text = json.dumps(body, indent=1, sort_keys=True)
    if "PRIVATE KEY" in text:
        raise Refused(2, f"{config.path} holds a private key", "take it out: a key belongs into a file of its own")
    digest = hashlib.sha256(text.encode()).hexdigest()
    out = Path(args.file)
    sealed = json.dumps({"sha256": digest, "config": body}, indent=1, sort_keys=True)
    keyfiles.Owner(os.geteuid(), os.getegid()).put(out, sealed.encode() + b"\n", 0o600)
    lines = [
        f"{config.file.agent.id}: settings written to {out}, SHA-256 {digest[:16]}...",
        "no key and no PIN is in it",
    ]
    return _done(lines, "batteryctl replace export FILE keeps what a new gateway needs", sha256=digest)


def _public(value: Any) -> Any:
    """Without what is secret, by name."""
    if isinstance(value, dict):
        return {key: _public(each) for key, each in value.items() if key not in SECRET}
    return [_public(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
