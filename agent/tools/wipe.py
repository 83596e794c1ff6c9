"""`batteryctl replace wipe FILE`: the end of a gateway. A signed word into FILE; then keys, state, configuration go.

The word is a JWS of the signing key that goes (`battery-decommission+jws`): the aggregator revokes by it. Keys and
configuration are overwritten before they are unlinked, which a card's wear levelling may make worth little: who must be
sure destroys the card, and revokes anyway.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from agent import config as configuration
from agent.config import Config
from agent.link import jws, keys
from agent.link import roles as matrix
from agent.tools import keyfiles
from agent.tools.keys import Body, _done, _print, _wall_ms
from agent.tools.lines import Refused

TYP = "battery-decommission+jws"


def main(argv: list[str] | None = None) -> int:
    """0 all is gone, 2 a file or the usage, 4 refused by a rule, 5 the disk: run it again."""
    parser = argparse.ArgumentParser(prog="batteryctl replace wipe", description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--sure", metavar="ID")
    parser.add_argument("--config", required=True)
    parser.add_argument("--running", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        body = _wipe(args)
    except configuration.ConfigError as error:
        body = _failed(2, error.reason, "batteryd --check --config FILE")
    except Refused as error:
        body = _failed(error.code, str(error), error.next_)
    except OSError as error:
        what = f"{error.filename or 'the disk'}: {error.strerror or error}"
        body = _failed(5, what, "what is left is still there: sudo batteryctl replace wipe ... again")
    _print(args, body)
    return int(body["code"])


def _failed(code: int, text: str, next_: str) -> Body:
    return {"v": 1, "ok": False, "code": code, "error": {"text": text, "next": next_}}


def _wipe(args: argparse.Namespace) -> Body:
    config = configuration.load(Path(args.config).absolute())
    device = config.file.agent.id
    if args.running:
        raise Refused(4, "batteryd runs: it would write its state again", "sudo systemctl stop batteryd, then again")
    owner = keyfiles.owner_of(config.state_dir)
    if not matrix.may_ask("technician" if os.geteuid() in (0, owner.uid) else "viewer", "replace_wipe"):
        raise Refused(4, "replace wipe needs a technician", "sudo batteryctl replace wipe FILE")
    out = Path(args.file).absolute()
    if out.is_relative_to(config.state_dir.absolute()) or out.is_relative_to(config.path.parent):
        raise Refused(2, f"{out} lies where everything is erased", "name a file elsewhere, best on a USB stick")
    if args.sure != device:
        raise Refused(
            2, f"this erases {device} for good: keys, reserve, records, configuration", f"add --sure {device}"
        )
    kid = _tell(config, out, owner)
    _erase(config)
    told = "it had no signing key, so there is no word of it" if kid is None else f"its signed word of that: {out}"
    lines = [f"{device}: keys, reserve, records and configuration are erased", told]
    next_ = "let the aggregator revoke the key and the certificate; a statement that was not exported is gone too"
    return _done(lines, next_, device=device, kid=kid)


def _tell(config: Config, out: Path, owner: keyfiles.Owner) -> str | None:
    """Write the word. The key id; None = there is no key to sign with (any more: run again, the word stays)."""
    link = config.file.link
    path = None if link is None else config.resolve(link.sign_key)
    if path is None or not os.path.lexists(path):
        return None
    seed = keys.load_seed(path)
    if isinstance(seed, str):
        return None  # a key that cannot be read signs nothing, and goes as well
    signer = jws.signer(seed)
    agent = config.file.agent
    claims = {"v": 1, "device": agent.id, "fleet": agent.fleet, "kid": signer.kid, "iat": _wall_ms()}
    token = jws.sign(signer, TYP, json.dumps(claims, separators=(",", ":")).encode("ascii"))
    owner.put(out, token + b"\n", 0o644)
    return signer.kid


def _erase(config: Config) -> None:
    """Keys first, so that whatever breaks off leaves nobody who can speak for this home; the configuration last."""
    link = config.file.link
    if link is not None:
        for name in (link.sign_key, link.key, link.cert, link.trust):
            path = config.resolve(name)
            for place in (path, path.with_name(path.name + keyfiles.NEXT), path.with_name(f".{path.name}.new")):
                _shred(place)
    for path in sorted(config.state_dir.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _sync(config.state_dir)
    _shred(config.path)


def _shred(path: Path) -> None:
    """Overwrite and unlink; one that is not there is done."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_file() and not path.is_symlink():
            with path.open("r+b", buffering=0) as file:
                file.write(b"\0" * path.stat().st_size)
                os.fsync(file.fileno())
        path.unlink()
        _sync(path.parent)


def _sync(directory: Path) -> None:
    """The names are gone from the disk as well."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main())
