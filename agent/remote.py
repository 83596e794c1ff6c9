"""What the operator has set from afar: configuration, default control, and the last release told of. Pure.

Settings only tighten what was commissioned: `effective` takes the least of both. A configuration is on probation first;
a restart on probation takes it back (`begun`). Which version was the highest is never taken back. `dump` and `parse`
are the only text form; the store keeps the bytes in two slots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from agent.core.params import IDLE, SELF_CONSUMPTION, DefaultControl, Params

VERSION = 2  # of the text
CONFIG, DEFAULT, FIRMWARE = "config", "default", "firmware"
KINDS = (CONFIG, DEFAULT, FIRMWARE)
MOST_KEYS = 8  # of a kind, whose numbers are kept: four times as many as a bundle lists at once
APPLIED, REFUSED, ROLLED_BACK, CONFIRMED = "config_applied", "config_refused", "config_rolled_back", "config_confirmed"
WORDS = (APPLIED, REFUSED, ROLLED_BACK, CONFIRMED)  # of events


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a configuration: W are magnitudes >= 0, None = not set. What it raises was begun once, and ends by itself."""

    import_limit_w: int | None = None
    export_limit_w: int | None = None
    charge_limit_w: int | None = None
    discharge_limit_w: int | None = None
    soc_floor_permille: int | None = None
    raise_permille: int | None = None
    raise_s: int | None = None
    peak_target_w: int | None = None
    batch_s: int | None = None
    live_s: int | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A configuration by its version. 0 = none: what was commissioned."""

    version: int = 0
    settings: Settings = field(default_factory=Settings)
    probation_s: int = 0
    kid: str = ""  # of the key that signed it


NOTHING = Held()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the last configuration: `word` is the event's."""

    version: int
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Remote:
    """`numbers`: kind -> key -> highest version of that key that was ever taken or refused here, and its digest.
    `settled` has held; `trial` is on probation in its place. `default_kid` signed the default control that holds.
    `release`: the firmware manifest as it came, signatures and all."""

    numbers: Mapping[str, Mapping[str, tuple[int, str]]] = field(default_factory=dict)
    settled: Held = NOTHING
    trial: Held | None = None
    default: DefaultControl = field(default_factory=DefaultControl)
    release: str = ""
    fate: Fate | None = None
    default_kid: str = ""

    @property
    def floors(self) -> dict[str, tuple[int, str]]:
        """Kind -> highest version of all keys, and its digest: nothing up to it is news."""
        return {kind: max(keys.values()) for kind, keys in self.numbers.items()}

    @property
    def held(self) -> Held:
        """The configuration that holds now."""
        return self.settled if self.trial is None else self.trial

    def seen(self, kind: str, version: int, digest: str, kid: str = "") -> Remote:
        """The same after that version was heard of, signed by `kid`. The key that signed least lately gives way."""
        keys = {**self.numbers.get(kind, {}), kid: (version, digest)}
        latest = sorted(keys.items(), key=lambda each: each[1])[-MOST_KEYS:]
        return replace(self, numbers={**self.numbers, kind: dict(latest)})

    def lapsed(self, kids: Set[str]) -> Remote:
        """The same without anything that those keys have set, nor a number that they used up; the same object if there
        is nothing of theirs. A raise of the reserve that has begun ends by itself."""
        trial = None if self.trial is not None and self.trial.kid in kids else self.trial
        settled = NOTHING if self.settled.kid in kids else self.settled
        theirs = self.default_kid in kids
        default, default_kid = (DefaultControl(), "") if theirs else (self.default, self.default_kid)
        left = {kind: {kid: keys[kid] for kid in keys if kid not in kids} for kind, keys in self.numbers.items()}
        if left == self.numbers and trial is self.trial and settled is self.settled and not theirs:
            return self
        numbers = {kind: keys for kind, keys in left.items() if keys}
        after = replace(self, numbers=numbers, trial=trial, settled=settled)
        return after.defaulted(default, default_kid)

    def tried(self, held: Held, sentence: str) -> Remote:
        """`held` goes on probation; one that was on probation is forgotten."""
        return replace(self, trial=held, fate=Fate(held.version, APPLIED, sentence))

    def judged(self, fate: Fate) -> Remote:
        """The same after a configuration was refused."""
        return replace(self, fate=fate)

    def defaulted(self, control: DefaultControl, kid: str = "") -> Remote:
        """The same with another default control, signed by `kid`."""
        return replace(self, default=control, default_kid=kid)

    def released(self, raw: str) -> Remote:
        """The same after a release was told of."""
        return replace(self, release=raw)

    def rolled_back(self, sentence: str) -> Remote:
        """What had held before holds again. ValueError if nothing is on probation."""
        if self.trial is None:
            raise ValueError("no configuration is on probation")
        return replace(self, trial=None, fate=Fate(self.trial.version, ROLLED_BACK, sentence))

    def confirmed(self, sentence: str) -> Remote:
        """What is on probation stays. ValueError if nothing is."""
        if self.trial is None:
            raise ValueError("no configuration is on probation")
        return replace(self, trial=None, settled=self.trial, fate=Fate(self.trial.version, CONFIRMED, sentence))

    def dump(self) -> bytes:
        """The bytes that `parse` reads."""
        return json.dumps({"v": VERSION, **asdict(self)}, separators=(",", ":"), sort_keys=True).encode("utf-8")


class InForce(NamedTuple):
    """The parameters as commissioned, as they hold now, and what was set from afar."""

    site: Params
    now: Params
    remote: Remote


