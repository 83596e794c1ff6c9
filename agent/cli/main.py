"""batteryctl: what a technician types on the gateway. Loads one verb's module alone, to start fast."""

from __future__ import annotations

import argparse
import io
import os
import sys

from agent.cli import text
from agent.cli.verbs import VERBS

SOCKET = "/run/batteryd/batteryd.sock"
_EXIT_CODES = """\
exit codes: 0 ok, 1 unhealthy, 2 usage, 3 daemon not running, 4 refused by a limit or a role,
            5 device, 6 timed out, 70 bug, 130 interrupted"""


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns its exit code."""
    if sys.stdout is None:  # started with it closed (`>&-`): the exit code still answers
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for good; pathlib is slow
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a degree sign on an ASCII terminal is no reason to fail
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader went away (`| head`): not our error; keep the interpreter from flushing into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # noqa: BLE001  # whatever it is, it is our bug: say so, exit 70
        return _bug(error)


def _run(argv: list[str]) -> int:
    parser = _parser(argv)
    args, rest = parser.parse_known_args(argv)
    if rest and "words" in args and not any(word.startswith("-") for word in rest):
        args.words += rest  # argparse takes free words at one place only: `bus read --unit 2 0 4`
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    module = __import__(f"agent.cli.{VERBS[args.verb].module}", fromlist=["run"])
    code = module.run(args)
    sys.stdout.flush()
    return int(code)


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="batteryctl",
        description="Ask and steer the battery agent on this gateway.",
        epilog=_EXIT_CODES,
        formatter_class=_help,
    )
    _common(parser, json=False, socket=os.environ.get("BATTERYD_SOCKET") or SOCKET)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog="batteryctl")
    for name in [verb for verb in argv if verb in VERBS] or VERBS:  # only what this line can need, to start fast
        verb = VERBS[name]
        sub = verbs.add_parser(name, help=verb.help, description=verb.help, formatter_class=_help)
        _common(sub)
        verb.options(sub)
    return parser


def _common(parser: argparse.ArgumentParser, **defaults: object) -> None:
    """The options that stand before or after the verb. Verbs get no defaults: they would undo what stood before."""
    text = f"batteryd's socket (default $BATTERYD_SOCKET, else {SOCKET})"
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help='one JSON object, with "v": 1')
    parser.add_argument("--socket", metavar="PATH", default=argparse.SUPPRESS, help=text)
    parser.set_defaults(**defaults)


def _help(prog: str) -> argparse.HelpFormatter:
    # argparse makes one for every option that is added, and without a width it imports shutil, with three compressors
    return argparse.RawDescriptionHelpFormatter(prog, width=text.width() - 2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it exits, as the original does
        print(f"xx {self.prog}: {message}", file=sys.stderr)
        print(f"   next     {_suggest(message) or f'{self.prog} --help'}", file=sys.stderr)
        sys.exit(2)


def _suggest(message: str) -> str | None:
    """`invalid choice: 'stauts'` -> `batteryctl status`."""
    if "argument VERB: invalid choice: '" not in message:
        return None
    import difflib

    typed = message.partition("invalid choice: '")[2].partition("'")[0]
    near = difflib.get_close_matches(typed, VERBS, n=1)
    return f"batteryctl {near[0]}" if near else None


def _bug(error: Exception) -> int:
    import traceback

    traceback.print_exception(error)
    print("xx that is a bug in batteryctl, not something you did", file=sys.stderr)
    print("   next     report it with the lines above and the output of: batteryctl version", file=sys.stderr)
    return 70
