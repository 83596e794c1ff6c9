"""`batteryctl stop`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import talk, text


def run(args: Namespace) -> int:
    reply = talk.with_pin(args, "stop")
    return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))
