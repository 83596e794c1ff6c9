"""`batteryctl wait`: for scripts and for impatient people."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import clock, talk, text

_AGAIN_S = 0.2


def run(args: Namespace) -> int:
    deadline = clock.monotonic_s() + args.timeout
    while True:
        reply = talk.ask(args.socket, "status")
        reached, seen = _reached(reply, args.goal)
        if reached:
            shown = {"v": 1, "ok": True, "code": 0, "goal": args.goal, "text": seen}
            return talk.show(args, shown, [f"{text.symbol('ok')}  {seen}"])
        left = deadline - clock.monotonic_s()
        if left <= 0:
            late = talk.failure(6, f"not {args.goal} within {args.timeout:g} s: {seen}", "batteryctl status")
            return talk.show(args, late)
        clock.nap(min(_AGAIN_S, left))


def _reached(reply: talk.Reply, goal: str) -> tuple[bool, str]:
    if "error" in reply:
        return False, str(reply["error"]["text"])
    if goal == "link":
        link = reply["link"]
        return link["state"] == "up" and bool(link["fresh"]), f"link {link['text']}"
    if goal == "healthy" and reply["code"] != 0:
        return False, str(reply["health"][0]["text"])
    return True, "batteryd is up" if goal == "up" else "batteryd is healthy"
