"""One matrix: what it says, that link, local socket and rules ask it, and that the page is printed from it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from agent import mail
from agent.link import messages, roles
from agent.link.roles import BUNDLED, CONSENT, LINK, LOCAL, ROLES, may_ask, may_sign
from agent.link.trust import MAY_SIGN
from agent.local.request import _KEYS
from agent.reserve_rules import may_set
from agent.verbs import KNOWN, refuse

ROOT = Path(__file__).parents[2]


def test_the_page_is_printed_from_the_table() -> None:
    page = runpy.run_path(str(ROOT / "scripts/roles_page.py"))["page"]()
    assert (ROOT / "docs/roles.md").read_text("utf-8") == page


def test_every_role_that_the_table_names_exists_and_every_keyed_one_is_used() -> None:
    named = {role for row in (*LINK.values(), *LOCAL.values()) for role in row[0]}
    assert named <= set(ROLES)
    assert set(ROLES) - named == {"device-sign", "device-tls"}  # these sign what no row of a person is
    assert set(BUNDLED) <= set(ROLES)
    assert {role for role in BUNDLED if ROLES[role][0] > 1} == {"root", "firmware"}


def test_every_kind_that_the_link_parses_has_a_row_and_no_row_is_without_one() -> None:
    kinds = {kind for typ, kind in LINK if typ == roles.COMMAND}
    assert kinds == set(messages.KINDS)
    assert {key: row[0] for key, row in LINK.items()} == MAY_SIGN


def test_every_verb_of_the_socket_has_a_row() -> None:
    assert set(_KEYS) <= set(LOCAL)
    assert set(KNOWN) <= set(LOCAL)


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"homeowner"}))
def test_nobody_but_the_homeowner_lowers_the_reserve(role: str) -> None:
    assert not may_ask(role, "reserve_lower")
    assert not may_ask(role, "storm_end")
    assert not may_sign(role, roles.HOMEOWNER, "reserve")
    assert may_set(299, 300, role, 50) is not None


def test_the_homeowner_does() -> None:
    assert may_set(299, 300, "homeowner", 50) is None
    assert may_sign("homeowner", roles.HOMEOWNER, "reserve")


def test_the_rules_ask_the_table() -> None:
    """Whoever changes a row changes what is done: no second copy of it decides."""
    for verb in ("stop", "resume", "storm", "adopt"):
        for role in ("viewer", "technician", "homeowner"):
            asked = mail.Verb(1, verb, "x", role, 0, "bms")
            refused = refuse(asked, {"bms": "b"}, 300, 50) is not None
            assert refused is not may_ask(role, verb)


def test_what_is_unknown_is_nobodys() -> None:
    for role in (*ROLES, "nobody", ""):
        assert not may_ask(role, "nonsense")
        assert may_sign(role, "battery-firmware+jws") is (role == "firmware")
        assert not may_sign(role, roles.COMMAND, "nonsense")
    assert not may_sign(None, roles.COMMAND, "dispatch")


def test_a_change_of_root_needs_a_technician_and_the_homeowner() -> None:
    assert "keys_root" in CONSENT
    assert LOCAL["keys_root"][0] == {"technician"}


def test_batteryctl_can_read_it_for_the_price_of_nothing() -> None:
    code = "import sys; a = set(sys.modules); import agent.link.roles; print(sorted(set(sys.modules) - a))"
    out = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    heavy = ("pydantic", "cryptography", "dataclasses", "typing", "json", "asyncio")
    assert not [module for module in heavy if f"'{module}'" in out]
