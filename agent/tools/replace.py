"""`batteryctl replace export | import`: another gateway in the place of one that died, without any private key.

The file holds the configuration, profiles of the site's own, the reserve, who each device is, the owner's public keys,
and which of their messages were heard, so that none is heard twice. Not in it: this gateway's keys (the new one makes
its own and is enrolled by a new claim), commands, records. The export reads a living gateway, or with --root the
mounted SD card or backup of a dead one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.config import Config
from agent.link import anchor as anchors
from agent.link import files, jws, keys
from agent.link import roles as matrix
from agent.local.pin import PinHash
from agent.store.pins import Pins
from agent.store.reserve import ReserveFile
from agent.store.trust import TrustFile
from agent.tools import keyfiles
from agent.tools.enrol import NUMBERS
from agent.tools.keys import Body, _done, _print, _wall_ms
from agent.tools.lines import Refused
from drivers.events import Identity

MOST = 1 << 20
_STATE = ("store.db", "reserve", "trust", "pins", NUMBERS)
_KEYS = frozenset({"v", "device", "fleet", "made_ms", "old_kid", "configuration", "profiles", "reserve", "pins"}) | {
    "homeowner"
}


def main(argv: list[str] | None = None) -> int:
    """0 done, 2 a file or the usage, 4 refused by a rule, 5 the disk."""
    parser = argparse.ArgumentParser(prog="batteryctl replace", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("export", "import"))
    parser.add_argument("file")
    parser.add_argument("--root", default="/")
    parser.add_argument("--config", required=True)
    parser.add_argument("--pin-stdin", action="store_true")
    parser.add_argument("--running", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        body = _export(args) if args.action == "export" else _import(args)
    except Refused as error:
        body = {"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}
    except OSError as error:
        text = f"{error.filename or 'the disk'}: {error.strerror or error}"
        body = {"v": 1, "ok": False, "code": 5, "error": {"text": text, "next": "sudo batteryctl replace ..."}}
    _print(args, body)
    return int(body["code"])


def _allowed(verb: str, uid: int) -> None:
    role = "technician" if os.geteuid() in (0, uid) else "viewer"
    if not matrix.may_ask(role, verb):
        raise Refused(
            4, f"{verb.replace('_', ' ')} needs a technician", f"sudo batteryctl {verb.replace('_', ' ')} FILE"
        )


# --- export -----------------------------------------------------------------------------------------------------------
def _under(root: str, path: Path) -> Path:
    """A path of the gateway, where its disk is mounted."""
    return path if root == "/" else Path(root) / path.relative_to("/")


def _load(path: Path) -> Config:
    try:
        return configuration.load(path)
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE") from error


def _export(args: argparse.Namespace) -> Body:
    path = _under(args.root, Path(args.config).absolute())
    config = _load(path)
    state = config.state_dir if args.root == "/" else _mounted(args.root, config)
    if not state.is_dir():
        raise Refused(2, f"{state}: no state of a gateway is there", "--root DIR: where the old disk is mounted")
    _allowed("replace_export", state.stat().st_uid)
    body = _body(config, state, args.root)
    text = json.dumps(body, indent=1)
    if "PRIVATE KEY" in text:
        raise Refused(2, f"{path} holds a private key", "take it out: a key belongs into a file of its own")
    out = Path(args.file)
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "gateway": body}
    keyfiles.Owner(os.geteuid(), os.getegid()).put(out, json.dumps(sealed, indent=1).encode() + b"\n", 0o600)
    reserve = "not readable" if body["reserve"] is None else f"{body['reserve'] / 10:.1f} %"
    lines = [
        f"{config.file.agent.id}: configuration, reserve {reserve}, {len(body['pins'])} devices written to {out}",
        "no private key is in it; it shows the home's configuration and its PIN's hash, so keep it to yourself",
    ]
    return _done(
        lines, f"on the new gateway: sudo batteryctl replace import {out.name}", reserve_permille=body["reserve"]
    )


def _mounted(root: str, config: Config) -> Path:
    name = Path(config.file.agent.state_dir)
    return _under(root, name) if name.is_absolute() else config.state_dir


def _body(config: Config, state: Path, root: str) -> dict[str, Any]:
    agent = config.file.agent
    reserve = ReserveFile(state / "reserve").read()
    pins = Pins(state / "pins").read()
    held = _anchor(state)
    return {
        "v": 1,
        "device": agent.id,
        "fleet": agent.fleet,
        "made_ms": _wall_ms(),
        "old_kid": _old_kid(config, root),
        "configuration": config.path.read_text("utf-8"),
        "profiles": _profiles(config, root),
        "reserve": reserve.permille if reserve.source == "file" else None,
        "pins": {name: [who.maker, who.model, who.version, who.serial] for name, who in pins.items()},
        "homeowner": [jws.b64(key.key.public_bytes_raw()) for key in held.homeowner.values()] if held else [],
        "heard": dict(held.heard) if held else {},
    }


def _old_kid(config: Config, root: str) -> str | None:
    """Of the old gateway's signing key, so that it can be revoked by name."""
    if config.file.link is None:
        return None
    name = Path(config.file.link.sign_key)
    seed = keys.load_seed(_under(root, name) if name.is_absolute() else config.resolve(str(name)))
    return None if isinstance(seed, str) else jws.signer(seed).kid


