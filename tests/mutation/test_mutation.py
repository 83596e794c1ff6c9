"""The mutants themselves, and a sample of them on trial: what the tests would let pass, shows here first."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from tests.mutation.operators import mutants, unchanged
from tests.mutation.reviewed import REVIEWED
from tests.mutation.trial import HELD, TESTS, THEOREMS
from tests.proof.sources import ROOT, path_of


@pytest.mark.parametrize("module", TESTS)
def test_every_mutant_is_another_program_in_one_place(module: str) -> None:
    found = mutants(module)
    shipped = ast.unparse(ast.parse(unchanged(module).source))
    assert len(found) > 10
    assert len({m.source for m in found}) == len(found)
    for mutant in found:
        assert ast.unparse(ast.parse(mutant.source)) != shipped, mutant.diff()
        assert mutant.diff()


def test_the_files_that_try_a_module_are_there() -> None:
    assert set(THEOREMS) < set(TESTS)
    assert set(HELD) < set(TESTS)
    for files in TESTS.values():
        for file in files:
            assert (ROOT / file).is_file()


def test_what_was_reviewed_is_still_a_mutant() -> None:
    known = {(path_of(module).name, m.diff()) for module in TESTS for m in mutants(module)}
    assert set(REVIEWED) <= known


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_a_sample_of_twenty_nearly_all_are_killed() -> None:
    """By the seed, the same twenty each time. The whole: `make mutation`."""
    sample = [sys.executable, "-m", "tests.mutation", "--sample", "20", "--seed", "4", "--json"]
    run = subprocess.run(sample, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    figures = {f["name"]: f["value"] for f in json.loads(run.stdout)["figures"]}
    assert figures["mutants"] == 20
    assert figures["killed_share"] >= 0.85, run.stderr  # of so few, one is five percent
