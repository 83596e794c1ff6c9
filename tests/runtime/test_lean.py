"""The stand-in for importlib.metadata is there for one import only; the daemon carries neither it nor asyncio. What
looks at code is let go with the models' makers, and records share what the standard ones have a copy of each."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import agent.daemon, agent.link.session
from agent.runtime.lean import import_paho
assert import_paho().MQTTv311
carried = {"asyncio", "email", "zipfile", "http", "importlib.metadata", "pymodbus.simulator"} & set(sys.modules)
assert not carried, carried
import importlib.metadata
assert importlib.metadata.version("pydantic")
import urllib.request
assert urllib.request.Request("http://x/")
from pydantic import BaseModel
class Model(BaseModel):
    x: int
assert Model(x=1).x == 1
"""

LET_GO = """
import gc, sys, types
import agent.daemon, agent.config
from agent.runtime import lean
assert agent.daemon._arguments(["--check", "--config", "x"])[1:] == (True, False)
assert "argparse" not in sys.modules
lean.forget_model_makers()
gc.collect()
files = [o.__code__.co_filename for o in gc.get_objects() if isinstance(o, types.FunctionType)]
left = [file for file in files if file.endswith(("/inspect.py", "/argparse.py", "/dis.py", "/tokenize.py"))]
assert not left, left
import inspect, traceback, ast, linecache, textwrap, argparse, typing, typing_extensions
assert str(inspect.signature(lambda a, b=1: 0)) == "(a, b=1)" and str(inspect.signature(len)) == "(obj, /)"
assert inspect.getsource(inspect.ismodule).startswith("def ismodule")
assert inspect.getsource(ast.NodeVisitor).startswith("class NodeVisitor")
from inspect import Parameter
assert Parameter is inspect.Parameter
try:
    1 / 0
except ZeroDivisionError:
    assert "ZeroDivisionError" in traceback.format_exc()
assert ast.unparse(ast.parse("a+1")) == "a + 1"
assert argparse.ArgumentParser().parse_args([]) is not None
T = typing.TypeVar("T")
assert typing.Generic[T] and typing.Dict[str, T][int] == typing.Dict[str, int]
class Box(typing_extensions.TypedDict, typing.Generic[T]):
    x: typing_extensions.Required[T]
assert Box[int]
from pydantic import BaseModel
class Model(BaseModel):
    x: list[int]
assert Model(x=[1]).x == [1]
"""

RECORDS = """
import agent.runtime.lean
import copy, dataclasses, sys
from dataclasses import dataclass, field
from agent.runtime.records import _standard

def told(make):
    @make(frozen=True, slots=True)
    class Point:
        x: int
        y: list = field(default_factory=list)
        pin: str = field(default="s", repr=False)
    class Plain(Point):
        pass
    @make(frozen=True)
    class Open(Point):
        z: int = 1
    @make(frozen=True)
    class Loose:
        x: int
    class More(Loose):
        pass
    @make
    class Bare:
        "Its own."
        a: int = 1
    @make(slots=True, order=True)
    class Said:
        a: int = 1
        def __repr__(self):
            return "said"
    point, plain, ring = Point(1), Plain(1), Point(2)
    ring.y.append(ring)
    found = [repr(o) for o in (point, plain, Open(1), ring, Bare(), Said(), Bare.__doc__, Said(1) < Said(2))]
    found += [point == Point(1), point == Point(2), hash(Point(1, ())) == hash(Point(1, ())), Point.__match_args__]
    found += [dataclasses.replace(point, x=4).x, dataclasses.asdict(point), copy.deepcopy(ring).x, Point.__slots__]
    frozen = ((point, "x"), (plain, "x"), (Loose(1), "x"), (Open(1), "z"), (Open(1), "x"))
    for o, attribute in (*frozen, (More(1), "x"), (More(1), "new"), (Bare(), "a")):
        for act in (lambda: setattr(o, attribute, 7), lambda: delattr(o, attribute)):
            try:
                found.append(act())
            except AttributeError as error:
                found.append((type(error).__name__, str(error)))
    return found, Point

__name__ = "agent.of_a_test"
ours, Point = told(dataclass)
standard, _ = told(_standard)
assert ours == standard, [pair for pair in zip(ours, standard) if pair[0] != pair[1]]
__name__ = "elsewhere"
theirs, Other = told(dataclass)
assert theirs == standard
assert {getattr(Point, name).__module__ for name in ("__repr__", "__setattr__")} == {"agent.runtime.records"}
assert "agent.runtime.records" not in {getattr(Other, name).__module__ for name in ("__repr__", "__setattr__")}
"""


def _does(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_daemon_is_lean_and_later_imports_get_the_real_thing() -> None:
    _does(CODE)


def test_what_looks_at_code_is_let_go_and_comes_when_it_is_asked_for() -> None:
    _does(LET_GO)


def test_records_of_ours_do_and_say_what_the_standard_ones_do() -> None:
    _does(RECORDS)
