"""`batteryctl device list | show NAME | check NAME | adopt NAME`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import device_table, offline, talk, text


def run(args: Namespace) -> int:
    if args.action == "check":
        return _check(args)
    if args.action in ("adopt", "show") and not args.name:
        wanted = talk.failure(2, f"{args.action} needs the name of a device", "batteryctl device list")
        return talk.show(args, wanted)
    if args.action == "adopt":
        reply = talk.ask(args.socket, "adopt", device=args.name)
        return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))
    with offline.Reached(args) as there:
        if args.action == "show":
            reply = there.ask("device", device=args.name)
            return talk.show(args, reply, [] if "error" in reply else device_table.show(reply))
        reply = there.ask("device")
        return talk.show(args, reply, [] if "error" in reply else device_table.table(reply))


def _check(args: Namespace) -> int:
    if not args.name and not (args.profile and args.capture):
        what = "check needs the name of a device, or --profile and --capture"
        return talk.show(args, talk.failure(2, what, "batteryctl device check bms"))
    given = [("--profile", args.profile), ("--capture", args.capture), ("--config", args.config)]
    arguments = [word for option, value in given if value for word in (option, str(value))]
    if args.name:
        arguments += [args.name]
    if args.json:
        arguments.append("--json")
    if not args.capture and offline.is_running(args):
        arguments += ["--through", args.socket]
    return offline.run_tool("check", arguments)
