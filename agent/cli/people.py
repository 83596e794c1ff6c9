"""`batteryctl optout`, `optin` and `override`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import talk, text

EXAMPLE = "batteryctl override -1500 --for 15min; or: override off"


def run(args: Namespace) -> int:
    wish: dict[str, object] = {}
    if args.verb == "override":
        if (args.watts is None) != (args.length is None):
            return talk.show(args, talk.failure(2, "a power needs a length, and off needs none", EXAMPLE))
        wish = {} if args.watts is None else {"watts": args.watts, "for_s": args.length}
    elif args.verb == "optout" and args.length is not None:
        wish = {"for_s": args.length}
    reply = talk.with_pin(args, args.verb, **wish)
    return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))
