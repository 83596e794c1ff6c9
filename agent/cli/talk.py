"""Asking batteryd. Whatever goes wrong is a reply too: the same object that --json prints, with the exit code in it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator

from agent.cli import text
from agent.local.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Reply = dict[str, Any]


def connect(path: str, timeout_s: float = 15.0) -> Client | Reply:
    """A Client, or the reply that says why there is none."""
    try:
        return Client(path, timeout_s)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        seen = "nobody listens at" if isinstance(error, ConnectionRefusedError) else "there is no socket"
        return failure(3, f"batteryd is not running: {seen} {path}", "sudo systemctl start batteryd; batteryctl wait")
    except PermissionError:
        return failure(
            4, f"this user may not open {path}", "sudo batteryctl ..., or join the group that owns the socket"
        )
    except TimeoutError:
        return failure(6, "batteryd does not take connections", "sudo systemctl status batteryd")
    except OSError as error:
        return failure(2, f"{path} cannot be opened as a socket: {error.strerror or error}", "check --socket")


def ask(path: str, verb: str, **args: object) -> Reply:
    """One request, one reply."""
    client = connect(path)
    if isinstance(client, dict):
        return client
    with client:
        for reply in replies(client, verb, **args):
            return reply
    return gone()


def replies(client: Client, verb: str, **args: object) -> Iterator[Reply]:
    """All replies; a broken connection becomes the last one."""
    try:
        yield from client.ask(verb, **args)
    except TimeoutError:
        yield failure(6, "batteryd did not answer in time", "batteryctl status; sudo systemctl status batteryd")
    except (ConnectionError, ValueError) as error:
        yield failure(3, f"the connection to batteryd broke: {error}", "sudo systemctl status batteryd")


def failure(code: int, what: str, next_: str) -> Reply:
    return {"v": 1, "ok": False, "code": code, "error": {"text": what, "next": next_}}


def gone() -> Reply:
    return failure(3, "batteryd closed the connection", "sudo systemctl status batteryd; batteryctl wait")


def with_pin(args: Namespace, verb: str, **wish: object) -> Reply:
    """Ask; where only the homeowner's PIN is missing and a person sits at the terminal, ask for it and ask again."""
    if args.pin_stdin:
        return ask(args.socket, verb, pin=sys.stdin.readline().rstrip("\n"), **wish)
    reply = ask(args.socket, verb, **wish)
    if not (reply.get("error") or {}).get("pin_helps") or not sys.stdin.isatty():
        return reply
    import getpass

    print(f"!! {reply['error']['text']}", file=sys.stderr)
    pin = getpass.getpass("   homeowner's PIN (Enter to leave it as it is): ")
    return ask(args.socket, verb, pin=pin, **wish) if pin else reply


def show(args: Namespace, reply: Reply, lines: Iterable[str] = ()) -> int:
    """Print the reply as --json asks, or `lines`, or its error on stderr. Returns the exit code."""
    if args.json:
        print(json.dumps(reply))
    elif "error" in reply:
        complain(reply["error"])
    else:
        for line in lines:
            print(line)
    return int(reply["code"])


def complain(error: Reply) -> None:
    """A refusal on stderr: what, which limit and its value, the present value, who set it, what to do."""
    facts = [("limit", _limit(error)), ("present", error.get("present")), ("set by", error.get("set_by"))]
    sys.stdout.flush()
    for line in text.hang("xx ", str(error["text"]), 3):
        print(line, file=sys.stderr)
    for name, value in [*facts, ("next", error.get("next"))]:
        if value:
            for line in text.hang(f"   {name:8} ", str(value), 12):
                print(line, file=sys.stderr)


def _limit(error: Reply) -> str | None:
    if not error.get("limit"):
        return None
    return f"{error['limit']} = {error['value']}" if error.get("value") else str(error["limit"])