def _profiles(config: Config, root: str) -> dict[str, str]:
    name = config.file.agent.profiles
    if name is None:
        return {}
    place = _under(root, Path(name)) if Path(name).is_absolute() else config.resolve(name)
    return {path.name: path.read_text("utf-8") for path in sorted(place.glob("*.toml"))}


def _anchor(state: Path) -> anchors.Anchor | None:
    kept = TrustFile(state / "trust").read()
    held = anchors.parse(kept) if isinstance(kept, bytes) else None
    return held if isinstance(held, anchors.Anchor) else None


# --- import -----------------------------------------------------------------------------------------------------------
def _import(args: argparse.Namespace) -> Body:
    if args.running:
        raise Refused(4, "batteryd runs here already", "sudo systemctl stop batteryd, then again")
    place = Path(args.config).absolute()
    if os.path.lexists(place):
        raise Refused(2, f"{place} is there already", "a replacement begins empty: move it away, or --config FILE")
    body = _read(Path(args.file))
    config, written = _configuration(body, place)
    try:
        agreed = _take(body, config, args)
        written.rename(place)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return _told(body, agreed, config)


def _take(body: dict[str, Any], config: Config, args: argparse.Namespace) -> bool:
    """Put everything but the configuration in its place. True: the homeowner agreed to the reserve."""
    owner = keyfiles.owner_of(config.state_dir)
    _allowed("replace_import", owner.uid)
    _begins_empty(body["profiles"], config)
    agreed = _agreed(config, args)
    for name, text in body["profiles"].items() if config.file.agent.profiles is not None else ():
        path = _profile_dir(config) / name
        if not os.path.lexists(path):
            keyfiles.Owner(os.geteuid(), os.getegid()).put(path, text.encode(), 0o644)
    pins = {name: Identity(*words) for name, words in body["pins"].items()}
    serials = {device.name: device.serial for device in config.file.device if device.serial}
    wrong = Pins(config.state_dir / "pins").write(pins, serials) if pins else None
    if wrong is None and agreed and body["reserve"] is not None:
        wrong = ReserveFile(config.state_dir / "reserve").write(body["reserve"], "the homeowner, at the replacement")
    if wrong is not None:
        raise Refused(5, wrong, "is the disk full or read-only?")
    if body.get("heard"):
        owner.put(config.state_dir / NUMBERS, json.dumps(body["heard"]).encode("ascii") + b"\n", 0o600)
    for path in config.state_dir.iterdir():
        owner.take(path)
    return agreed


def _begins_empty(profiles: dict[str, str], config: Config) -> None:
    """Refused where a file is already that an import writes; a profile that says the same is left as it is."""
    state = [name for name in _STATE if os.path.lexists(config.state_dir / name)]
    if state:
        text = f"{config.state_dir} holds another gateway's state: {', '.join(state)}"
        raise Refused(2, text, "a replacement begins empty: move it away")
    if not profiles or config.file.agent.profiles is None:
        return
    where = _profile_dir(config)
    if where.is_symlink():  # root writes there
        raise Refused(2, f"{where} is a symbolic link", "put the folder itself there, or name it in [agent] profiles")
    other = [
        name
        for name, text in profiles.items()
        if os.path.lexists(where / name) and files.read(where / name, MOST, follow=False) != text.encode()
    ]
    if other:
        text = f"{where} has other profiles of the same name: {', '.join(other)}"
        raise Refused(2, text, "move them away, import again, then compare: which register map is right?")


def _profile_dir(config: Config) -> Path:
    """Where the site's own profiles are, a link not followed."""
    return config.path.parent / (config.file.agent.profiles or "")


