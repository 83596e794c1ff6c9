"""Fuzzes a pure decoder by coverage where atheris is installed (x86-64), by blind mutation elsewhere; and says which.

A target is a module of `hil.fuzz` with `SEEDS` (honest inputs), `WORDS` (what its grammar is made of) and `one(data)`:
True when the input was accepted, False when it was refused, `Forbidden` when either is against the rules. Whatever else
it raises is a finding as well. Where what is accepted is of several `KINDS`, it gives that instead of True, and some
of each must come to be accepted. `spoil(rng, data)`, where there is one, spoils an input in its structure: half of the
inputs are made so. atheris takes over its process, so it runs in a child that keeps count in a file.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from hil.figures import Figure, Report
from hil.fuzz.forbidden import Forbidden
from hil.kin import kin
from hil.progress import Progress

MOST_BYTES = 6_000  # of an input; the largest that a decoder takes is 4096
EVERY = 1_000
ENOUGH = 20_000  # inputs of which some of each kind must have been accepted
IN_STRUCTURE = 0.5  # share of inputs that are spoiled so, where the target can
GUIDED = 0.5  # of that, where coverage guides: it has ways of its own
FURTHER = 0.3  # of those, share that is spoiled further than an honest one, where coverage guides
ANY = "any"  # the kind of a target that has no kinds
HANG_S = 10  # libFuzzer counts an input that takes longer as a hang
_COVERED = re.compile(r"cov: (\d+)")


class Count:
    """What a target made of its inputs. `kinds`: of those that were accepted, without honest ones."""

    def __init__(self, module: ModuleType) -> None:
        self._one = module.one
        self._honest = frozenset(module.SEEDS)
        self.inputs = self.accepted = self.forbidden = self.raised = 0
        self.kinds: Counter[str] = Counter()
        self.first = self.first_raised = ""

    def take(self, data: bytes) -> None:
        """One input."""
        self.inputs += 1
        try:
            kind = self._one(data)
            if kind:
                self.accepted += 1
                if data not in self._honest:
                    self.kinds[ANY if kind is True else kind] += 1
        except Forbidden as error:
            self.forbidden += 1
            self.first = self.first or f"{error}: {data[:200]!r}"
        except Exception as error:  # noqa: BLE001 - whatever it is, a decoder must not raise it
            self.raised += 1
            self.first_raised = self.first_raised or f"{error!r}: {data[:200]!r}"

    def as_json(self) -> dict[str, Any]:
        """For the file between child and parent."""
        names = ("inputs", "accepted", "forbidden", "raised", "kinds", "first", "first_raised")
        return {name: getattr(self, name) for name in names}


def run(target: str, inputs: int, seed: int, kept: Path | None = None) -> Report:
    """So many inputs; honest ones come first, and each must be accepted. `kept`: a corpus of an earlier run, and for
    the next one; of use only by coverage."""
    module = importlib.import_module(f"hil.fuzz.{target}")
    honest = Count(module)
    for data in module.SEEDS:
        honest.take(data)
    began = time.monotonic()
    guided = importlib.util.find_spec("atheris") is not None
    counts, covered = _guided(target, module, inputs, seed, kept) if guided else _blind(target, module, inputs, seed)
    seconds = time.monotonic() - began
    first, raised = honest.first or counts["first"], honest.first_raised or counts["first_raised"]
    how = {"by": "coverage (atheris)" if guided else "blind mutation (atheris is not installed)", "edges": covered}
    figures = [
        Figure("inputs", counts["inputs"], "", f">= {inputs}", how),
        Figure("accepted against the rules", counts["forbidden"] + honest.forbidden, "", "== 0", note=first),
        Figure("exceptions raised", counts["raised"] + honest.raised, "", "== 0", note=raised),
        Figure("honest inputs accepted", honest.accepted, "", f"== {len(module.SEEDS)}"),
        _of_each_kind(module, counts["kinds"], inputs),
        Figure("time", round(seconds, 1), "s", None, {"us an input": round(1e6 * seconds / max(1, inputs), 1)}),
    ]
    return Report(f"fuzz {target}, {inputs} inputs", figures, seed=seed)


def _of_each_kind(module: ModuleType, kinds: Mapping[str, int], inputs: int) -> Figure:
    """A kind of which none gets through is a kind that is not tried."""
    every = getattr(module, "KINDS", (ANY,))
    none = [kind for kind in every if not kinds.get(kind)]
    least = getattr(module, "ENOUGH", ENOUGH)
    enough = inputs >= least
    note = f"none of {', '.join(none)}" if none else ""
    return Figure(
        "kinds of which no spoiled input was accepted",
        len(none),
        "",
        "== 0" if enough else None,
        {kind: kinds.get(kind, 0) for kind in every},
        note if enough else f"fewer than {least} inputs: printed, not judged",
    )


def _blind(target: str, module: ModuleType, inputs: int, seed: int) -> tuple[dict[str, Any], None]:
    rng, count, began = Random(f"{seed}/{target}"), Count(module), time.monotonic()
    with Progress(f"fuzz {target}", inputs) as bar:
        for n in range(inputs):
            count.take(spoiled(rng, module))
            if n % EVERY == 0:
                bar.to(n, f"{1e6 * (time.monotonic() - began) / (n + 1):.0f} us an input")
    return count.as_json(), None


def spoiled(rng: Random, module: ModuleType) -> bytes:
    """The next input, where nothing guides."""
    spoil = getattr(module, "spoil", None)
    if spoil is not None and rng.random() < getattr(module, "IN_STRUCTURE", IN_STRUCTURE):
        return bytes(spoil(rng, rng.choice(module.SEEDS))[:MOST_BYTES])
    return mutated(rng, module.SEEDS, module.WORDS)


def mutated(rng: Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """An honest input with one to four changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 2:
            data[at:at] = rng.choice(words)
        elif kind == 3:
            word = rng.choice(words)
            data[at : at + len(word)] = word
        elif kind == 4:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        else:
            data[at:at] = data[at : at + rng.randrange(64)] * rng.choice((1, 1, 30))
    return bytes(data[:MOST_BYTES])


