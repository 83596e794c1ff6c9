"""`batteryctl verify-chain [FILE...]`: whether settlement records are what was signed, one chain, and receipted.

Needs no daemon and no network: the records, and public keys. Without files it looks at this gateway's own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

from agent.cli import text
from agent.tools import chainfiles
from agent.tools.evidence import Known, examine
from agent.tools.findings import Finding, Verdict
from agent.tools.lines import Refused, guarded

SHOWN = 12
KNOWN = re.compile("([0-9]{1,18}):([0-9A-Fa-f]{64})")


def main(argv: list[str] | None = None) -> int:
    """0 all is as it was signed, 1 it is not, 2 usage or a file."""
    parser = argparse.ArgumentParser(prog="batteryctl verify-chain", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--keys", action="append", default=[])
    parser.add_argument("--known", default="")
    parser.add_argument("--config", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        verdict = _verdict(args)
    except Refused as error:
        return refused(args.json, error)
    guarded(lambda: _tell(verdict, args.json))
    return 0 if verdict.ok else 1  # also where nobody read it to the end


def _tell(verdict: Verdict, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"v": 1, "ok": verdict.ok, "code": 0 if verdict.ok else 1, **asdict(verdict)}))
    else:
        for line in page(verdict):
            print(line)
    return 0


def refused(as_json: bool, error: Refused) -> int:
    """Say what was wrong with the question."""
    if as_json:
        print(json.dumps({"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}))
    else:
        for name, words in (("xx  ", str(error)), ("    next     ", error.next_)):
            for line in text.hang(name, words, len(name)):
                print(line, file=sys.stderr)
    return error.code


def _verdict(args: argparse.Namespace) -> Verdict:
    own = not args.files
    config = chainfiles.load_config(args.config) if own or not args.keys else None
    keys = chainfiles.read_keys(args.keys) if args.keys else chainfiles.own_keys(config) if config else None
    assert keys is not None
    files = [Path(name) for name in args.files] if not own else chainfiles.archive_of(config) if config else []
    if not files:
        raise Refused(2, "there are no settlement records yet", "batteryctl status")
    heads = [("what was written down", *head)] if (head := _known(args.known)) is not None else []
    gone, held, home = None, None, keys.home
    if own and config is not None:
        held = chainfiles.head_of_store(config)
        gone, home = chainfiles.let_go(files), config.file.agent.id
    damaged: list[chainfiles.Damaged] = []
    verdict = examine(chainfiles.read_lines(files, damaged), keys.device, keys.service, Known(heads, held, home, gone))
    if damaged and not verdict.records:
        raise chainfiles.spoilt(damaged)
    verdict.findings += [Finding("unreadable", None, each.path.name, each.why) for each in damaged]
    return verdict


def _known(words: str) -> tuple[int, str] | None:
    """`N:HASH`, as the aggregator's portal or an old printout has it."""
    if not words:
        return None
    if (found := KNOWN.fullmatch(words)) is None:
        raise Refused(2, f"--known {words:.80}: expected NUMBER:HASH, 64 hexadecimal digits", "--known 1234:6f3a...")
    return int(found[1]), found[2].lower()


def page(v: Verdict) -> list[str]:
    """For people."""
    whose = f" of {v.home.removeprefix('dev:')}" if v.home is not None else ""
    rows = [_row("ok" if v.records else "fault", f"{v.records} records{whose}, {_span(v)}; {v.signed} signatures hold")]
    if v.receipts:
        upto = f"up to record {v.receipted}" if v.receipted is not None else "none of them over these records"
        rows.append(
            _row("ok" if v.receipted is not None else "warn", f"{v.receipts} receipts of the aggregator, {upto}")
        )
    else:
        rows.append(_row("warn", "no receipt of the aggregator is among them: only the gateway has signed"))
    rows += [_row("note", note) for note in v.notes[:SHOWN]]
    rows += [_row("warn", loss) for loss in v.losses[:SHOWN]]
    for finding in v.findings[:SHOWN]:
        which = f"record {finding.n}" if finding.n is not None else "a line" if ":" in finding.where else "a file"
        rows.append(_row("fault", f"{finding.kind}: {which} at {finding.where}: {finding.sentence}"))
    if len(v.findings) > SHOWN:
        rows.append(_row("fault", f"and {len(v.findings) - SHOWN} more; --json shows all"))
    rows.append(_row("ok", _whole(v)) if v.ok else _row("fault", "these records are NOT what was signed"))
    if v.ok:
        rows.append(_row("note", f"head {v.last}:{v.head}"))
    return [line for row in rows for line in row]


def _whole(v: Verdict) -> str:
    since = f" from {v.first} on" if v.first else ""
    rest = f"; what is before record {v.first} is not here, and was not looked at" if v.first else ""
    if v.losses:
        signed = "as they were signed, none changed; missing are only those that the home declares lost"
        return f"the records{since} are {signed}{rest}"
    return f"the records{since} are whole: as they were signed, none missing, none changed{rest}"


def _span(v: Verdict) -> str:
    return f"{v.first} to {v.last}" if v.first is not None else "none readable"


def _row(level: str, words: str) -> list[str]:
    return list(text.hang(f"{text.symbol(level)}  ", words, 4))


if __name__ == "__main__":
    sys.exit(guarded(main))
