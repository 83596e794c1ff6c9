"""What docs/protocol.md says in sentences; the tables come from the models (hil.protocol.page)."""

from __future__ import annotations

HEAD = """\
# The protocol
Made from the models by `python scripts/protocol.py`; a test holds it to that. For machines: [JSON Schema](schema) of
every message, [AsyncAPI 3](asyncapi.json), [golden vectors](vectors.md). For the order in which to build an
aggregator: [the integrator's page](integrator.md). How the words map to IEEE 2030.5 and OpenADR 3: [the
map](protocol-map.md).

Power is **+ toward the house**: battery + = discharge, grid + = import, PV + = production. Every member with a unit
has it in its name: `_w _wh _ms _s _permille _mhz _mv _ma _dc` (0.1 °C) and so on. Numbers are integers: `5000.0` is
refused. Times are UTC milliseconds. `null` = not known, or not set."""

ENVELOPE = """\
## The envelope
A message is one JWS in compact form (RFC 7515), `alg` exactly `Ed25519` (RFC 9864). The protected header has exactly
`alg`, `kid` and `typ`; a batch `"zip":"DEF"` besides, and its payload is raw DEFLATE (RFC 1951) of the JSON. `kid` is
the first 16 characters of the base64url RFC 7638 thumbprint of the key. The payload is one flat JSON object. What
several must sign (`down/trust`, `down/firmware`) is a JWS in general JSON form with a signature of each: {"payload",
"signatures": [{"protected", "signature"}, ..]}, or {"bundles": [..]} of such, in order.

Both sides read strictly, byte for byte: three parts; base64url without padding that encodes back to itself; nothing
before or after; at most 256 characters of header; no repeated keys, `NaN`, infinities, escaped surrogates, integers
of more than 20 characters, no nesting deeper than 8. Nothing of a payload is looked at before the signature holds; at
most 262,144 bytes are inflated. The key comes from your table by `kid`, never from the message; its algorithm is the
table's. Keys of small order and keys that are not encoded canonically verify nothing.

`iss` is a name for people and for the stream of numbers; no home holds it against its fleet, and a group's `aud` names
no fleet. **A key is of one fleet**: bundles of two fleets that list the same one would let whoever carries messages
hand those of the one to the other.

These members are in every signed message:"""

CHECKS = """\
## What a home does with a message
In this order, and the first thing that is wrong ends it. **Nothing is answered**: a counter rises, and the counters
go up with each batch. A forger learns nothing, and floods nobody.

`cancel`, `stop` and `opt_out` pass without a known time, after `exp`, and beyond 5 a second: they only ever make the
home do less. A broker can therefore keep one back and play it later: a cancel or stop for 22 days from its `iat`,
for as long as anything that was signed before it may run (then `expired`), an `opt_out` until a later message of its
key was heard. `for_s` of an `opt_out` counts from `iat`, and one that is over is `expired`; none shortens an opt-out
that is in force: for that, `opt_in` and another. These two are judged by the lesser of the gateway's network time and
signed time, and not where it has but one of them: whoever puts one clock forward makes no home deaf to a stop.

Signature, audience and role bind them too. The `seq` of cancel and stop is not judged, so that nobody who stole the
key can use it up: a cancel ends its target once, and of the stops of a key one is taken if its `iat` is later than
that of the last (in one millisecond: if its `id` is another), which counts as signed no later than it came; one that
was dated ahead of that is remembered itself, so that it works once too (16 of a key). One that changes nothing is
acknowledged and leaves no record. Of each key 1,000 a day (200 at once) are acknowledged; beyond, they end what they
end, and are remembered, in silence. Of other commands, setpoints of sessions apart, a key has 8,640 a day (2,000 at
once); of those that the home rejects, 1,000 a day (200 at once) are acknowledged.

The first `seq` of a stream is at most 2^32 above its `iat`. The `exp` of time and receipts is not judged: a nonce is
never used twice, nor is the number of a row.

Which time judges: a gateway that has network time, or had it since it started, judges by its own clock. One that never
had it judges by signed times: each says that it is now between `wall_ms` and that plus the round trip of its nonce.
`exp` is judged by the latest that it may be, `iat` by the least. A round trip of more than 30 s makes no time: the
device asks again, by a birth with another nonce. A signed time that contradicts the gateway's own clock, or an earlier
signed time, by more than two minutes is refused (`clock_conflict`, and an event). Signed time alone never ends what
people at home have set for a while: a storm, an opt-out, a raise.

| counter | what was wrong |
|---|---|"""

