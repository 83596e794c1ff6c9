"""One simulated device, alone, for any Modbus client: on a TCP port or a pty.

The three devices of the demo home live on a home that goes on in real time; the others of drivers/profiles are still
pictures (`hil.devices.still`).
"""

from __future__ import annotations

import os
import selectors
import socket
import time
import tty
from collections.abc import Callable, Mapping
from pathlib import Path

from hil.devices.ports import FrameLine, Line, TcpPeer
from hil.devices.sdm630 import sdm630
from hil.devices.seplos_v3 import seplos_v3
from hil.devices.slave import Slave, Slaves
from hil.devices.still import dialect_of, other_units, profile_names, still_device
from hil.devices.still_dialect import StillDialect
from hil.devices.sunspec_hybrid import sunspec_hybrid
from hil.devices.world import Value, params_of
from hil.plant.home import Home
from hil.wire.owner import Owner

TICK_S = 0.1
LIVE: Mapping[str, tuple[Callable[[Home, int], Slave], int]] = {
    "seplos_v3": (seplos_v3, 1),
    "eastron_sdm630": (sdm630, 2),
    "sunspec_hybrid": (sunspec_hybrid, 3),
}


class Server:
    """`address` of TCP or `link` of the pty is known once it is made; `run` serves until `stopped` is set."""

    def __init__(
        self,
        profile: str,
        tcp: str | None = None,
        pty: str | None = None,
        unit: int | None = None,
        seed: int = 1,
        home: Mapping[str, Value] | None = None,
    ) -> None:
        """`profile`: the id of a shipped one, or a FILE.toml. `tcp`: "HOST:PORT", port 0 = any free one. `pty`: a path
        for the name of the pty, "" = its own name only; a file that is no such name is left alone. `unit`: 0..255.
        ValueError says what is wrong.
        """
        if unit is not None and not 0 <= unit <= 255:
            raise ValueError(f"{unit} is no unit address; it is one byte, 0 to 255")
        self.home: Home | None = None
        self._frames: StillDialect | None = None
        slave: Slave | None
        if profile in LIVE:
            make, usual = LIVE[profile]
            self.home = Home(seed, params_of(home or {}), time.monotonic_ns())
            slave = make(self.home, usual if unit is None else unit)
        else:
            slave = None
            if dialect_of(profile):
                self._frames = StillDialect(profile, 1 if unit is None else unit)
            else:
                slave = still_device(profile, 1 if unit is None else unit)
        self.unit = slave.unit if slave is not None else 1 if unit is None else unit
        more = [] if profile in LIVE else [still_device(profile, at, name) for name, at in other_units(profile).items()]
        self.slaves = Slaves([] if slave is None else [slave, *more])
        self.stopped = False
        self.address: tuple[str, int] | None = None
        self.link: str | None = None
        self._named: Path | None = None
        self._owner: Owner | None = None
        self._selector = selectors.DefaultSelector()
        if tcp is not None:
            self._listen(tcp)
        if pty is not None:
            self._open_pty(pty)
        if tcp is None and pty is None:
            raise ValueError("say where to serve: a TCP address, a pty, or both")

    def run(self) -> None:
        """Serve. One turn takes at most 0.1 s, so setting `stopped` from a signal handler is enough."""
        while not self.stopped:
            if self.home is not None:
                self.home.advance_to(time.monotonic_ns())
            for key, _ in self._selector.select(TICK_S):
                key.data()

    def close(self) -> None:
        """Take the pty's name away and hang up."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        if self._owner is not None:
            self._owner.close()
        if self._named is not None:
            self._named.unlink(missing_ok=True)

    def _listen(self, address: str) -> None:
        if self._frames is not None:
            raise ValueError("this device is not Modbus and has no TCP; serve it on a pty")
        host, _, port = address.rpartition(":")
        if not port.isdecimal() or int(port) > 0xFFFF:
            raise ValueError(f"{address!r} is not HOST:PORT, for example 127.0.0.1:1502")
        listener = socket.create_server((host, int(port)))
        self.address = listener.getsockname()[:2]

        def accept() -> None:
            connection, _ = listener.accept()
            peer = TcpPeer(connection, self.slaves)

            def readable() -> None:
                if not peer.readable():
                    self._selector.unregister(connection)
                    connection.close()

            self._selector.register(connection, selectors.EVENT_READ, readable)

        self._selector.register(listener, selectors.EVENT_READ, accept)

    def _open_pty(self, link: str) -> None:
        ours, theirs = os.openpty()  # both stay open: the client may come and go
        tty.setraw(ours)
        tty.setraw(theirs)
        self.link = os.ttyname(theirs)
        if link:
            named = Path(link)
            if named.is_symlink():  # what an earlier run left behind
                named.unlink()
            try:
                named.symlink_to(self.link)
            except FileExistsError as error:
                raise ValueError(f"{link} is there already and is no pty's name; take another") from error
            self._named = named
            self.link = link
        line = Line(ours, self.slaves) if self._frames is None else FrameLine(ours, self._frames)
        self._selector.register(ours, selectors.EVENT_READ, line.readable)
        self._owner = Owner(theirs)
        self._selector.register(self._owner.fd, selectors.EVENT_READ, self._owner.release)


def profiles() -> tuple[str, ...]:
    """Names that `Server` takes."""
    return tuple(sorted({*LIVE, *profile_names()}))
