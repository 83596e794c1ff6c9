"""What the operator sets from afar: on probation, taken back or kept; and never looser than what was commissioned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import mail
from agent import remote as remotes
from agent.core.params import DefaultControl, Params
from agent.link.bundle import ONLINE_KEYS
from agent.remote import Remote, Settings, effective, parse
from tests.agent.stewarding import SITE, Desk, config, default, fault, release


def confirmed(**settings: Any) -> Desk:
    """A home whose configuration 1 has held."""
    desk = Desk()
    desk.send(config(1, 60, **settings))
    desk.later(61, heard=True)
    assert desk.words()[-1] == ("config_confirmed", 1, None)
    return desk


# --- on probation -----------------------------------------------------------------------------------------------------
def test_a_configuration_holds_once_it_is_on_the_disk_and_stays_after_its_probation() -> None:
    desk = Desk()
    desk.send(config(4, 120, export_limit_w=5000, batch_s=30, groups=["north"]), answer=False)
    assert desk.holds is SITE
    desk = Desk()
    desk.send(config(4, 120, export_limit_w=5000, batch_s=30, groups=["north"]))
    assert desk.holds.site.export_limit_w == 5000
    assert (desk.told[-1].batch_s, desk.told[-1].groups, desk.told[-1].trial) == (30, ("north",), True)
    assert desk.words() == [("config_applied", 4, None)]
    desk.later(119, heard=True)
    assert desk.steward.versions()["config_trial"] is True
    desk.later(2)
    assert desk.words()[1:] == [("config_confirmed", 4, None)]
    assert desk.told[-1].trial is False
    assert not desk.steward.watching
    again = desk.restart()
    assert again.holds.site.export_limit_w == 5000
    assert again.words() == []


def test_a_fault_takes_it_back_and_what_held_before_holds_again() -> None:
    desk = confirmed(export_limit_w=6000)
    desk.send(config(2, export_limit_w=3000))
    desk.later(30, heard=True)
    desk.faults = (fault("actuation"),)
    desk.later(1)
    assert desk.words()[-1] == ("config_rolled_back", 2, "fault")
    assert "configuration 1 holds again" in str(desk.events[-1]["sentence"])
    assert desk.holds.site.export_limit_w == 6000
    desk.send(config(2, export_limit_w=3000))  # the broker kept it
    assert desk.holds.site.export_limit_w == 6000
    assert desk.restart().words() == []


@pytest.mark.parametrize(
    "faults", [(fault("actuation"), fault("grid_lost", "backup")), (fault("x", "warn"), fault("actuation"))]
)
def test_a_fault_of_before_an_outage_and_a_warning_take_nothing_back(faults: Any) -> None:
    desk = Desk()
    desk.faults = (fault("actuation"),)
    desk.send(config(1, 60))
    desk.faults = faults
    desk.later(61, heard=True)
    assert desk.words()[-1] == ("config_confirmed", 1, None)


@pytest.mark.parametrize(("probation_s", "down_s"), [(60, 56), (600, 121)])
def test_a_lost_aggregator_takes_it_back(probation_s: int, down_s: int) -> None:
    desk = Desk()
    desk.send(config(1, probation_s))
    desk.later(5, heard=True)
    desk.up = False
    desk.later(down_s - 2)
    assert desk.words() == [("config_applied", 1, None)]
    desk.later(3)
    assert desk.words()[-1] == ("config_rolled_back", 1, "aggregator_lost")


def test_a_line_that_comes_back_in_time_and_a_signed_word_are_enough() -> None:
    desk = Desk()
    desk.send(config(1, 300))
    desk.up = False
    desk.later(119)
    desk.up = True
    desk.later(200, heard=True)
    assert desk.words()[-1] == ("config_confirmed", 1, None)


def test_a_broker_without_the_aggregator_behind_it_is_not_enough() -> None:
    desk = Desk()
    desk.send(config(1, 60))
    desk.later(61)
    assert desk.words()[-1] == ("config_rolled_back", 1, "aggregator_lost")


def test_a_restart_on_probation_takes_it_back_once_and_tells() -> None:
    desk = confirmed(export_limit_w=6000)
    desk.send(config(2, export_limit_w=3000))
    desk.later(30, heard=True)
    again = desk.restart()
    assert again.holds.site.export_limit_w == 6000
    assert again.words() == [("config_rolled_back", 2, "restart")]
    assert again.restart().words() == []
    assert dict(again.restart().steward.in_force.remote.floors)["config"][0] == 2


def test_a_rollback_that_the_disk_does_not_take_holds_and_is_tried_again() -> None:
    desk = Desk()
    desk.send(config(1, export_limit_w=3000))
    desk.faults, desk.fails = (fault("actuation"),), True
    desk.later(1)
    assert desk.holds == SITE
    assert desk.steward.watching
    desk.later(59)
    desk.fails = False
    desk.later(3)
    assert not desk.steward.watching
    assert desk.restart().holds == SITE
    assert desk.restart().words() == []


def test_a_newer_one_takes_the_place_of_one_on_probation_and_falls_back_to_what_had_held() -> None:
    desk = confirmed(export_limit_w=6000)
    desk.send(config(2, export_limit_w=3000))
    desk.send(config(3, export_limit_w=2000))
    assert desk.words()[-3:] == [
        ("config_applied", 2, None), ("config_rolled_back", 2, "replaced"), ("config_applied", 3, None),
    ]  # fmt: skip
    desk.faults = (fault("actuation"),)
    desk.later(1)
    assert desk.holds.site.export_limit_w == 6000


def test_without_a_disk_it_does_not_hold_and_may_come_again() -> None:
    desk = Desk()
    desk.fails = True
    desk.send(config(1, export_limit_w=3000))
    assert desk.holds is SITE
    assert dict(desk.told[-1].floors) == {}
    desk.fails = False
    desk.send(config(1, export_limit_w=3000))
    assert desk.holds.site.export_limit_w == 3000


def test_two_at_once_and_a_disk_that_takes_the_second_alone() -> None:
    desk = Desk()
    effects = desk.steward.document(config(1, export_limit_w=3000), desk.facts, desk.now)
    desk.fails = True
    later = desk.steward.document(default(1), desk.facts, desk.now)
    desk.take(effects)
    desk.fails = False
    desk.take(later)
    assert desk.holds.site.export_limit_w == 3000
    assert desk.steward.versions() == {
        "config_version": 1, "config_trial": True, "default_version": 1, "firmware_version": 0,
    }  # fmt: skip


def test_an_answer_that_nobody_waits_for_is_nothing() -> None:
    from agent.mail import DocumentsStored

    desk = Desk()
    assert desk.steward.stored(DocumentsStored(None), desk.facts, desk.now) == []


# --- what it may set --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"peak_target_w": 5000}, "peak_target_w"),
        ({"soc_floor_permille": 101}, "above the site's least reserve, 100"),
        ({"raise_permille": 50, "raise_s": 60}, "outside 10.0 % to 100.0 %"),
    ],
)
def test_what_this_home_cannot_go_by_is_refused_as_a_whole_and_told(given: Any, why: str) -> None:
    desk = Desk()
    desk.send(config(1, export_limit_w=5000, **given))
    assert desk.holds == SITE
    assert desk.words() == [("config_refused", 1, "not_applicable")]
    assert why in str(desk.events[0]["sentence"])
    desk.send(config(1, export_limit_w=5000))
    assert desk.holds == SITE
    desk.send(config(2, export_limit_w=5000))
    assert desk.holds.site.export_limit_w == 5000


def test_a_raise_begins_at_once_before_any_disk_and_is_not_taken_back() -> None:
    desk = Desk()
    desk.fails = True
    desk.send(config(1, raise_permille=400, raise_s=3600))
    [event] = desk.raises
    assert (event.id, event.kind, event.permille, event.owner, event.for_s) == (
        "config-1", "remote", 400, "operations", 3600,
    )  # fmt: skip
    desk.fails = False
    desk.send(config(2, raise_permille=500, raise_s=3600))
    desk.faults = (fault("actuation"),)
    desk.later(1)
    assert [raised.permille for raised in desk.raises] == [400, 500]  # and nothing that ends one


def test_default_control_holds_at_once_survives_a_restart_and_only_tightens() -> None:
    desk = Desk()
    desk.send(default(2, "idle", export_limit_w=0, import_limit_w=90_000, ramp_permille_per_s=10))
    assert desk.words() == [("default_applied", 2, None)]
    again = desk.restart()
    assert again.holds.default == DefaultControl(2, "idle", 90_000, 0, 10)
    assert (again.holds.site.import_limit_w, again.holds.site.export_limit_w) == (24_000, 0)
    again.send(default(1))
    assert again.holds.default.version == 2


def test_a_release_is_kept_as_it_came_and_changes_nothing() -> None:
    desk = Desk()
    desk.send(release(7000))
    assert desk.holds == SITE
    assert desk.words() == [("firmware_known", 7000, None)]
    again = desk.restart()
    assert again.steward.in_force.remote.release == "manifest 7000"
    assert again.steward.versions()["firmware_version"] == 7000


# --- text -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [
    b"", b"{}", b"[]", b'{"v":2}', b'{"v":3}', b"\xff", b"null", b'{"v":1}',
    Remote().dump().replace(b'"version":0', b'"version":"0"'),
    Remote().dump().replace(b"self_consumption", b"discharge"),
    Remote().dump().replace(b'"groups":null', b'"groups":[1]', 1),
    Remote().dump().replace(b'"batch_s":null', b'"batch_s":-1', 1),
    Remote().dump().replace(b'"batch_s":null', b'"else":1', 1),
])  # fmt: skip
def test_what_it_did_not_write_is_a_sentence(data: bytes) -> None:
    assert isinstance(parse(data), str)


def test_nothing_on_probation_can_neither_stay_nor_go() -> None:
    with pytest.raises(ValueError, match="probation"):
        Remote().rolled_back("x")
    with pytest.raises(ValueError, match="probation"):
        Remote().confirmed("x")


# --- properties -------------------------------------------------------------------------------------------------------
watts = st.none() | st.integers(0, 30_000)
chosen = st.builds(
    Settings, watts, watts, watts, watts, st.none() | st.integers(0, 500), batch_s=st.none() | st.integers(10, 300),
    groups=st.none() | st.lists(st.sampled_from(["north", "south"]), unique=True).map(tuple),
)  # fmt: skip
defaults = st.builds(
    DefaultControl, st.integers(1, 9), st.sampled_from(["idle", "self_consumption"]), watts, watts,
    st.none() | st.integers(1, 100),
)  # fmt: skip


def tight(params: Params) -> tuple[int, ...]:
    """Every limit that a configuration may set, as "more is looser"."""
    s = params.site
    widths = (s.import_limit_w, s.export_limit_w, s.utility_charge_w, s.utility_discharge_w)
    return (*widths, -params.soc_floor_permille)


def no_looser(one: Params, than: Params) -> bool:
    return all(a <= b for a, b in zip(tight(one), tight(than), strict=True))


@given(chosen, defaults)
def test_nothing_that_is_set_loosens_what_was_commissioned(what: Settings, control: DefaultControl) -> None:
    now = effective(SITE, Remote(settled=remotes.Held(1, what), default=control))
    assert no_looser(now, SITE)
    assert now.own is (None if now.site == SITE.site else SITE), "the home cures itself by what was commissioned"
    rest = replace(now, site=SITE.site, soc_floor_permille=SITE.soc_floor_permille, default=DefaultControl(), own=None)
    assert rest == SITE  # and nothing else is touched
    was = SITE.site
    widths = replace(
        now.site,
        import_limit_w=was.import_limit_w,
        export_limit_w=was.export_limit_w,
        utility_charge_w=was.utility_charge_w,
        utility_discharge_w=was.utility_discharge_w,
    )
    assert widths == was
    assert now.reserve_min_permille >= now.soc_floor_permille


@given(chosen, chosen, defaults, st.data())
@settings(max_examples=50, deadline=None)
def test_text_keeps_everything(one: Settings, two: Settings, control: DefaultControl, data: st.DataObject) -> None:
    trial = data.draw(st.none() | st.just(remotes.Held(3, two, 60)))
    numbers = {"config": {"a": (3, "d"), "b": (2, "e")}, "firmware": {"": (7, "f")}}
    kept = Remote(numbers, remotes.Held(2, one, 600, "b"), trial, control, "raw", remotes.Fate(3, "w", "s"), "a")
    assert parse(kept.dump()) == kept


# --- the key that signed is revoked -----------------------------------------------------------------------------------
TOP = (1 << 31) - 1


def by(kid: str, doc: mail.Document) -> mail.Document:
    return replace(doc, kid=kid)


def revoke(desk: Desk, *kids: str) -> None:
    desk.take(desk.steward.revoked(frozenset(kids), desk.facts, desk.now))


def test_what_a_revoked_key_has_set_lapses_and_frees_its_numbers() -> None:
    desk = Desk()
    desk.send(by("thief", config(TOP, 60, charge_limit_w=0)))
    desk.send(by("thief", default(TOP, "idle", import_limit_w=0)))
    desk.later(61, heard=True)
    assert desk.holds.site.utility_charge_w == 0
    revoke(desk, "nobody")
    assert desk.holds.site.utility_charge_w == 0
    desk.events.clear()
    revoke(desk, "thief")
    assert desk.holds is SITE
    assert desk.words() == [("config_rolled_back", TOP, "revoked"), ("default_applied", 0, "revoked")]
    assert desk.told[-1].floors == {}
    again = desk.restart()
    assert again.holds is SITE
    again.send(by("next", config(1, charge_limit_w=500)))
    assert again.holds.site.utility_charge_w == 500
    revoke(again, "thief")
    assert again.holds.site.utility_charge_w == 500


def test_what_another_key_had_set_before_stays_and_its_number_counts() -> None:
    desk = Desk()
    desk.send(by("good", config(3, 60, charge_limit_w=700)))
    desk.later(61, heard=True)
    desk.send(by("good", default(4)))
    desk.send(by("thief", config(TOP, 60, charge_limit_w=0)))
    assert desk.holds.site.utility_charge_w == 0
    revoke(desk, "thief")
    assert desk.holds.site.utility_charge_w == 700
    assert desk.told[-1].floors == {"config": (3, "digest 3"), "default": (4, "digest 4")}


def test_what_is_on_its_way_to_the_disk_when_its_key_is_revoked_never_holds() -> None:
    desk = Desk()
    desk.send(by("thief", config(5, charge_limit_w=0)), answer=False)
    desk.send(by("good", default(2, "idle")), answer=False)
    desk.take(desk.steward.revoked(frozenset({"thief"}), desk.facts, desk.now), answer=False)
    for _ in range(3):
        desk.take(desk.steward.stored(mail.DocumentsStored(None), desk.facts, desk.now))
        assert desk.holds.site.utility_charge_w == SITE.site.utility_charge_w
    assert desk.holds.default.mode == "idle"
    assert desk.steward.in_force.remote.floors == {"default": (2, "digest 2")}


def test_a_revoked_key_frees_its_own_numbers_alone() -> None:
    """What the other key had set and what was taken back of it does not come again: the broker has the bytes."""
    desk = Desk()
    desk.send(by("good", default(2, "idle")))
    desk.send(by("good", config(5, 60, charge_limit_w=700)))
    desk.later(61, heard=True)
    desk.send(by("good", config(8, raise_permille=400, raise_s=3600)))
    desk.faults = (fault("actuation"),)
    desk.later(1)
    assert desk.words()[-1] == ("config_rolled_back", 8, "fault")
    desk.faults = ()
    desk.send(by("thief", config(9, 60)))
    desk.send(by("thief", default(3)))
    desk.later(61, heard=True)
    desk = desk.restart()
    revoke(desk, "thief")
    assert desk.told[-1].floors == {"config": (8, "digest 8"), "default": (2, "digest 2")}
    desk = desk.restart()
    desk.send(by("good", config(5, 60, charge_limit_w=700)))
    desk.send(by("good", config(8, raise_permille=400, raise_s=3600)))
    desk.send(by("good", default(2, "idle")))
    assert (desk.holds, desk.words(), desk.raises) == (SITE, [], [])
    desk.send(by("good", config(9, charge_limit_w=800)))
    assert desk.holds.site.utility_charge_w == 800


def test_of_many_keys_the_numbers_of_the_latest_are_kept() -> None:
    state = Remote()
    for number in range(1, 40):
        state = state.seen("config", number, "d", f"key {number}")
    assert len(state.numbers["config"]) == remotes.MOST_KEYS >= 2 * ONLINE_KEYS
    assert state.lapsed({"key 39", "key 37"}).floors == {"config": (38, "d")}


BEFORE = (
    '{"default":{"export_limit_w":null,"import_limit_w":null,"mode":"idle","ramp_permille_per_s":null,"version":2},'
    '"fate":{"sentence":"u","version":9,"word":"config_applied"},"floors":{"config":[9,"d9"],"default":[3,"e3"]},'
    '"release":"","settled":{"kid":"good","probation_s":60,"settings":{"export_limit_w":5000},"version":5},'
    '"signers":{"config":"thief","default":"thief","held":"good"},'
    '"trial":{"kid":"thief","probation_s":60,"settings":{},"version":9},"v":1}'
)


def test_state_of_before_every_keys_numbers_were_kept_is_read() -> None:
    kept = parse(BEFORE.encode())
    assert isinstance(kept, Remote), kept
    assert kept.floors == {"config": (9, "d9"), "default": (3, "e3")}
    assert (kept.held.version, kept.default.mode, kept.settled.settings.export_limit_w) == (9, "idle", 5000)
    assert parse(kept.dump()) == kept
    after = kept.lapsed({"thief"})
    assert (after.held.version, after.default.version) == (5, 2)
    assert after.floors == {"config": (5, ""), "default": (2, "")}
    assert after.lapsed({"good"}) == Remote(fate=kept.fate)


def test_state_of_before_keys_were_noted_is_read() -> None:
    raw = {name: value for name, value in json.loads(BEFORE).items() if name != "signers"}
    for held in (raw["settled"], raw["trial"]):
        del held["kid"]
    kept = parse(json.dumps(raw).encode())
    assert isinstance(kept, Remote), kept
    assert kept.floors == {"config": (9, "d9"), "default": (3, "e3")}
    assert kept.lapsed({"thief", "good"}) is kept
