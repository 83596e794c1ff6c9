"""What the operator has set from afar: configuration, default control, and the last release told of. Pure.

Settings only tighten what was commissioned: `effective` takes the least of both. A configuration is on probation first;
a restart on probation takes it back (`begun`). Which version was the highest is never taken back. `dump` and `parse`
are the only text form; the store keeps the bytes in two slots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, field, fields, replace
from typing import NamedTuple

from agent.core.params import IDLE, SELF_CONSUMPTION, DefaultControl, Params

CONFIG, DEFAULT, FIRMWARE = "config", "default", "firmware"
KINDS = (CONFIG, DEFAULT, FIRMWARE)
HELD = "held"  # among `signers`: whose default control holds
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
    """`floors`: kind -> highest version that was ever taken or refused here, and its digest; `signers`: the key of that
    one, and under "held" of the default control that holds. `settled` has held;
    `trial` is on probation in its place. `release`: the firmware manifest as it came, signatures and all."""

    floors: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    settled: Held = NOTHING
    trial: Held | None = None
    default: DefaultControl = field(default_factory=DefaultControl)
    release: str = ""
    fate: Fate | None = None
    signers: Mapping[str, str] = field(default_factory=dict)

    @property
    def held(self) -> Held:
        """The configuration that holds now."""
        return self.settled if self.trial is None else self.trial

    def seen(self, kind: str, version: int, digest: str, kid: str = "") -> Remote:
        """The same after that version was heard of, signed by `kid`."""
        return replace(self, floors={**self.floors, kind: (version, digest)}, signers={**self.signers, kind: kid})

    def lapsed(self, kids: Set[str]) -> Remote:
        """The same without anything that those keys have set, nor a number that they used up; the same object if there
        is nothing of theirs. A raise of the reserve that has begun ends by itself."""
        trial = None if self.trial is not None and self.trial.kid in kids else self.trial
        settled = NOTHING if self.settled.kid in kids else self.settled
        default = DefaultControl() if self.signers.get(HELD) in kids else self.default
        floors = {kind: floor for kind, floor in self.floors.items() if self.signers.get(kind) not in kids}
        signers = {kind: kid for kind, kid in self.signers.items() if kid not in kids}
        if signers == self.signers and trial is self.trial and settled is self.settled:
            return self
        held = settled if trial is None else trial
        for kind, version in ((CONFIG, held.version), (DEFAULT, default.version)):
            if version and kind not in floors:
                floors[kind] = (version, "")
        return replace(self, floors=floors, signers=signers, trial=trial, settled=settled, default=default)

    def tried(self, held: Held, sentence: str) -> Remote:
        """`held` goes on probation; one that was on probation is forgotten."""
        return replace(self, trial=held, fate=Fate(held.version, APPLIED, sentence))

    def judged(self, fate: Fate) -> Remote:
        """The same after a configuration was refused."""
        return replace(self, fate=fate)

    def defaulted(self, control: DefaultControl, kid: str = "") -> Remote:
        """The same with another default control, signed by `kid`."""
        return replace(self, default=control, signers={**self.signers, HELD: kid})

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
        return json.dumps({"v": 1, **asdict(self)}, separators=(",", ":"), sort_keys=True).encode("utf-8")


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
        raw.setdefault("signers", {})  # of before keys were noted
        if raw.pop("v") != 1 or set(raw) != {f.name for f in fields(Remote)}:
            return "it is not of a version that this program reads"
        return Remote(
            floors={kind: (_int(version), str(digest)) for kind, (version, digest) in raw["floors"].items()},
            settled=_held(raw["settled"]),
            trial=None if raw["trial"] is None else _held(raw["trial"]),
            default=default_of(raw["default"]),
            release=str(raw["release"]),
            fate=None if raw["fate"] is None else Fate(**raw["fate"]),
            signers={str(kind): str(kid) for kind, kid in raw["signers"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"it is not readable: {error!r:.80}"


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
