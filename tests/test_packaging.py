"""What a gateway gets: every package and data file of the product, and only what the lock pins."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PRODUCT = ("agent", "drivers")


def product_files() -> set[str]:
    """Every file of the product's packages, relative to the repository."""
    found = (path for name in PRODUCT for path in (ROOT / name).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_every_package_is_named() -> None:
    packages = {str(Path(name).parent).replace("/", ".") for name in product_files() if name.endswith("/__init__.py")}

    assert packages == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_module_is_in_a_package() -> None:
    homeless = [
        name
        for name in product_files()
        if name.endswith(".py") and not (ROOT / name).parent.joinpath("__init__.py").exists()
    ]

    assert homeless == []


def test_every_data_file_is_packaged() -> None:
    packaged = {
        str(path.relative_to(ROOT))
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }

    assert {name for name in product_files() if not name.endswith(".py")} == packaged


def test_installed_product_is_this_source() -> None:
    """Guards against files of an earlier build that stay in the environment which the demo starts."""
    try:
        files = importlib.metadata.files("battery-agent") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the product is not installed in this environment; `make test` installs it")
    installed = {str(file): file for file in files if file.parts[0] in PRODUCT and "__pycache__" not in file.parts}

    assert set(installed) == product_files()
    assert [name for name, file in installed.items() if file.read_binary() != (ROOT / name).read_bytes()] == []


def wheel(directory: Path, epoch: int) -> bytes:
    """The wheel of what git tracks, built in that directory, with the bytes' own time far from the given one."""
    names = subprocess.run(
        ["git", "ls-files", "-z", *PRODUCT, "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((ROOT / name).read_bytes())
        place.chmod(0o644)
        os.utime(place, (epoch - 1000, epoch + len(name)))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('out'))"
    (directory / "out").mkdir()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([sys.executable, "-c", code], cwd=directory, env=environment, capture_output=True, check=True)
    (made,) = (directory / "out").glob("*.whl")
    return made.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(
    int(importlib.metadata.version("setuptools").split(".")[0]) < 77,
    reason="setuptools of this environment is older than the lock's; `make test` has that one",
)
def test_wheel_is_the_same_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    first = wheel(tmp_path / "a", 1_710_000_000)
    second = wheel(tmp_path / "another" / "place", 1_720_000_000)

    assert len(first) > 100_000
    assert first == second


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_lock_holds_every_dependency_with_hashes(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    pinned = {entry.split("==")[0]: entry for entry in entries}
    extras = [name for group in PROJECT["project"]["optional-dependencies"].values() for name in group]
    asked = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"] + (extras if lock == "dev" else [])

    assert {re.split(r"[<>=!~;\[ ]", name)[0] for name in asked} - set(pinned) == set()
    assert [name for name, entry in pinned.items() if "--hash=sha256:" not in entry] == []


def test_run_lock_is_part_of_the_dev_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / "requirements" / name).read_text("utf-8"), re.MULTILINE))

    assert pins("run.txt") - pins("dev.txt") == set()


def test_readme_says_why_each_dependency_is_there() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    names = {re.split(r"[<>=]", name)[0] for name in PROJECT["project"]["dependencies"]}

    assert {name for name in names if not re.search(rf"^\| `{name}` \| \S", readme, re.MULTILINE)} == set()
