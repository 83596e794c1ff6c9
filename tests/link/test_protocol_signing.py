"""docs/signing.md is true: what it shows gives the page's vector to the byte, and refuses what it must."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.link.keys import dump_seed

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "signing.md").read_text()
INTEGRATOR = (DOCS / "integrator.md").read_text()
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032 7.1, test 1


def example(heading: str, language: str) -> str:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert isinstance(block, str)
    return block


@pytest.fixture
def vector(tmp_path: Path) -> str:
    """key.pem and body.json in the directory; the token that they must give."""
    body = re.findall(r"```json\n(.*?)```", INTEGRATOR, re.DOTALL)[2].strip()
    (tmp_path / "key.pem").write_text(dump_seed(SEED))
    (tmp_path / "body.json").write_text(body)
    return str(re.findall(r"```text\n(.*?)```", INTEGRATOR, re.DOTALL)[0].strip())


@pytest.mark.parametrize(
    ("heading", "language", "command"), [("openssl", "sh", ("sh", "-euc")), ("Node", "js", ("node", "-e"))]
)
def test_its_example_gives_the_vector(
    heading: str, language: str, command: tuple[str, str], tmp_path: Path, vector: str
) -> None:
    tool = "openssl" if language == "sh" else command[0]
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} on this machine: the example on the page is not run here")
    done = subprocess.run(
        [*command, example(heading, language)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == vector


def test_every_example_that_is_not_run_says_so() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "**not run**" in line]
    headings = {line.split("|")[1].strip().removesuffix(", no library").replace(" 6", "") for line in rows}
    assert headings == {"Node, jose", "Go"}
    for heading in headings:
        assert "Not run here" in PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
