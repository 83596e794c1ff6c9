"""The words of an ack's `state` and of the security counters, for people."""

from __future__ import annotations

# state -> (IEEE 2030.5 response code, what it means)
STATES: dict[str, tuple[int | None, str]] = {
    "received": (1, "verified, and on the disk"),
    "scheduled": (None, "waits for its start"),
    "started": (2, "a setpoint was written and read back, or a limit is in force; once in a life, also over a crash"),
    "limited": (None, "gives less than asked: `reason` names the limit, null when it has lifted"),
    "completed": (3, "ran to its end; of cancel and stop: done"),
    "opted_out": (4, "the homeowner left"),
    "opted_in": (5, "and came back"),
    "cancelled": (6, "by cancel or stop"),
    "superseded": (7, "another command took over"),
    "partial_opt_out": (8, "left on the way"),
    "partial_opt_in": (9, "came back on the way"),
    "no_participation": (10, "opted out all the time"),
    "user_ack": (11, "seen by a person"),
    "aborted_server": (13, "ended by the server"),
    "aborted_program": (14, "its programme ended"),
    "rejected_not_applicable": (252, "this home cannot, or not now; `reason` says what"),
    "rejected_invalid": (253, "signed, and makes no sense"),
    "rejected_late": (254, "came after `exp`, or after its own end; of the latter `received` is told first"),
    "failed": (None, "a device fault, or a reboot during a direct setpoint"),
}

# counter -> what was wrong, in the order in which it is looked at
REASONS: dict[str, str] = {
    "bad_typ": "no such topic, or signed for another one",
    "retained": "a command or homeowner's message that the broker kept",
    "oversized": "more bytes than the topic may have",
    "bad_format": "not a strict token or not strict JSON; a header too many or too few; `alg` is not `Ed25519`",
    "unknown_key": "nobody of that `kid`, or a key that can prove nothing",
    "bad_role": "that role may not sign this",
    "flood": "a second: more than 50 signatures of a key on a topic (200 of operations and the homeowner), 5 commands "
    "(20 at once), a bundle (4 at once); more than 8,640 commands of a key a day (2,000 at once), 100 messages of a "
    "homeowner's key of each kind a day (50 at once), or 4 documents of a kind an hour (8 at once). The last bundle "
    "and the latest document wait and are looked at again; of what looks like a cancel, stop or opt_out 300 a second "
    "besides are drawn",
    "bad_signature": "does not verify",
    "bad_version": "`v` is none of the `protocols` of its birth",
    "bad_body": "a member that is missing, unknown, of the wrong type, out of range, or against another",
    "bad_audience": "for another home or group",
    "duplicate": "a known command again: its ack is sent again, at most once in 10 s",
    "replay": "`seq` or `id` was used, is too old, or too far ahead, or of no open session; the nonce of another boot; "
    "or signed before your first answer to a disk that was put back",
    "expired": "after `exp`; a cancel or stop of 22 days ago; an `opt_out` whose `for_s` is over",
    "future": "`iat` is more than 30 s ahead",
    "not_fresh": "no signed time has echoed a nonce of this boot yet, or none came within half a minute",
    "clock_conflict": "a signed time that contradicts the gateway's network time, or an earlier one, by two minutes; "
    "and, while they do, what is judged by time",
    "version_rollback": "a configuration, default control or release older than what is known",
    "version_fork": "the same version of it with other content",
    "version_jump": "configuration or default control more than 1,000,000 above the last one; the first above 2^30",
    "key_time": "the key is outside its `nbf` and `exp`; a time from before the bundle, or, without a clock, after it",
    "trust_root": "not the bundle that the claim named; a root that could do without those of enrolment; a plain file",
    "trust_threshold": "too few keys of the old root, or of the new one, have signed; of a release, of firmware",
    "trust_rollback": "an older bundle",
    "trust_fork": "the same version with other content",
    "trust_gap": "a version in between is missing",
    "trust_fleet": "of another fleet",
    "trust_revoked": "takes a revocation back",
    "trust_expired": "the last bundle of the chain has expired; or the home's own has, and this is new work",
}
