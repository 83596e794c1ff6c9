"""`batteryctl update`: the release that the operator told of, and whether a package is that release, and now the time.

Nothing here downloads or installs: the package manager does, as root, and can go back. This says whether it should.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli import talk
from agent.config import Config
from agent.link import anchor as anchors
from agent.link import documenting
from agent.link.anchor import Anchor
from agent.link.documents import Firmware, Package, parse_document
from agent.link.jws import TOKEN_MAX, Refused
from agent.store.trust import TrustFile
from agent.tools import config as configs
from agent.tools.keys import Body, _print, _wall_ms
from agent.tools.lines import Refused as Cannot
from agent.version import VERSION, number

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
INSTALL = "sudo apt install ./{}; batteryctl wait --for healthy"


@dataclass(frozen=True, slots=True)
class Known:
    """A release that verifies. `problem`: why it must not be installed now, whatever the package; "" = nothing."""

    release: Firmware
    problem: str


def main(argv: list[str] | None = None) -> int:
    """0 yes, 2 a file or the usage, 4 not this package or not now, 5 the disk."""
    parser = argparse.ArgumentParser(prog="batteryctl update", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("status", "check"))
    parser.add_argument("--file")
    parser.add_argument("--config", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        config = configs.load(args.config)
        body = _check(config, args) if args.action == "check" else _status(config)
    except Cannot as error:
        body = {"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}
    except OSError as error:
        text = f"{error.filename or 'the disk'}: {error.strerror or error}"
        body = {"v": 1, "ok": False, "code": 5, "error": {"text": text, "next": "sudo batteryctl update ..."}}
    _print(args, body)
    return int(body["code"])


def _status(config: Config) -> Body:
    rows = [_row("installed", "ok", f"batteryd {VERSION}, release {number()}")]
    known = look(config, _wall_ms())
    if isinstance(known, str):
        rows.append(_row("known", "none", known))
    else:
        release = known.release
        urgent = ", for security" if release.security else ""
        rows.append(_row("known", "ok", f"release {release.version}, {release.name}{urgent}"))
        rows.append(_row("verdict", "warn" if known.problem else "ok", known.problem or "newer than what is installed"))
        rows += [_row("package", "ok", f"{p.arch}: {p.url}, {p.size} bytes") for p in release.packages]
    next_ = "fetch the package, then: batteryctl update check --file PACKAGE"
    return {"v": 1, "ok": True, "code": 0, "rows": rows, "next": next_}


def _check(config: Config, args: argparse.Namespace) -> Body:
    if args.file is None:
        raise Cannot(2, "which package?", "batteryctl update check --file batteryd_0.7.0_arm64.deb")
    path = Path(args.file)
    known = look(config, _wall_ms())
    if isinstance(known, str):
        raise Cannot(4, known, "let the operator publish the manifest; batteryctl update")
    rows = [_row("release", "fault" if known.problem else "ok", known.problem or f"release {known.release.version}")]
    rows.append(_file(path, known.release))
    rows += _moment(talk.ask(args.socket, "status"), known.release.security)
    bad = [row for row in rows if row["level"] == "fault"]
    code = 4 if bad else 0
    next_ = f"do not install it: {bad[0]['text']}" if bad else INSTALL.format(path.name)
    return {"v": 1, "ok": not bad, "code": code, "rows": rows, "next": next_}


def look(config: Config, wall_ms: int) -> Known | str:
    """The release that this home was told of, proven again by the bundle of now; a sentence if there is none."""
    raw = configs.in_force(config).remote.release
    if not raw:
        return "no release is known: the operator has told of none"
    kept = TrustFile(config.state_dir / "trust").read()
    anchor = anchors.parse(kept) if isinstance(kept, bytes) else "no signed trust bundle is kept"
    if not isinstance(anchor, Anchor):
        return f"the release cannot be judged: {anchor}"
    envelope = documenting.opened(raw.encode("ascii"), TOKEN_MAX)
    found = envelope if isinstance(envelope, Refused) else documenting.proven(envelope, anchor)
    if isinstance(found, Refused):
        return f"the release is not to be believed any more: {found.detail}"
    claims, kids = found
    release = parse_document("firmware", claims)
    if not isinstance(release, Firmware):
        return f"the release is not readable: {release}"
    return Known(release, _problem(release, anchor, kids, wall_ms))


def _problem(release: Firmware, anchor: Anchor, kids: frozenset[str], wall_ms: int) -> str:
    installed = number()
    if wall_ms > release.exp:
        return f"its manifest expired {(wall_ms - release.exp) // 86_400_000} days ago"
    if wall_ms > anchor.bundle.expires_ms:
        return f"trust bundle {anchor.bundle.version} has expired"
    if not documenting.in_time(anchor, kids, wall_ms):
        return "a key that has signed it is outside its time"
    if release.version <= installed:
        return f"it is not newer than what is installed, release {installed}"
    if installed < release.min_version:
        return f"it replaces release {release.min_version} or newer, and {installed} is installed"
    return ""


def _file(path: Path, release: Firmware) -> dict[str, str]:
    """Whether the file is one of the release's packages, for this machine."""
    machine = platform.machine()
    package: Package | None = next((p for p in release.packages if p.arch == ARCH.get(machine)), None)
    if package is None:
        return _row("package", "fault", f"the release has none for {ARCH.get(machine, machine)}")
    size = path.stat().st_size
    if size != package.size:
        return _row("package", "fault", f"{path} has {size} bytes, the release's {package.arch} package {package.size}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        return _row("package", "fault", f"{path} has SHA-256 {found}, the release's package {package.sha256}")
    return _row("package", "ok", f"{path} is the release's {package.arch} package")


def _moment(status: Mapping[str, Any], security: bool) -> Iterator[dict[str, str]]:
    """Not during an event, as an island, or below the reserve; a security release may at any time."""
    wrong = "note" if security else "fault"
    if status["code"] == 3:
        yield _row("moment", "ok", "batteryd is not running: an update interrupts nothing")
        return
    if "grid" not in status:
        yield _row("moment", wrong, f"batteryd does not say how the home stands: {status['error']['text']}")
        return
    reasons = []
    if status["command"] is not None:
        reasons.append(f"a command runs: {status['command']['text']}")
    if status["grid"]["state"] != "connected":
        reasons.append(f"the grid is {status['grid']['state']}")
    soc, reserve = status["battery"]["soc_lo_permille"], status["reserve"]["effective_permille"]
    if soc is None or soc < reserve:
        reasons.append("the battery is below the reserve, or its charge is not known")
    waived = ", and the release is for security" if security and reasons else ""
    text = "; ".join(reasons) + waived if reasons else "no command runs, the grid is there, the reserve is kept"
    yield _row("moment", wrong if reasons else "ok", text)


def _row(name: str, level: str, text: str) -> dict[str, str]:
    return {"name": name, "level": level, "text": text}


if __name__ == "__main__":
    sys.exit(main())
