"""Files of settlement records and of the public keys to check them with, for the offline tools."""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import compose
from agent import config as configuration
from agent.config import Config
from agent.link import bundle, jws, keys
from agent.store.archive import KEPT_BYTES, KEPT_MONTHS, Archive, lines
from agent.store.chain import head_of
from agent.store.database import CHAIN
from agent.store.trust import former
from agent.tools.findings import Line
from agent.tools.lines import Refused

Keys = Mapping[str, jws.Verifier]
MOST = 1 << 20
MEND = "take a copy from a backup; the aggregator has these records too"
FORMER_KEYS = "sign-former"  # in the state directory: public keys that this gateway signed with before


@dataclass(frozen=True, slots=True)
class Public:
    """Public keys by kid: those of the gateway, the former ones too, and those that the aggregator's receipts are or
    were signed with. `home`: the gateway's name; None: not known."""

    device: Keys
    service: Keys
    home: str | None = None

    def text(self) -> str:
        """As `read_keys` takes it."""
        both = {"device": _listed(self.device), "service": _listed(self.service)}
        return json.dumps({"v": 1, "home": self.home, **both}, indent=1) + "\n"


def _listed(found: Keys) -> list[dict[str, str]]:
    return [{"kid": kid, "x": jws.b64(key.key.public_bytes_raw())} for kid, key in found.items()]


def load_config(path: str) -> Config:
    """The configuration, or Refused."""
    try:
        return configuration.load(Path(path))
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE; or name files and --keys FILE") from error


def own_keys(config: Config) -> Public:
    """Of the gateway that this runs on, and those that it and its aggregator had before; empty where it has no link."""
    section = config.file.link
    if section is None:
        return Public({}, {}, config.file.agent.id)
    seed = keys.load_seed(config.resolve(section.sign_key))
    if isinstance(seed, str):
        raise Refused(2, f"link.sign_key: {seed}", "sudo batteryctl verify-chain, or --keys FILE")
    own = jws.verifier(jws.signer(seed).key.public_key().public_bytes_raw())
    try:
        trust, _ = compose._trust(config, section)
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "name the keys with --keys FILE") from error
    service = {kid: key for kid, key in trust.keys.items() if trust.role_of.get(kid) == "service"}
    return Public(_former_device(config) | {own.kid: own}, _former_service(config) | service, config.file.agent.id)


def _former_device(config: Config) -> dict[str, jws.Verifier]:
    path = config.state_dir / FORMER_KEYS
    return dict(read_keys([str(path)]).device) if path.exists() else {}


def _former_service(config: Config) -> dict[str, jws.Verifier]:
    """The service keys of the bundles that this home believed before: what they signed then is as good as it was."""
    found: dict[str, jws.Verifier] = {}
    for line in former(config.state_dir / "trust"):
        chain = bundle.parse_chain(line)
        held = None if isinstance(chain, str) else bundle.own(chain[0])
        if isinstance(held, bundle.Bundle):
            found |= held.roles["service"].keys
    return found


def with_former(path: Path, old: jws.Verifier) -> bytes:
    """The file of this gateway's former signing keys, `old` among them. Refused if it cannot be read."""
    held = dict(read_keys([str(path)]).device) if path.exists() else {}
    return Public({kid: key for kid, key in held.items() if kid != old.kid} | {old.kid: old}, {}).text().encode("ascii")


def read_keys(paths: Sequence[str]) -> Public:
    """Files {"home", "device": [{"kid", "x"}], "service": [...]}; all of them together. Several homes: none."""
    homes: set[str] = set()
    device: dict[str, jws.Verifier] = {}
    service: dict[str, jws.Verifier] = {}
    for path in paths:
        try:
            raw = jws.parse_object(_read(Path(path)))
        except ValueError as error:
            raise Refused(
                2, f"{path}: not strict JSON ({error})", "--keys FILE, as `statement --export` wrote it"
            ) from None
        homes |= {str(raw["home"])} if raw.get("home") is not None else set()
        for name, into in (("device", device), ("service", service)):
            listed = raw.get(name, [])
            for entry in listed if isinstance(listed, list) else []:
                key = jws.listed_key(entry) if isinstance(entry, dict) and {"kid", "x"} <= set(entry) else "no {kid, x}"
                if isinstance(key, str):
                    raise Refused(2, f"{path}: {name}: {key}", "--keys FILE, as `statement --export` wrote it")
                into[key.kid] = key
    return Public(device, service, homes.pop() if len(homes) == 1 else None)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST)
    except OSError as error:
        raise Refused(2, f"{path}: {error.strerror}", "name a file that is there") from error


def archive_of(config: Config) -> list[Path]:
    """The gateway's own records, the oldest month first."""
    return Archive(config.state_dir / "ledger").months()


def let_go(months: Sequence[Path]) -> bool:
    """Whether there were older ones, as far as the number and size of those that are kept tell."""
    return len(months) >= KEPT_MONTHS and sum(path.stat().st_size for path in months) >= KEPT_BYTES


def head_of_store(config: Config) -> tuple[int, str] | None:
    """Number and hash of the newest record that the database is known to hold; None: it does not say. A daemon that
    runs keeps the file to itself: then what it held at its last checkpoint, a little while ago."""
    path = config.state_dir / "store.db"
    if not path.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            row = db.execute("SELECT json FROM state WHERE id = ?", (CHAIN,)).fetchone()
        head = head_of(None if row is None else str(row[0]))
    except (sqlite3.Error, ValueError):
        return None
    return (head.n, head.hash) if head.n >= 0 else None


@dataclass(frozen=True, slots=True)
class Damaged:
    """A packed file that cannot be unpacked, and why."""

    path: Path
    why: str


def read_lines(paths: Sequence[Path], damaged: list[Damaged]) -> Iterator[Line]:
    """Every line of those files, packed or not. A packed one that is damaged is left out and added to `damaged`."""
    for path in paths:
        try:
            for number, line in enumerate(lines(path), 1):
                yield Line(f"{path.name}:{number}", line.strip())
        except OSError as error:
            if error.errno != errno.EIO or path.suffix != ".gz":
                why = f"{path}: {error.strerror}"
                raise Refused(2, why, "sudo batteryctl ...: records are the agent's own") from error
            damaged.append(Damaged(path, str(error.strerror)))


def spoilt(damaged: Sequence[Damaged]) -> Refused:
    """Nothing but damaged files was there."""
    return Refused(2, "; ".join(f"{each.path}: {each.why}" for each in damaged), MEND)
