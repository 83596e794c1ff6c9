"""`python -m hil VERB`: the bench, from one scenario to a whole street. stdout is data, stderr is talk.

Exit codes: 0 ok, 1 a promise or a reach does not hold, 2 usage, 70 bug, 130 interrupted.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Sequence

VERBS = {
    "scenario": ("hil.scenario_cli", "one scenario on one backend: NAME_OR_FILE [--backend] [--seed] [--report DIR]"),
    "coverage": (
        "hil.coverage_cli",
        "hazard x scenario x backend, measured beside required: [--backend NAME] [--keep]",
    ),
    "demo": ("hil.demo", "the whole system as a told story, with a scoreboard: [--seconds N] [--json FILE]"),
    "bench": ("hil.bench.cli", "performance figures: dispatch, virtual, footprint, wire, start, step, all"),
    "fuzz": ("hil.fuzz.cli", "spoiled inputs by the million, judged by rules of our own: TARGET --inputs N --seed N"),
    "campaign": ("hil.campaign.cli", "random faults over random homes in virtual time: --device-days N --seed S"),
    "crash": ("hil.crash.cli", "kill -9 of the real daemon with commands in flight: --kills N --seed S"),
    "fleet": ("hil.street.cli", "many homes at one broker, one of each fault, the others unmoved: --agents N --seed S"),
    "powercut": ("hil.powercut.cli", "the power goes while the store writes; nothing told is lost: --cuts N --seed S"),
    "long": (
        "hil.long.cli",
        "the longer run on record, a slice of each in turn, resumable: --state-dir DIR [--hours H]",
    ),
    "soak": ("hil.soak.cli", "the real daemon at work for long: memory, descriptors, lateness: --minutes N"),
    "teeth": ("hil.teeth.cli", "plants defects in a copy of the source and shows which check finds each"),
    "serve": ("hil.serve", "one simulated device, alone, for any Modbus client: PROFILE --tcp HOST:PORT | --pty"),
    "registrar": ("hil.registrar_server", "the aggregator's desk, to enrol gateways at: DIR [--device ID] [--port N]"),
    "aggregator": (
        "hil.aggregator.cli",
        "an integrator's tool: watch, verify, a verb for every message, registry, forge, lab",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the verb's own module; only that module is imported."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if args else sys.stderr)
        return 0 if args else 2
    if args[0] not in VERBS:
        print(f"no verb {args[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    if argv is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, as by Ctrl-C
    run: Callable[[Sequence[str]], int] = importlib.import_module(VERBS[args[0]][0]).main
    try:
        return run(args[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1


def usage() -> str:
    """What can be asked for."""
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {name.ljust(width)}  {text}" for name, (_, text) in VERBS.items())
    return f"usage: python -m hil VERB ...\n\n{rows}\n\npython -m hil VERB --help tells the rest"


if __name__ == "__main__":
    sys.exit(main())
