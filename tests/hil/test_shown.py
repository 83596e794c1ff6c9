"""A fault is on by what the world shows: with its effect taken out each kind of the catalogue stays unseen."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.runtime.virtual import VirtualRuntime
from hil.backends import state
from hil.backends.gateway import Gateway, answers
from hil.backends.machine import Adapter
from hil.backends.virtual import VirtualBackend
from hil.devices.slave import seal
from hil.devices.sunspec_hybrid import OUT_W_RTE, STOR_CTL_MOD
from hil.devices.world import World
from hil.expr import Value
from hil.faults.catalog import REQUIRED, VERBS
from hil.faults.inside import Orders
from hil.faults.shown import Shown, became, grew
from hil.runner import Runner
from hil.scenario import parse
from hil.supervisor import Supervisor
from hil.virtual_broker import VirtualBroker
from hil.wire.virtual import VirtualWire

S = 1_000_000_000
GIVEN: Mapping[str, Mapping[str, Value]] = {  # by verb, where the catalogue has no default
    "bms.ccl": {"ccl_ma": 5_000},
    "bms.dcl": {"dcl_ma": 5_000},
    "bms.bias": {"permille": 100},
    "bms.word": {"field": "soc", "value": 300},
    "bms.add": {"field": "soc", "value": 50},
    "bms.scale": {"field": "pack_v", "value": 500},
    "bms.alarm": {"offset": 3},
    "inverter.word": {"field": "maker", "value": 1},
    "inverter.floor": {"permille": 700},
    "inverter.remote": {"w": 3000},
    "meter.clamp": {"leg": 1},
    "meter.word": {"field": "volts", "value": 0},
    "bus.noise": {"permille": 300},
    "bus.late": {"ms": 500},
    "grid.frequency": {"mhz": 59_300},
    "grid.voltage": {"mv": 190_000},
    "clock.step": {"s": 60},
    "config.bad": {"key": "max_import_w", "value": -1},
}
MACHINE = (
    "usb.unplug broker.kill clock.step clock.untrusted disk.corrupt disk.keep disk.restore proc.kill9 proc.term "
    "proc.crash"
).split()
PROCESS = "proc.stall proc.leak proc.freeze disk.full disk.readonly disk.cut config.bad".split()
HOME = sorted(name for name, verb in VERBS.items() if verb.observe and name not in (*MACHINE, *PROCESS))


def arguments(verb: str) -> dict[str, Value]:
    given = GIVEN.get(verb, {})
    defaults = {key: default for key, (_, default) in VERBS[verb].args.items() if default is not REQUIRED}
    return {**defaults, **given}  # type: ignore[dict-item]  # the catalogue holds scalars


def name_in(verb: str) -> str:
    """What its observe asks for."""
    found = re.fullmatch(r"on\('(.+)'\)", VERBS[verb].observe.format(**{"device": "", **arguments(verb)}))
    assert found is not None
    return found[1]


# --- the home ---------------------------------------------------------------------------------------------------------
READS = ("01 04 10 00 00 11", "01 01 12 00 00 80", "02 04 00 00 00 50", "03 03 9d 04 00 1a", "03 03 9c 40 00 7d")


class Lived:
    """A home whose master reads everything each second, commands 1 kW, then 0 W, and once the utility is gone."""

    def __init__(self) -> None:
        self.world = World(1, {"soc_permille": 600, "load_w": 2000, "pv_w": 0})
        self.now_ns = S
        wire = VirtualWire(self.world.slaves, 19_200, lambda ns, fn: fn(), lambda data, at: None, 1, strict=False)
        self.world.wire = self.wire = wire

    def home(self, op: str, **args: Value) -> None:
        self.world.do(op, self.now_ns, **args)

    def say(self, text: str) -> None:
        self.wire.transmit(seal(bytes.fromhex(text)), self.now_ns)
        self.now_ns += S // 5

    def command(self, share: int) -> None:
        """Hundredths of a percent of the rating, ended by its timer after a minute."""
        words = f"{share & 0xFFFF:04x}{-share & 0xFFFF:04x}0000003c"
        self.say(f"03 10 {OUT_W_RTE:04x} 0004 08 {words}")
        self.say(f"03 06 {STOR_CTL_MOD:04x} 0003")

    def second(self, number: int) -> set[str]:
        for read in READS:
            self.say(read)
        {1: lambda: self.command(877), 5: lambda: self.command(877), 7: lambda: self.command(0)}.get(
            number, lambda: None
        )()
        if number == 6:
            self.home("soc", permille=500)
        if number == 9:
            self.home("outage", on=True)
        return set(str(self.world.signals(self.now_ns)["bench.faults"]).split())

    def shows(self, verb: str) -> bool:
        """Whether it was on in any second after it was done."""
        seen = self.second(1) | self.second(2)
        assert name_in(verb) not in seen
        VERBS[verb].apply(self, "x", arguments(verb))  # type: ignore[arg-type]  # of a rig it needs the home alone
        return any(name_in(verb) in self.second(number) for number in range(3, 12))


def idle(**args: Value) -> None:
    """Does nothing."""


@pytest.mark.parametrize("verb", HOME)
def test_a_fault_of_the_home_shows_and_with_its_effect_taken_out_it_does_not(verb: str) -> None:
    assert Lived().shows(verb)
    lived, broken = Lived(), {}
    ops = dict(lived.world._ops)

    class Rig:
        def home(self, op: str, **args: Value) -> None:
            broken[op] = ops[op]
            lived.world._ops = {**ops, op: idle}
            lived.world.do(op, lived.now_ns, **args)
            lived.world._ops = ops

    seen = lived.second(1) | lived.second(2)
    VERBS[verb].apply(Rig(), "x", arguments(verb))  # type: ignore[arg-type]
    last = 9 if name_in(verb) == "outage" else 12  # that of the story would ask for the same name
    seen |= set[str]().union(*(lived.second(number) for number in range(3, last)))
    assert broken
    assert name_in(verb) not in seen


@pytest.mark.parametrize(("verb", "setter"), [("bus.echo", "set_echo"), ("bus.late", "set_late")])
def test_a_wire_that_does_not_do_it_shows_nothing(verb: str, setter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VirtualWire, setter, lambda *_: None)
    assert not Lived().shows(verb)


def test_zeros_that_never_left_the_device_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.faults.registers.Spoil.__call__", lambda self, function, address, reply: reply)
    assert not Lived().shows("bms.zeros")
    assert not Lived().shows("bms.word")


def test_a_fault_of_one_value_is_not_shown_by_that_of_another() -> None:
    lived = Lived()
    lived.home("report", device="battery", field="soc", way="set", value=300)
    lived.home("report", device="battery", field="temp_max", way="add", value=0)
    seen = lived.second(2)
    assert "report:battery:soc" in seen
    assert "report:battery:temp_max" not in seen


def test_what_is_done_again_has_to_show_again_and_what_ends_is_off() -> None:
    shown, count = Shown(), [0]
    shown.ask("echo", grew(lambda: count[0]))
    assert shown.names() == set()
    count[0] += 1
    assert shown.names() == {"echo"}
    shown.ask("echo", grew(lambda: count[0]))
    assert shown.names() == set()
    count[0] += 1
    assert shown.names() == {"echo"}
    shown.end("echo")
    assert shown.names() == set()


def test_what_was_so_all_along_is_nobodys_doing() -> None:
    assert not became(lambda: True)()


# --- the gateway ------------------------------------------------------------------------------------------------------
def story(verb: str) -> str:
    args = ", ".join(f"{key} = {json.dumps(value)}" for key, value in arguments(verb).items())
    first = '\n[[event]]\nat = "0s"\ndo = "disk.keep"\n' if verb == "disk.restore" else ""
    return f"""
