"""`batteryctl watch`: the live screen; one line a cycle where the cursor cannot move; --json is one object a cycle."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace

from agent.cli import clock, screen, talk
from agent.cli.painter import Painter
from agent.local.client import Client

_SMALLEST = (60, 16)  # columns, rows


def run(args: Namespace) -> int:
    client = talk.connect(args.socket)
    if isinstance(client, dict):
        return talk.show(args, client)
    with client:
        end = _live(client) if not args.json and _can_paint() else _plain(client, args)
    return end if isinstance(end, int) else talk.show(args, end)


def _can_paint() -> bool:
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return False
    columns, rows = os.get_terminal_size(1)
    return columns >= _SMALLEST[0] and rows >= _SMALLEST[1]


def _plain(client: Client, args: Namespace) -> int | talk.Reply:
    for reply in talk.replies(client, "watch"):
        if "error" in reply:
            return reply
        print(json.dumps(reply) if args.json else screen.one_line(reply), flush=True)
    return talk.gone()


def _live(client: Client) -> int | talk.Reply:
    """Until q (0), Ctrl-C (130), or the daemon's end. The last picture stays on the screen."""
    with _Keys() as keys:
        client.send("watch")
        try:
            return _loop(client, keys)
        except (ConnectionError, ValueError) as error:
            return talk.failure(3, f"the connection to batteryd broke: {error}", "sudo systemctl status batteryd")
        finally:
            print(flush=True)


def _loop(client: Client, keys: _Keys) -> int | talk.Reply:
    latest: talk.Reply | None = None
    came = clock.monotonic_s()
    size, painter = None, None
    while True:
        news, typed = client.poll(1.0, *keys.files)
        pressed = keys.read() if typed else b""
        if b"q" in pressed:
            return 0
        if news:
            latest, came = news[-1], clock.monotonic_s()  # a slow terminal skips pictures, it does not lag behind
        if latest is not None and "error" in latest:
            return latest
        if client.ended:
            return talk.gone()
        if latest is None:
            continue
        if painter is None or size != os.get_terminal_size(1) or b"\x0c" in pressed:
            size = os.get_terminal_size(1)
            painter = Painter(*size)
        silent_s = int(clock.monotonic_s() - came)
        sys.stdout.write(painter.paint(screen.draw(latest, size[0] - 1, size[1], silent_s)))
        sys.stdout.flush()


class _Keys:
    """Single keys from the terminal, without Enter; puts the terminal back, also after SIGTERM."""

    def __init__(self) -> None:
        self.files = (0,) if sys.stdin.isatty() else ()

    def __enter__(self) -> _Keys:
        if self.files:
            import signal
            import termios

            self._before = termios.tcgetattr(0)
            changed = termios.tcgetattr(0)
            changed[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(0, termios.TCSADRAIN, changed)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_: object) -> None:
        if self.files:
            import termios

            termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def read(self) -> bytes:
        data = os.read(0, 64)
        if not data:
            self.files = ()  # stdin has ended: the picture goes on
        return data