def _read(path: Path) -> dict[str, Any]:
    data = files.read(path, MOST, follow=False)
    if isinstance(data, str):
        raise Refused(2, f"{path}: {data}", "copy it anew from the export")
    try:
        raw = jws.parse_object(data)
    except ValueError as error:
        raise Refused(2, f"{path}: not strict JSON ({error})", "copy it anew from the export") from None
    body = raw.get("gateway")
    if (
        set(raw) != {"sha256", "gateway"}
        or not isinstance(body, dict)
        or set(body) - {"heard"} != _KEYS
        or body["v"] != 1
    ):
        raise Refused(2, f"{path}: not an export of this version", "batteryctl replace export FILE makes one")
    if hashlib.sha256(json.dumps(body, indent=1).encode()).hexdigest() != raw["sha256"]:
        raise Refused(2, f"{path}: changed or damaged since the export: its checksum differs", "copy it anew")
    wrong = _shape(body)
    if wrong is not None:
        raise Refused(2, f"{path}: {wrong}", "batteryctl replace export FILE makes one")
    return body


def _shape(body: dict[str, Any]) -> str | None:
    """What is wrong with its members, or None."""
    if not isinstance(body["configuration"], str):
        return "configuration is not text"
    profiles, pins, reserve = body["profiles"], body["pins"], body["reserve"]
    plain = isinstance(profiles, dict) and all(isinstance(text, str) for text in profiles.values())
    if not plain or any(Path(name).name != name or not name.endswith(".toml") for name in profiles):
        return "profiles are not NAME.toml: text"
    if not isinstance(pins, dict) or not all(
        isinstance(words, list) and len(words) == 4 and all(isinstance(word, str) for word in words)
        for words in pins.values()
    ):
        return "pins are not device: maker, model, version, serial"
    if reserve is not None and (type(reserve) is not int or not 0 <= reserve <= 1000):
        return f"reserve is {reserve!r}, expected 0 to 1000 permille"
    if anchors.numbers(body.get("heard", {})) is None:
        return "heard is not kid: number"
    return None


def _configuration(body: dict[str, Any], place: Path) -> tuple[Config, Path]:
    """The configuration, checked in its own place under another name before it is taken."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=".replace-", suffix=".toml", dir=place.parent)
    written = Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(body["configuration"])
        config = _load(written)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    mode = 0o640 if os.geteuid() == 0 else 0o600
    written.chmod(mode)
    if os.geteuid() == 0:
        os.chown(written, 0, place.parent.stat().st_gid)
    return config, written


def _agreed(config: Config, args: argparse.Namespace) -> bool:
    """Whether the homeowner typed the PIN. A wrong one is refused; none leaves the reserve at 100 %."""
    kept = config.file.local.homeowner_pin_hash
    if not kept or not (args.pin_stdin or sys.stdin.isatty()):
        return False
    import getpass

    ask = "homeowner's PIN (Enter: the reserve stays 100 % until the homeowner sets it): "
    pin = sys.stdin.readline().rstrip("\n") if args.pin_stdin else getpass.getpass(ask)
    if pin and not PinHash.parse(kept).matches(pin):
        raise Refused(4, "that is not the homeowner's PIN", "let the homeowner type it; or go on without, at 100 %")
    return bool(pin)


def _told(body: dict[str, Any], agreed: bool, config: Config) -> Body:
    restored = agreed and body["reserve"] is not None
    reserve = f"the reserve is {body['reserve'] / 10:.1f} %, by the homeowner" if restored else ""
    lines = [
        f"{body['device']}: configuration and {len(body['pins'])} devices taken over",
        reserve or "the reserve is 100 % until the homeowner sets it: batteryctl reserve PCT",
    ]
    if body["homeowner"]:
        lines.append(f"name the homeowner's {len(body['homeowner'])} keys anew: batteryctl keys homeowner --key FILE")
    if body["old_kid"] is not None:
        lines.append(f"let the aggregator revoke the old gateway's key {body['old_kid']} and certificate")
    next_ = "check the ports in the configuration (ls /dev/serial/by-id)"
    if config.file.link is not None:
        next_ += "; batteryctl keys enrol --claim FILE --bundle FILE, with a new claim; batteryctl net check"
    restored_permille = body["reserve"] if restored else None
    return _done(lines, next_, reserve_permille=restored_permille, old_kid=body["old_kid"])


if __name__ == "__main__":
    sys.exit(main())
