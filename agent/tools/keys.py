"""`batteryctl keys`: this gateway's own keys, and whom it believes. Everything by files; it prints no secret."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.cli import text
from agent.link import files, jws, keys
from agent.link import roles as matrix
from agent.link.anchor import HOMEOWNER_KEYS, Anchor, public_key
from agent.runtime.real import ntp_synced
from agent.tools import chainfiles, enrol, keyfiles, online
from agent.tools.enrol import Consented, Gateway, Moment
from agent.tools.lines import Refused

Body = dict[str, Any]
RENEW = "sudo systemctl enable --now batteryd-renew.timer"
RESTART = "sudo systemctl restart batteryd; batteryctl wait --for link"


def main(argv: list[str] | None = None) -> int:
    """0 done, 2 a file or the usage, 4 refused by a rule, 5 the disk."""
    args = _arguments(argv)
    try:
        body = _run(args)
    except Refused as error:
        body = {"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}
    except OSError as error:
        what = f"{error.filename or 'the disk'}: {error.strerror or error}"
        body = {"v": 1, "ok": False, "code": 5, "error": {"text": what, "next": "sudo batteryctl keys ..."}}
    _print(args, body)
    return int(body["code"])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batteryctl keys", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("show", "enrol", "rotate", "homeowner"))
    parser.add_argument("what", nargs="?")
    for option in ("--claim", "--bundle", "--url", "--certificate", "--ca", "--consent", "--key", "--out"):
        parser.add_argument(option)
    parser.add_argument("--due", action="store_true", help="only when half of the certificate's life is over")
    parser.add_argument("--config", required=True)
    parser.add_argument("--pin-stdin", action="store_true")
    parser.add_argument("--running", action="store_true", help="batteryd runs")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def _run(args: argparse.Namespace) -> Body:
    try:
        home = Gateway(configuration.load(Path(args.config)))
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE shows what is wrong with it") from error
    verb = {"enrol": "keys_enrol", "rotate": "keys_rotate", "homeowner": "keys_homeowner"}.get(args.action, "keys_show")
    role = "technician" if os.geteuid() in (0, home.owner.uid) else "viewer"
    if not matrix.may_ask(role, verb):
        raise Refused(4, f"keys {args.action} needs a technician", f"sudo batteryctl keys {args.action} ...")
    if args.action == "show":
        return _show(home)
    if args.action == "rotate":
        return _rotate(home, args)
    return _homeowner(home, args) if args.action == "homeowner" else _enrol(home, args)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251  # an offline tool: there is no agent whose clock it could ask


def _moment() -> Moment:
    return Moment(_wall_ms(), ntp_synced())


def _asleep(args: argparse.Namespace) -> None:
    """The daemon keeps its trust in memory and would write it over ours."""
    if args.running:
        raise Refused(
            4, "batteryd runs, and it alone writes its trust then", "sudo systemctl stop batteryd, then again"
        )


def _done(lines: list[str], next_: str, **rest: object) -> Body:
    return {"v": 1, "ok": True, "code": 0, "lines": lines, "next": next_, **rest}


# --- enrol ------------------------------------------------------------------------------------------------------------
def _enrol(home: Gateway, args: argparse.Namespace) -> Body:
    if args.certificate:
        return _certificate(home, args)
    if args.url and args.claim:
        return _online(home, args)
    if not args.bundle:
        ways = "at first --claim FILE --url URL, or --claim FILE --bundle FILE; later --bundle FILE; "
        raise Refused(2, "enrol what?", f"{ways}--certificate FILE --ca FILE")
    _asleep(args)
    chain = enrol.read_chain(Path(args.bundle))
    if not args.claim:
        anchor, said = enrol.carried(home, chain, _wall_ms())
        home.keep(anchor)
        return _done([said], RESTART, version=anchor.bundle.version)
    claim = enrol.read_claim(Path(args.claim))
    anchor, said = enrol.believe(home, claim, chain, _moment(), lambda: _consented(home, args))
    signer, made = keyfiles.sign_key(home.path("sign_key"), home.owner)
    csr = keyfiles.request_of(keyfiles.tls_key(home.path("key"), home.owner, anew=False), home.device)
    out = Path(args.out or f"{home.device}.enrol")
    home.owner.put(home.path("trust"), Path(args.bundle).read_bytes(), 0o644)
    home.keep(anchor)
    out.write_bytes(enrol.request(home, signer, csr, claim) + b"\n")
    lines = [
        f"{said}: bundle {anchor.bundle.version} of fleet {anchor.bundle.fleet}, root {claim.root_hash[:16]}...",
        f"signing key {signer.kid} {'made' if made else 'kept'} in {home.path('sign_key')}",
        f"request for the aggregator written to {out}; it shows no secret",
    ]
    next_ = f"give {out} to the aggregator, then batteryctl keys enrol --certificate FILE --ca FILE; destroy the claim"
    return _done(lines, next_, kid=signer.kid, request=str(out), version=anchor.bundle.version)


def _online(home: Gateway, args: argparse.Namespace) -> Body:
    """Claim to certificate in one go. Nothing is kept before everything is proven, but the keys that were made here."""
    _asleep(args)
    claim = enrol.read_claim(Path(args.claim))
    first = online.FirstTrust(home, claim, args.url, _moment())
    anchor, said = first.believe(lambda: _consented(home, args))
    first.prepare()
    signer, made = keyfiles.sign_key(home.path("sign_key"), home.owner)
    cert, authorities = first.certify(signer)
    first.keep(anchor, cert, authorities)
    lines = [
        f"{said}: bundle {anchor.bundle.version} of fleet {anchor.bundle.fleet}, root {claim.root_hash[:16]}...",
        f"signing key {signer.kid} {'made' if made else 'kept'} in {home.path('sign_key')}",
        f"certificate of {home.device}, valid until {cert.not_valid_after_utc:%Y-%m-%d}",
    ]
    return _done(
        lines,
        f"destroy the claim; batteryctl net check; {RENEW}; {RESTART}",
        kid=signer.kid,
        version=anchor.bundle.version,
    )


def _certificate(home: Gateway, args: argparse.Namespace) -> Body:
    data = enrol.read(Path(args.certificate), keyfiles.PEM_MAX)
    ca_data = enrol.read(Path(args.ca) if args.ca else home.path("ca"), keyfiles.PEM_MAX)
    cert, ca = keyfiles.certificate(data), keyfiles.certificate(ca_data)
    if cert is None or ca is None:
        raise Refused(2, "certificate or CA is not a certificate in PEM", "copy them anew, as the aggregator gave them")
    wrong = keyfiles.wrong_with(cert, ca, home.device, _wall_ms())
    if wrong is not None:
        raise Refused(4, f"the certificate cannot be used: {wrong}", "ask the aggregator for one of this request")
    online.settle(home)
    online.put_files(home, cert, data, ca_data)
    lines = [f"certificate of {home.device}, valid until {cert.not_valid_after_utc:%Y-%m-%d}"]
    return _done(lines, f"batteryctl net check; {RESTART}", expires=f"{cert.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")


# --- rotate -----------------------------------------------------------------------------------------------------------
def _rotate(home: Gateway, args: argparse.Namespace) -> Body:
    if args.what == "tls":
        online.settle(home)
        if args.url or home.state("registrar").exists():
            return _renew(home, args)
        if args.due:
            return _done(["this gateway did not enrol online: rotate by files, when `keys show` says so"], "")
        signer, _ = keyfiles.sign_key(home.path("sign_key"), home.owner)
        csr = keyfiles.request_of(keyfiles.tls_key(home.path("key"), home.owner, anew=True), home.device)
        out = Path(args.out or f"{home.device}.enrol")
        out.write_bytes(enrol.request(home, signer, csr, None) + b"\n")
        lines = [f"a new TLS key waits in {home.path('key')}{keyfiles.NEXT}", f"request written to {out}"]
        next_ = f"give {out} to the aggregator, then batteryctl keys enrol --certificate FILE"
        return _done(lines, next_, request=str(out))
    if args.what != "sign":
        raise Refused(2, "rotate what? This gateway's own keys are sign and tls", "batteryctl keys rotate sign")
    _asleep(args)
    path, seed = home.path("sign_key"), keyfiles.new_seed()
    old, new = keyfiles.signer_of(path), jws.signer(seed)
    said = enrol.announcement(home, old, new, _wall_ms())
    told = [*keys.load_rotations(home.state("rotation"), old.kid), json.loads(said)][-keys.ROTATIONS :]
    listed = json.dumps({"rotations": told}, separators=(",", ":")).encode("ascii") + b"\n"
    lines = [f"signing key {new.kid} follows {old.kid}", "the next births tell the aggregator, signed by both keys"]
    if args.out:
        if os.path.lexists(args.out):
            raise Refused(2, f"{args.out} is there already", "take another name for the announcement")
        home.owner.put(Path(args.out), said + b"\n", 0o644)
        lines.append(f"the announcement is in {args.out} too")
    former, gone = home.state(chainfiles.FORMER_KEYS), jws.verifier(old.key.public_key().public_bytes_raw())
    home.owner.put(former, chainfiles.with_former(former, gone), 0o644)  # what it signed is checked by it for years
    home.owner.put(home.state("rotation"), listed, 0o644)  # first: the old key goes
    keyfiles.put_seed(path, seed, home.owner)
    return _done(lines, RESTART, kid=new.kid, old=old.kid, file=args.out)


def _renew(home: Gateway, args: argparse.Namespace) -> Body:
    """A new TLS key and its certificate, from where this gateway enrolled. The next connection takes them."""
    present = keyfiles.certificate(enrol.read(home.path("cert"), keyfiles.PEM_MAX))
    if args.due and present is not None and not online.is_due(present, _wall_ms()):
        return _done([f"not due: the certificate is good until {present.not_valid_after_utc:%Y-%m-%d}"], "")
    cert = online.renew(home, args.url, _wall_ms())
    lines = [f"a new TLS key, and a certificate until {cert.not_valid_after_utc:%Y-%m-%d}"]
    return _done(lines, "", expires=f"{cert.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")


# --- homeowner --------------------------------------------------------------------------------------------------------
def _homeowner(home: Gateway, args: argparse.Namespace) -> Body:
    """Name the key that may lower the reserve from afar; up to four (two phones, old and new)."""
    if not args.key:
        raise Refused(
            2, "which key?", 'batteryctl keys homeowner --key FILE ({"kid", "x"}, as the homeowner\'s app shows it)'
        )
    _asleep(args)
    held = home.anchor()
    if held is None:
        raise Refused(4, "this gateway is not enrolled yet", "batteryctl keys enrol --claim FILE --bundle FILE")
    try:
        raw = jws.parse_object(enrol.read(Path(args.key), enrol.CLAIM_MAX))
    except ValueError as error:
        raise Refused(2, f"{args.key}: not strict JSON ({error})", '{"kid", "x"}') from None
    key = public_key(raw.get("x"))
    if set(raw) != {"kid", "x"} or key is None or key.kid != raw["kid"]:
        raise Refused(2, f"{args.key}: not a public key as {{kid, x}}", "copy it anew from the homeowner's app")
    if any(key.kid in of.keys for of in held.bundle.roles.values()) or key.kid in held.bundle.revoked:
        raise Refused(
            4, f"{key.kid} is a key of the aggregator's bundle", "the homeowner's key is the homeowner's alone"
        )
    held = enrol.consent(home, held, "homeowner_key", _digest_of(key), _consented(home, args), _moment())
    named = dict(list(held.homeowner.items())[-(HOMEOWNER_KEYS - 1) :]) | {key.kid: key}
    home.keep(held.named(named))
    return _done(
        [f"{key.kid} may speak for the homeowner; {len(named)} of at most {HOMEOWNER_KEYS}"], RESTART, kid=key.kid
    )


def _digest_of(key: jws.Verifier) -> str:
    import hashlib

    return hashlib.sha256(key.key.public_bytes_raw()).hexdigest()


def _consented(home: Gateway, args: argparse.Namespace) -> Consented:
    if args.consent:
        return Consented(token=enrol.read(Path(args.consent), jws.COMMAND_MAX))
    if args.pin_stdin:
        return Consented(pin=sys.stdin.readline().rstrip("\n"))
    if home.config.file.local.homeowner_pin_hash and sys.stdin.isatty():
        return Consented(pin=getpass.getpass("homeowner's PIN: "))
    return Consented()


# --- show -------------------------------------------------------------------------------------------------------------
def _show(home: Gateway) -> Body:
    rows = [("none", "device", f"{home.device} in fleet {home.fleet}"), _sign_row(home), _tls_row(home)]
    anchor = home.anchor()
    rows += _trust_rows(anchor, home)
    bad = any(level == "fault" for level, _, _ in rows)
    listed = [{"level": level, "name": name, "text": words} for level, name, words in rows]
    return {"v": 1, "ok": not bad, "code": int(bad), "rows": listed, "roles": _kids(anchor)}


def _sign_row(home: Gateway) -> tuple[str, str, str]:
    seed = keys.load_seed(home.path("sign_key"))
    if isinstance(seed, str):
        return "fault", "sign", seed
    return "ok", "sign", f"{jws.signer(seed).kid} in {home.path('sign_key')}"


def _tls_row(home: Gateway) -> tuple[str, str, str]:
    data = files.read(home.path("cert"), keyfiles.PEM_MAX)
    cert = None if isinstance(data, str) else keyfiles.certificate(data)
    if cert is None:
        return (
            "fault",
            "tls",
            f"{home.path('cert')}: no certificate; batteryctl keys enrol --certificate FILE --ca FILE",
        )
    try:
        ours = keyfiles.load_tls_key(home.path("key")).public_key() == cert.public_key()
    except Refused as error:
        return "fault", "tls", str(error)
    end = cert.not_valid_after_utc
    days = int((end.timestamp() * 1000 - _wall_ms()) // 86_400_000)
    if not ours:
        return "fault", "tls", f"{home.path('cert')} is not of the key {home.path('key')}"
    level = "fault" if days < 0 else "warn" if days < 30 else "ok"
    return level, "tls", f"{home.path('cert')} until {end:%Y-%m-%d}, {days} days; batteryctl keys rotate tls renews it"


def _trust_rows(anchor: Anchor | None, home: Gateway) -> list[tuple[str, str, str]]:
    if anchor is None:
        return [("fault", "trust", "not enrolled; batteryctl keys enrol --claim FILE --bundle FILE")]
    held = anchor.bundle
    days = (held.expires_ms - _wall_ms()) // 86_400_000
    level = "fault" if days < 0 else "warn" if days < 18 else "ok"
    rows = [
        (level, "trust", f"bundle {held.version} of fleet {held.fleet}, {days} days left, root hash {anchor.root_hash}")
    ]
    for role, of in held.roles.items():
        rows.append(("none", role, f"{of.threshold} of {len(of.keys)}: {', '.join(of.keys) or 'none'}"))
    named = ", ".join(anchor.homeowner) or "none; batteryctl keys homeowner --key FILE"
    return [*rows, ("none", "homeowner", named), ("none", "revoked", ", ".join(sorted(held.revoked)) or "none")]


def _kids(anchor: Anchor | None) -> dict[str, list[str]]:
    if anchor is None:
        return {}
    return {role: list(of.keys) for role, of in anchor.bundle.roles.items()} | {"homeowner": list(anchor.homeowner)}


def _print(args: argparse.Namespace, body: Body) -> None:
    if args.json:
        print(json.dumps(body))
        return
    if "error" in body:
        for name, words in (("xx ", body["error"]["text"]), ("   next     ", body["error"]["next"])):
            for line in text.hang(name, words, len(name)):
                print(line, file=sys.stderr)
        return
    for row in body.get("rows", ()):
        for line in text.hang(f"{row['name'].upper():11}{text.symbol(row['level'])}  ", row["text"], 15):
            print(line)
    for words in body.get("lines", ()):
        for line in text.hang(f"{text.symbol('ok')}  ", words, 4):
            print(line)
    if body.get("next"):
        for line in text.hang("   next     ", body["next"], 12):
            print(line)


if __name__ == "__main__":
    sys.exit(main())