def _guided(target: str, module: ModuleType, inputs: int, seed: int, kept: Path | None) -> tuple[dict[str, Any], int]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        directory = Path(name)
        corpus = kept or directory / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(module.SEEDS):
            (corpus / f"{number}").write_bytes(data)
        words = directory / "words"
        words.write_text("".join(map(_quoted, module.WORDS)))
        out = directory / "out.json"
        command = [sys.executable, "-m", "hil.fuzz.guided", target, str(out), str(inputs), "--"]
        command += [str(corpus), f"-dict={words}", f"-runs={inputs + 100}", f"-seed={seed}", f"-timeout={HANG_S}"]
        command += [f"-max_len={MOST_BYTES}", f"-artifact_prefix={directory}/", "-rss_limit_mb=2048"]
        process = subprocess.Popen(
            kin(command), cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        covered, last = 0, ""
        assert process.stderr is not None
        began = time.monotonic()
        with process.stderr, Progress(f"fuzz {target}", inputs) as bar:
            for line in process.stderr:
                last = line.strip() or last
                if found := _COVERED.search(line):
                    covered = int(found[1])
                if line.startswith("#"):
                    done = int(re.sub(r"\D.*", "", line[1:]) or 0)
                    bar.to(done, f"{1e6 * (time.monotonic() - began) / max(1, done):.0f} us an input")
        process.wait()
        counts: dict[str, Any] = json.loads(out.read_text()) if out.exists() else Count(module).as_json()
        if counts["inputs"] < inputs:  # it ended on its own: a hang, a crash of the interpreter, or no memory left
            counts["raised"] += 1
            counts["first_raised"] = (
                counts["first_raised"] or f"exit {process.returncode} after {counts['inputs']} inputs: {last}"
            )
        return counts, covered


def _quoted(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _child(argv: Sequence[str]) -> None:
    """In the child: never returns."""
    import atheris

    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("out", type=Path)
    parser.add_argument("inputs", type=int)
    parser.add_argument("rest", nargs="*")
    args = parser.parse_args(argv)
    with atheris.instrument_imports(include=["agent", "drivers"]):
        module = importlib.import_module(f"hil.fuzz.{args.target}")
    count = Count(module)

    def take(data: bytes) -> None:
        count.take(data)
        if count.inputs % EVERY == 0 or count.inputs >= args.inputs:
            args.out.write_text(json.dumps(count.as_json()))

    rng = Random(next((word for word in args.rest if word.startswith("-seed=")), ""))
    in_structure = GUIDED * getattr(module, "IN_STRUCTURE", IN_STRUCTURE)

    def mutate(data: bytes, most: int, _: int) -> bytes:
        if rng.random() >= in_structure:
            return bytes(atheris.Mutate(data, most))
        before = data if rng.random() < FURTHER else rng.choice(module.SEEDS)  # it comes here up to five times in a row
        return bytes(module.spoil(rng, before)[:most])

    if hasattr(module, "spoil"):
        atheris.Setup(["fuzz", *args.rest], take, custom_mutator=mutate)
    else:
        atheris.Setup(["fuzz", *args.rest], take)
    atheris.Fuzz()


if __name__ == "__main__":
    _child(sys.argv[1:])
