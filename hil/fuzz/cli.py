"""`python -m hil fuzz TARGET --inputs N --seed N`: spoiled inputs by the million, judged by rules of our own.

The same seed gives the same inputs. Exit 0 only if nothing was accepted that the rules forbid, nothing raised, and
what is honest still got through.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hil.amount import count
from hil.report import sheet

TARGETS = {
    "port": ("hil.fuzz.port", "mutated Modbus frames, RTU and TCP, through drivers.port and drivers.codec"),
    "codec": ("hil.fuzz.codec", "register values of every type at sentinels, extremes and random bits"),
    "jws": ("hil.fuzz.jws", "tokens: what is verified is an honest one, to the byte; by coverage, as all below"),
    "message": ("hil.fuzz.message", "claims behind a good signature"),
    "trust": ("hil.fuzz.trust", "the trust file"),
    "bundle": ("hil.fuzz.bundle", "trust bundles, also behind every signature there is"),
    "config": ("hil.fuzz.config", "batteryd.toml"),
    "local": ("hil.fuzz.local", "requests on the local socket, of somebody who may only look"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(
        prog="python -m hil fuzz",
        description="\n".join(f"{name:<8} {text}" for name, (_, text) in TARGETS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--inputs", type=count, default=50_000, help="default 50,000")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument(
        "--corpus", type=Path, metavar="DIR", help="inputs that reached something new: kept, and begun with"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    if args.corpus is not None and args.target in ("port", "codec"):
        parser.error(f"{args.target} is not fuzzed by coverage: it has no corpus")
    if args.corpus is not None and args.corpus.exists() and not args.corpus.is_dir():
        parser.error(f"--corpus {args.corpus}: a file; give a directory, which is made where there is none")
    if args.corpus is not None:
        try:
            args.corpus.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--corpus {args.corpus}: {error.strerror}; give a directory that can be made")
    run = importlib.import_module(TARGETS[args.target][0]).run
    kept = {} if args.corpus is None else {"kept": args.corpus}
    report = run(args.inputs, args.seed, **kept)
    return sheet.told(report, args, "fuzz", sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