VERSIONS = """\
## Versions
Every signed body says in `v` which version of the protocol it is written in; topics begin with it too
(`battery/v1/`). Birth lists in `protocols` every version that the agent takes and speaks. This is the whole
negotiation:

- You write in the highest version that both know. If there is none, you write nothing: there is no older form to fall
  back to, no unsigned mode, no second algorithm. The device shows as there (`up/state`, birth) and takes no dispatch.
- A message in a version that the agent does not know is refused with `bad_version`, whatever its members look like,
  also a stop. It is never read as if it were another version.
- A version is taken out of `protocols` by a software update and does not come back by a message. A broker that holds
  back or repeats births can make you speak a version that is still listed, never one that is gone: the device judges
  by its own list.
- Remember the highest version that a device has listed. A birth that lists less is another software or an old birth:
  look at its `boot` and `seq`, raise an alarm, and do not go down for it.
- Within a version members are only added upward: **ignore what you do not know there.** Downward, unknown members are
  refused, so a new member needs a new version."""

SEQUENCES = """\
## Sequences
Every start: no dispatch before a signed time has echoed the nonce of its latest birth, within half a minute.

```text
device                                   broker                                aggregator
  |-- up/state ready (retained) ----------->|                                      |
  |-- up/birth {nonce, protocols, ..} ----->|------------------------------------->|
  |                                         |<------- down/time {nonce, wall_ms} --|
  |   dispatch is taken from here on        |                                      |
  |-- up/live (one) ----------------------->|------------------------------------->|
```

A direct setpoint. `received` is on the disk before anything moves; `started` was read back.

```text
  |<---------------------------------- down/command dispatch {power_w, duration_s} --|
  |  commit, then act                                                                |
  |-- up/ack received ------------------------------------------------------------->|
  |  write, read back                                                                |
  |-- up/ack started --------------------------------------------------------------->|
  |-- up/live every 2 s ------------------------------------------------------------>|
  |-- up/ack limited {reason: "reserve", given_w} ---------------------------------->|  if a limit binds
  |-- up/ack limited {reason: null} ------------------------------------------------>|  when it lifts
  |-- up/ack completed {energy_wh} -------------------------------------------------->|
```

Cancel and stop: release first, then commit, then tell.

```text
  |<------------------------------------------------- down/command cancel {target} --|
  |  release                                                                         |
  |-- up/ack of the cancel: completed ---------------------------------------------->|
  |-- up/ack of the target: cancelled ---------------------------------------------->|
```

Rows are kept until a signed receipt, and come again until then.

```text
  |-- up/batch seq 41 -------------------------------------------------------------->|
  |-- up/ack   seq 42 -------------------------------------------------- lost        |
  |-- up/batch seq 43 -------------------------------------------------------------->|  on your disk
  |<-------------------------------------------- down/receipt {upto: 41, also: [43]} --|
  |  forgets 41 and 43                                                               |
  |-- up/ack   seq 42 again -------------------------------------------------------->|
  |<------------------------------------------------------ down/receipt {upto: 43} --|
```

After every start the rows of that start wait for `last` of the time: a disk that was put back to an older image counts
on from numbers that it has used. Here the image ended at row 300, and you have rows up to 500.

```text
  |-- up/birth {nonce, outbox: {first: 290, last: 303}} ---------------------------->|
  |<--------------------------------------------- down/time {nonce, .., last: 500} --|
  |  rows 301 to 303 become 501 to 503                                               |
  |-- up/event seq 501 ------------------------------------------------------------->|
  |-- up/event seq 504 gap {store_replaced, first: 301, last: 500} ----------------->|
```

Rows once more. What the home still keeps comes again, receipted or not; what it does not is named.

```text
  |<------------------------------------- down/command resend {first: 40, last: 90} --|
  |-- up/event gap {not_kept, first: 40, last: 71} --------------------------------->|
  |-- up/ack of the resend: received ----------------------------------------------->|
  |-- rows 72 to 90, one at a time ------------------------------------------------->|
  |-- up/ack of the resend: completed ---------------------------------------------->|
```

A new trust bundle, and the homeowner's word by way of the aggregator.

```text
  |<--------------------------------- down/trust {payload, signatures} (retained) --|
  |  old root and new root both above their threshold, version + 1                   |
  |-- up/birth {trust_version} ----------------------------------------------------->|
  |<---------------------------- down/homeowner reserve {permille} (homeowner's key) --|
  |  on the disk, then it holds                                                      |
  |-- up/event homeowner {kind, message_id, token} --------------------------------->|
```"""