[scenario]
name = "shown"
duration = "16s"
{first}
[[event]]
id = "fault"
at = "10s"
do = "{verb}"
args = {{ {args} }}
"""


def takes_effect(verb: str) -> bool:
    outcome = Runner(parse(story(verb), "shown.toml"), VirtualBackend(observed=False, traced=False), 1).run()
    missing = [verdict.name for verdict in outcome.verdicts if not verdict.ok]
    assert missing in ([], ["fault took effect"])
    return not missing


def nothing(*args: Any, **more: Any) -> None:
    """Does nothing."""


def pinned(value: bool) -> property:
    return property(lambda self: value, lambda self, other: None)


OUT: Mapping[str, tuple[object, str, object]] = {  # where the effect is taken out
    "usb.unplug": (Adapter, "plugged", pinned(True)),
    "broker.kill": (VirtualBroker, "set_up", nothing),
    "clock.step": (VirtualRuntime, "step_wall", nothing),
    "clock.untrusted": (VirtualRuntime, "ntp_synced", pinned(True)),
    "disk.corrupt": (state, "corrupt", nothing),
    "disk.keep": (state, "keep", nothing),
    "disk.restore": (state, "restore", nothing),
    "proc.kill9": (VirtualBackend, "_ended", nothing),
    "proc.term": (VirtualBackend, "_ended", nothing),
    "proc.crash": (VirtualBackend, "_ended", nothing),
}


@pytest.mark.parametrize("verb", MACHINE)
def test_a_fault_of_the_gateway_shows_and_with_its_effect_taken_out_it_does_not(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert takes_effect(verb)
    where, name, instead = OUT[verb]
    monkeypatch.setattr(where, name, instead, raising=False)
    assert not takes_effect(verb)


# --- the gateway of a process run -------------------------------------------------------------------------------------
class Service:
    """A service manager without a service."""

    def withhold(self, yes: bool) -> None: ...

    def kill(self) -> None: ...


def gateway(directory: Path) -> Gateway:
    """Of a daemon whose process takes orders; nothing runs."""
    (directory / "state").mkdir()
    (directory / "state" / "agent.db").write_bytes(bytes(4096))
    (directory / "state" / "agent.db-wal").write_bytes(bytes(range(256)) * 4)
    (directory / "batteryd.toml").write_text("one = 1\n")
    (directory / "bus").symlink_to("/dev/null")
    made = Gateway(directory, parse(story("clock.step"), "x.toml"), 1)
    made.supervisor = Service()  # type: ignore[assignment]  # what it needs of one
    made.disk = SimpleNamespace(path=directory / "state", enter=(), fill=nothing, read_only=nothing)  # type: ignore[assignment]
    made.state = directory / "state"
    made.command(("daemon",), ())
    return made


def test_orders_to_the_daemon_s_process_show_when_it_says_that_it_does_them(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    orders = Orders(tmp_path / "orders.json")
    made.do("clock_step", {"s": 60})
    made.do("untrusted", {"on": True})
    made.do("stall", {"on": True, "who": "store"})
    made.do("leak", {"on": True, "mb_per_s": 20})
    assert made.shown.names() == set()
    orders.look()
    orders.acted |= {"clock_ms": orders.told["clock_ms"], "synced": orders.told["synced"]}
    orders.tell()
    assert made.shown.names() == {"clock_step", "untrusted"}
    held = threading.Thread(target=orders.hold, args=("store",))
    held.start()
    while "stall" not in orders.acted:
        time.sleep(0.01)
    orders.told = {}
    held.join()
    orders.tell()
    assert made.shown.names() == {"clock_step", "untrusted", "stall"}


def test_nothing_of_a_process_run_shows_by_being_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = gateway(tmp_path)
    for name in ("keep", "restore", "corrupt", "tear"):
        monkeypatch.setattr(state, name, nothing)
    for op in ("keep", "restore", "corrupt", "cut", "unplug", "disk_full", "readonly", "stall", "leak"):
        made.do(op, {"on": True})
    made.do("config", {"on": True, "key": "max_import_w", "value": -1})
    assert made.shown.names() == set()


def test_files_that_are_other_ones_and_a_line_that_is_gone_show(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    made.unplug = lambda on: (tmp_path / "bus").unlink()
    made.reconfigure = lambda keys: nothing((tmp_path / "batteryd.toml").write_text(f"{keys}"))
    for op in ("keep", "corrupt", "restore", "cut", "unplug"):
        made._needed = {name: (head, 100) for name, (head, _) in state.log_size(made.state).items()}
        made.do(op, {"on": True})
        assert op in made.shown.names()
    made.do("config", {"on": True, "key": "max_import_w", "value": -1})
    assert "config" in made.shown.names()
    made.do("config", {"on": False, "key": "max_import_w", "value": -1})
    assert "config" not in made.shown.names()


def test_the_kernel_says_whether_a_program_is_stopped_and_a_port_whether_a_broker_is_there(tmp_path: Path) -> None:
    with Supervisor(["sleep", "60"], tmp_path) as supervisor:
        supervisor.start()
        supervisor.wait_for(lambda: supervisor.pid is not None, 10.0)
        assert not supervisor.stopped
        supervisor.freeze()
        while not supervisor.stopped:
            time.sleep(0.01)
        supervisor.thaw()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        assert answers(address)
    assert not answers(address)
