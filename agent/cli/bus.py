"""`batteryctl bus scan | read | dump | test`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline, talk


def run(args: Namespace) -> int:
    if args.action == "read":
        from agent.cli import bus_read

        return bus_read.run(args)
    if args.action == "test":
        from agent.cli import bus_test

        return bus_test.run(args)
    return _scan(args) if args.action == "scan" else _dump(args)


def _given(args: Namespace, *names: str) -> list[str]:
    """The options that a tool understands too, as they were typed."""
    words: list[str] = []
    for name in names:
        value = getattr(args, name)
        if value is True:
            words.append(f"--{name}")
        elif value:
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(each)]
    return words


def _scan(args: Namespace) -> int:
    if len(args.words) > 1:
        return talk.show(args, talk.failure(2, "scan takes one bus at most", "batteryctl bus scan rs485"))
    arguments = _given(args, "port", "tcp", "baud", "parity", "units", "all", "jk", "json", "config")
    if offline.is_running(args):
        arguments += ["--through", args.socket]
    return offline.run_tool("scan", [*arguments, *args.words])


def _dump(args: Namespace) -> int:
    if len(args.words) != 1 or not args.output:
        return talk.show(args, talk.failure(2, "dump needs a device and a file", "batteryctl bus dump bms -o bms.json"))
    arguments = _given(args, "output", "range", "redact", "json", "config")
    if offline.is_running(args):
        arguments += ["--through", args.socket]
    return offline.run_tool("dump", [*arguments, *args.words])