# under the heading of a topic
NOTES = {
    "down-command": """\
What each kind does, beside each other and over a restart, is told in [the life of a command](lifecycle.md).

- A **dispatch** has up to three modes: `power_w`, `import_limit_w`, `export_limit_w`. Of each there is one holder.
- A **session**'s block `seq_from` to `seq_to` begins above the session's own `seq` and is its setpoints' alone: from
  acceptance on all of it counts as used, so every other message of that `iss` and key **needs a `seq` above `seq_to`**
  (but `cancel` and `stop`, whose `seq` is not judged). A setpoint has `session`, `power_w` and a number of the block;
  it acts at once, is not answered, and ends by itself. A restart of the home ends the session (`failed`, `restart`):
  open another.
- A **quote** is judged as a dispatch of the same power, length and `start` (without, beyond 15 minutes: an event that
  starts now). It is answered by one ack, and for now: with a `start` to come it tells what the home would give if
  that were now, and its `sentence` says so; of an order that has begun, what is left of it counts. What that order
  would be refused with comes as it would: `rejected_invalid`, `no_participation` and so on. Else `completed`:
  `given_w` is what the home gives once its ramp is over (null: nothing is asked of the inverter), `energy_wh` what
  the order moves, `reason` what it would be `limited` by, `superseded` if another keeps the power, and `bounds`. At
  most 12 a minute.
- A **price** has no `primacy`: of one issuer the newest list counts, of several the newest.

`resend` moves nothing in the home, so the link answers it alone: verified like any command, not committed with one. A
copy that somebody plays back after a restart, within its `exp`, is answered once more. It is taken at most once a
minute (4 at once, 4 under way); more is counted as `flood`. Rows come in their order, one at a time, with the bytes of
their first way; at most 16 stretches of missing rows are named in one answer, and `sentence` says where to ask again.
`rejected_not_applicable`: `first` was not written yet. A row that you have not receipted also comes on its own. Without
`completed` (the home restarted meanwhile) ask again.""",
    "down-time": """\
The first one of a boot that echoes the nonce of its latest birth within half a minute counts: dispatch is taken from
then on, and rows of this start go out, above `last`. (A gateway that has network time takes a slower one too.) Rows
of earlier starts do not wait for it. Who does not know your highest row, such as a tool beside you, answers no birth:
the first answer decides whether a disk that was put back is seen.""",
    "down-homeowner": """Of each kind a home takes 100 a day of a key (50 at once), and none while 32 wait for
its disk (64 for an `opt_out`, which waits for none): what is beyond is counted as `flood`, its `seq` is not used up,
and it may come again.""",
    "down-receipt": """`checkpoint` countersigns the settlement chain: send it once you have every record up to a
`checkpoint` record `n`; `head` is the hash that you computed of that. The device keeps the signed receipt beside its
records; one over another hash, or beyond its own records, makes it say so in a `chain` record. It looks at those over
its newest 1,000 records (ten days): one over a newer record says all that one over an older does. It hears 32 at once
and one an hour besides; the last one, if it comes again, counts for nothing.""",
    "up-settlement": """The record `n` is signed like any row; `prev` makes the chain: the hash of a record is
SHA-256(`prev` || SHA-256(its signed payload)), and that is the next one's `prev`. Energy is what registers say at
both ends; what is `estimated` is an integral of the agent's own, and adds up the same way. Where a register jumped,
take `after_wh` - `before_wh` out, and `estimated_wh` in. A clock that is put into another day ends the day: two
`reserve` records and two checkpoints may bear one date, in two eras, and add up.""",
    "down-config": "Tried, kept or taken back: [what is set from afar](configuration.md). `version` counts, not `seq`.",
    "down-default": "It holds at once: [default control](configuration.md#default-control).",
    "down-firmware": "Nothing is installed by it: [releases](configuration.md#releases).",
}
