"""Who may do what: one table for the link, the local socket and batteryctl. docs/roles.md is printed from it.

Stdlib only and without dataclasses: batteryctl reads it too, and starts in the time of a bare Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COMMAND, TIME, RECEIPT = "battery-command+jws", "battery-time+jws", "battery-receipt+jws"
TRUST, HOMEOWNER = "battery-trust+jws", "battery-homeowner+jws"
CONFIG, DEFAULT, FIRMWARE = "battery-config+jws", "battery-default+jws", "battery-firmware+jws"

# role -> (how many keys must sign together, who holds it, how long it lives)
ROLES: Mapping[str, tuple[int, str, str]] = MappingProxyType(
    {
        "root": (2, "the operator, offline: three people or vaults", "5 years"),
        "dispatch": (1, "the aggregator's control plane", "90 days"),
        "service": (1, "the aggregator's machine that talks to homes all day", "90 days"),
        "operations": (1, "the operator's control room: other people than dispatch", "1 year"),
        "firmware": (2, "the release pipeline and a person beside it", "2 years"),
        "homeowner": (1, "the homeowner: a key of this home alone, named at the gateway", "until replaced"),
        "technician": (1, "a person at the gateway: root or a technicians' group, by the kernel's word", "the visit"),
        "viewer": (1, "anybody else who may open the local socket", "the visit"),
        "device-sign": (1, "this gateway, made on it", "2 years"),
        "device-tls": (1, "this gateway, made on it", "90 days"),
    }
)
BUNDLED = ("root", "dispatch", "service", "operations", "firmware")  # whose keys the signed bundle lists

_ALL = frozenset({"viewer", "technician", "homeowner"})
_HOME = frozenset({"technician", "homeowner"})
_DISPATCH = frozenset({"dispatch"})
_STOPS = frozenset({"dispatch", "operations"})
_OPERATIONS = frozenset({"operations"})
_TECHNICIAN, _HOMEOWNER = frozenset({"technician"}), frozenset({"homeowner"})

# (typ, kind) of a signed message -> (roles that may sign it, what it does)
LINK: Mapping[tuple[str, str], tuple[frozenset[str], str]] = MappingProxyType(
    {
        (COMMAND, "dispatch"): (_DISPATCH, "power for a while, inside every limit of the home"),
        (COMMAND, "schedule"): (_DISPATCH, "setpoints of the coming days"),
        (COMMAND, "session"): (_DISPATCH, "a regulation session in a band"),
        (COMMAND, "price"): (_DISPATCH, "prices to come"),
        (COMMAND, "quote"): (_DISPATCH, "asks what the home would give"),
        (COMMAND, "cancel"): (_STOPS, "ends one command; at any clock, with any bundle"),
        (COMMAND, "stop"): (_STOPS, "ends all dispatch; at any clock, with any bundle"),
        (COMMAND, "resend"): (frozenset({"dispatch", "service", "operations"}), "asks for rows again"),
        (TIME, ""): (frozenset({"service"}), "what time it is, echoing this start's nonce"),
        (RECEIPT, ""): (frozenset({"service"}), "which rows the aggregator has"),
        (TRUST, ""): (frozenset({"root"}), "the next trust bundle: thresholds of the old root and of the new one"),
        (CONFIG, ""): (_OPERATIONS, "settings, tighter than what was commissioned; on probation first"),
        (DEFAULT, ""): (_OPERATIONS, "what the home does when nothing is asked of it"),
        (FIRMWARE, ""): (frozenset({"firmware"}), "tells of a release; installs nothing"),
        (HOMEOWNER, "reserve"): (_HOMEOWNER, "the reserve, up or down"),
        (HOMEOWNER, "storm"): (_HOMEOWNER, "a higher reserve for a while; 0 ends it"),
        (HOMEOWNER, "opt_out"): (_HOMEOWNER, "ends dispatch and refuses it until opt_in; at any clock"),
        (HOMEOWNER, "opt_in"): (_HOMEOWNER, "takes dispatch again; acknowledges no fault"),
        (HOMEOWNER, "consent"): (_HOMEOWNER, "agrees to terms, by their hash; goes on record"),
    }
)

# what is asked at the gateway -> (roles, what it does). "root" where batteryctl needs the rights of root itself
LOCAL: Mapping[str, tuple[frozenset[str], str]] = MappingProxyType(
    {
        "status": (_ALL, "how the home stands"),
        "watch": (_ALL, "the same, live"),
        "why": (_ALL, "every limit, and the one that binds"),
        "faults": (_ALL, "what is wrong, and what to do"),
        "log": (_ALL, "what the agent did"),
        "device": (_ALL, "what each device can be told and says"),
        "bus": (_ALL, "how the lines stand"),
        "config": (_ALL, "which settings hold, and whose word each is"),
        "update": (_ALL, "which release is known; whether a package is that, and whether now is the time"),
        "reserve": (_HOME, "sets the reserve, not below what it is"),
        "reserve_lower": (_HOMEOWNER, "sets a lower reserve"),
        "storm": (_HOME, "raises the reserve for a while"),
        "storm_end": (_HOMEOWNER, "ends such a raise before its time"),
        "stop": (_HOME, "ends dispatch until resume"),
        "resume": (_HOME, "ends a stop, acknowledges what waits for a person"),
        "optout": (_HOME, "no dispatch, schedule, session or price until optin, or for a while"),
        "optin": (_HOME, "takes part again; what the homeowner has opted out of, only the homeowner"),
        "override": (_HOME, "holds the battery at a power for a while, inside every limit"),
        "adopt": (_TECHNICIAN, "takes a replaced device for the home's own"),
        "look": (_TECHNICIAN, "reads any register"),
        "keys_show": (_TECHNICIAN, "public halves, fingerprints, the bundle"),
        "keys_enrol": (_TECHNICIAN, "makes this gateway's keys, takes the first bundle of a claim"),
        "keys_rotate": (_TECHNICIAN, "makes a new key of this gateway, announced by the old one"),
        "keys_root": (_TECHNICIAN, "takes another root or aggregator; the homeowner's consent besides"),
        "keys_homeowner": (_TECHNICIAN, "names the homeowner's key; with the PIN, or the consent of one named before"),
        "config_export": (_TECHNICIAN, "writes the settings with a hash, without any secret"),
        "replace_export": (_TECHNICIAN, "writes what a new gateway needs, without any private key"),
        "replace_import": (_TECHNICIAN, "takes it over on the new gateway; the reserve stays 100 % without the owner"),
        "replace_wipe": (_TECHNICIAN, "erases this gateway's keys, reserve, records and configuration, and signs that"),
    }
)
CONSENT = ("keys_root", "keys_homeowner")  # a technician alone never does these


def may_sign(role: str | None, typ: str, kind: str = "") -> bool:
    """Whether that role may sign that message. Unknown roles and messages: no."""
    row = LINK.get((typ, kind))
    return row is not None and role in row[0]


def may_ask(role: str, verb: str) -> bool:
    """Whether somebody of that role may ask for `verb` at the gateway. Unknown roles and verbs: no."""
    row = LOCAL.get(verb)
    return row is not None and role in row[0]
