"""The demo home as the agent is configured for it: keys, certificates and `batteryd.toml`, in one directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drivers.profile import PROFILES
from hil.bundles import DAY_MS, Entry, root_hash
from hil.ceremony import Ceremony
from hil.devices.demo import units_of
from hil.devices.seplos_v3 import ASKS, PIC
from hil.expr import Value
from hil.pki import AGGREGATOR, OFFLINE, OVER, ROLES, claim, draft_of, public_key, signed

FLEET = "bench"
DEVICE = "home-0001"
BUS = "rs485"
BAUD = 19_200
RATED_W = 11_400
CAPACITY_WH = 25_000

_DEFAULTS: Mapping[str, Mapping[str, Value]] = {
    "agent": {"id": DEVICE, "fleet": FLEET, "state_dir": "state", "socket": "batteryd.sock"},
    "site": {
        "nameplate_charge_w": RATED_W,
        "nameplate_discharge_w": RATED_W,
        "capacity_wh": CAPACITY_WH,
        "import_limit_w": 24_000,
        "export_limit_w": RATED_W,
    },
}
ASKING = "bench_asking"  # the profile of a BMS that asks to be charged: Seplos' registers, and a bit of the bench's
_PROFILES = {"battery": "seplos_v3", "meter": "eastron_sdm630", "inverter": "sunspec_hybrid"}


def write_config(
    directory: Path,
    *,
    line: Mapping[str, Value],
    brokers: tuple[str, ...] = (),
    device: Path | None = None,
    overrides: Mapping[str, Mapping[str, Value]] | None = None,
    polls: Mapping[str, Mapping[str, int]] | None = None,
    home: Mapping[str, Value] | None = None,
) -> Path:
    """Write `batteryd.toml` into `directory` and return its path.

    `line`: keys of [[bus]], such as {"port": "/dev/pts/3"}. `brokers` "host:port" and the `device` directory of hil.pki
    make the link; without them the agent runs alone. `overrides`: keys of any section of the agent's configuration.
    `polls`: block periods in ms instead of the profile's, by role. `home`: a scenario's: how many of each.
    """
    sections: dict[str, dict[str, Value]] = {name: dict(body) for name, body in _DEFAULTS.items()}
    for name, body in (overrides or {}).items():
        sections.setdefault(name, {}).update(body)
    profiles = dict(_PROFILES)
    if (home or {}).get("asking"):
        profiles["battery"] = _asking(directory)
        sections["agent"]["profiles"] = str(directory)
    link = sections.pop("link", {})
    text = "".join(_section(f"[{name}]", body) for name, body in sections.items())
    text += _section("[[bus]]", {"name": BUS, "baud": BAUD, **line} if "port" in line else {"name": BUS, **line})
    packs, inverters = (int(str((home or {}).get(key, 1))) for key in ("packs", "inverters"))
    for name, unit in units_of(packs, inverters).items():
        role = name.rstrip("0123456789")
        row: dict[str, Value] = {"name": name, "role": role, "bus": BUS, "unit": unit, "profile": profiles[role]}
        text += _section("[[device]]", row)
        if polls and role in polls:
            text += f"poll_ms = {{ {', '.join(f'{block} = {ms}' for block, ms in polls[role].items())} }}\n"
    if brokers and device is not None:
        files = {name: str(device / file) for name, file in _FILES.items()}
        text += _section("[link]", {**files, **_root_hash(device), **link}) + f"brokers = {json.dumps(list(brokers))}\n"
    path = directory / "batteryd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _asking(directory: Path) -> str:
    """Write that profile into `directory`, as a site may have profiles of its own; its name."""
    text = (PROFILES / "seplos_v3.toml").read_text(encoding="utf-8").replace('id = "seplos_v3"', f'id = "{ASKING}"')
    bit = f'name = "force_charge"\nblock = "state"\nfunction = 1\nat = {PIC + ASKS}\ntype = "bit"\n'
    (directory / f"{ASKING}.toml").write_text(f"{text}\n[[point]]\n{bit}", encoding="utf-8")
    return ASKING


_FILES = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key", "sign_key": "sign.pem", "trust": "trust.json"}


def _root_hash(device: Path) -> dict[str, Value]:
    """That of the claim; a plain trust file has none."""
    path = device / "claim.json"
    return {"root_hash": json.loads(path.read_text("utf-8"))["root_hash"]} if path.exists() else {}


def _section(head: str, body: Mapping[str, Value]) -> str:
    return "\n" + head + "\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in body.items())


def seeded_keys(
    directory: Path, seed: int, begins_ms: int, devices: Mapping[str, str] | None = None
) -> tuple[Path, Ceremony]:
    """Lay files out as hil.pki does, with signing keys made of `seed` and no TLS: in virtual time the same seed must
    give the same signatures. `devices`: name -> what its key is made of. Gives the aggregator's directory, and who
    signs the bundles."""
    aggregator, offline = directory / AGGREGATOR, directory / "offline"
    for path in (aggregator, offline):
        path.mkdir(parents=True, exist_ok=True)
    keys: dict[str, list[Entry]] = {role: [seeded(aggregator / f"{role}.pem", f"{seed}/{role}")] for role in ROLES}
    over = seeded(aggregator / f"{OVER}.pem", f"{seed}/{OVER}")
    keys["dispatch"].append({**over, "nbf": begins_ms - 2 * DAY_MS, "exp": begins_ms - DAY_MS})
    keys |= {name: [seeded(offline / f"{name}.pem", f"{seed}/{name}")] for name in OFFLINE}
    draft = draft_of(FLEET, (), keys, begins_ms - DAY_MS)
    ceremony = Ceremony(draft, {name: offline / f"{name}.pem" for name in OFFLINE})
    public = {}
    for name, text in (devices or {DEVICE: "device"}).items():
        device = directory / "device" / name
        device.mkdir(parents=True, exist_ok=True)
        public[name] = [seeded(device / "sign.pem", f"{seed}/{text}")]
        (device / "trust.json").write_bytes(ceremony.chain)
        _write(device / "claim.json", claim(FLEET, name, "0" * 32, root_hash(signed(draft, ceremony.offline))))
        for file in ("ca.crt", "tls.crt", "tls.key"):
            (device / file).write_text("not used in virtual time\n", encoding="ascii")
    _write(aggregator / "devices.json", {"version": 1, "fleet": FLEET, "groups": [], "devices": public})
    return aggregator, ceremony


def seeded(path: Path, text: str) -> dict[str, str]:
    """Write the signing key that `text` makes; its public half, as a trust file has it."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"bench key {text}".encode()).digest())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return public_key(key.public_key())


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