def begun(kept: Remote) -> tuple[Remote, str | None]:
    """What a start goes on with: what was on probation did not last. The sentence to tell, if so."""
    if kept.trial is None:
        return kept, None
    sentence = taken_back(kept, "the agent was started anew while it was on probation")
    return kept.rolled_back(sentence), sentence


def taken_back(kept: Remote, why: str) -> str:
    """The sentence for a rollback."""
    before = f"configuration {kept.settled.version}" if kept.settled.version else "what was commissioned"
    return f"configuration {kept.trial.version if kept.trial else 0} is taken back: {why}; {before} holds again"


def effective(site: Params, remote: Remote) -> Params:
    """`site` as tightened by what holds now: never looser in any limit. The same object if nothing is set; else `own`
    is `site` where a limit is narrower: by that the home cures itself."""
    settings, default = remote.held.settings, remote.default
    if settings == Settings() and default == DefaultControl():
        return site
    was = site.site
    narrowed = replace(
        was,
        import_limit_w=_least(was.import_limit_w, settings.import_limit_w, default.import_limit_w),
        export_limit_w=_least(was.export_limit_w, settings.export_limit_w, default.export_limit_w),
        utility_charge_w=_least(was.utility_charge_w, settings.charge_limit_w),
        utility_discharge_w=_least(was.utility_discharge_w, settings.discharge_limit_w),
    )
    floor = max(site.soc_floor_permille, settings.soc_floor_permille or 0)
    floor = min(floor, site.reserve_min_permille)
    own = None if narrowed == was else site
    return replace(site, site=narrowed, soc_floor_permille=floor, default=default, own=own)


def unfit(site: Params, settings: Settings) -> str | None:
    """Why this home cannot go by these settings, or None."""
    if settings.peak_target_w is not None:
        return "peak_target_w: this version shaves no peaks; import_limit_w narrows what is charged from the grid"
    floor = settings.soc_floor_permille
    if floor is not None and floor > site.reserve_min_permille:
        least = site.reserve_min_permille
        return (
            f"soc_floor_permille {floor} is above the site's least reserve, {least}; "
            "raise_permille raises the reserve itself"
        )
    return None


def _least(own: int, *others: int | None) -> int:
    return min((own, *[other for other in others if other is not None]))


# --- text -------------------------------------------------------------------------------------------------------------
def parse(data: bytes) -> Remote | str:
    """Inverse of `dump`, or a sentence."""
    try:
        raw = json.loads(data)
        raw = _from_1(raw) if raw["v"] == 1 else raw
        if raw.pop("v") != VERSION or set(raw) != {f.name for f in fields(Remote)}:
            return "it is not of a version that this program reads"
        return Remote(
            numbers={str(kind): _floors(keys) for kind, keys in raw["numbers"].items()},
            settled=_held(raw["settled"]),
            trial=None if raw["trial"] is None else _held(raw["trial"]),
            default=default_of(raw["default"]),
            release=str(raw["release"]),
            fate=None if raw["fate"] is None else Fate(**raw["fate"]),
            default_kid=str(raw["default_kid"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"it is not readable: {error!r:.80}"


def _from_1(raw: dict[str, Any]) -> dict[str, Any]:
    """Text of before every key's numbers were kept: that had the highest of all keys, and of some kinds its key. What
    holds tells one more."""
    rest = {name: value for name, value in raw.items() if name not in ("v", "floors", "signers")}
    signers = raw.get("signers", {})
    default_kid = signers.get("held", "")
    numbers = {kind: {signers.get(kind, ""): floor} for kind, floor in raw["floors"].items()}
    held = [(CONFIG, each["version"], each.get("kid", "")) for each in (raw["settled"], raw["trial"]) if each]
    for kind, version, kid in (*held, (DEFAULT, raw["default"]["version"], default_kid)):
        if version:
            numbers.setdefault(kind, {}).setdefault(kid, (version, ""))
    return {"v": VERSION, **rest, "numbers": numbers, "default_kid": default_kid}


def _floors(raw: Mapping[str, tuple[object, object]]) -> dict[str, tuple[int, str]]:
    return {str(kid): (_int(version), str(digest)) for kid, (version, digest) in raw.items()}


def _held(raw: Mapping[str, object]) -> Held:
    return Held(_int(raw["version"]), settings_of(raw["settings"]), _int(raw["probation_s"]), str(raw.get("kid", "")))


def settings_of(raw: object) -> Settings:
    """Settings of a checked body; members that it lacks are not set. TypeError for anything else."""
    values = dict(raw)  # type: ignore[call-overload]  # a TypeError is the answer to what is no mapping
    groups = values.pop("groups", None)
    _numbers(values)
    return Settings(**values, groups=None if groups is None else tuple(_words(groups)))


def default_of(raw: Mapping[str, object]) -> DefaultControl:
    """Default control of a checked body. TypeError, ValueError for anything else."""
    values = dict(raw)
    mode = values.pop("mode")
    if mode not in (SELF_CONSUMPTION, IDLE):
        raise ValueError(f"no mode of default control: {mode!r:.40}")
    _numbers(values)
    return DefaultControl(**values, mode=mode)  # type: ignore[arg-type]  # looked at above


def _numbers(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if value is not None:
            _int(value, name)


def _int(value: object, name: str = "version") -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{name} is {value!r:.40}, expected a whole number from 0")
    return value


def _words(raw: Iterable[object]) -> Iterable[str]:
    for word in raw:
        if not isinstance(word, str):
            raise TypeError(f"{word!r:.40} is no name of a group")
        yield word
