"""Every message of the link: topic, type, models, who signs, how it travels. Pages and schemas are printed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from agent.link import bundle, documents, homeowner, jws, messages
from hil.protocol import settled, trusted, up

Form = Literal["unsigned", "compact", "deflated", "general"]


@dataclass(frozen=True, slots=True)
class Row:
    """`name` is the topic's end ("up/birth") and, with a dash, the schema's. `limit`: bytes on the wire. `life`: what
    `exp` - `iat` may be. `models`: one of them fits."""

    name: str
    models: tuple[type[BaseModel], ...]
    signer: str
    qos: int
    retained: bool
    limit: int
    life: str
    form: Form
    sentence: str
    here: bool = True  # this version sends or takes it

    @property
    def typ(self) -> str | None:
        """Of the header; None: unsigned."""
        return None if self.form == "unsigned" else f"battery-{self.name.partition('/')[2]}+jws"

    @property
    def schema(self) -> str:
        """Name of its schema."""
        return self.name.replace("/", "-")

    @property
    def upward(self) -> bool:
        """From the device."""
        return self.name.startswith("up/")


DEVICE, ROOT = "device", "root, 2 of 3"
_LONG = "90 days"
KINDS = messages.KINDS

TABLE: tuple[Row, ...] = (
    Row("up/state", (up.State,), "nobody", 1, True, 256, "", "unsigned", "presence and will: a hint for the eye"),
    Row("up/birth", (up.Birth,), DEVICE, 1, True, jws.TOKEN_MAX, _LONG, "compact",
        "who is there, what it can do, and this boot's nonce; at every connect and change"),
    Row("up/live", (up.Live,), DEVICE, 0, False, jws.TOKEN_MAX, "60 s", "compact",
        "one second; one at connect, then every 2 s while dispatched or asked for"),
    Row("up/batch", (up.Batch, up.Unreadable), DEVICE, 1, False, jws.BATCH_MAX, _LONG, "deflated",
        "a minute of seconds; kept until your receipt"),
    Row("up/ack", (up.Ack, up.Unreadable), DEVICE, 1, False, jws.TOKEN_MAX, _LONG, "compact",
        "where a command stands; kept until your receipt"),
    Row("up/event", (*up.EVENTS, up.Unreadable), DEVICE, 1, False, jws.TOKEN_MAX, _LONG, "compact",
        "what happened; kept until your receipt"),
    Row("up/settlement", (*settled.RECORDS, up.Unreadable), DEVICE, 1, False, jws.TOKEN_MAX, _LONG, "compact",
        "what is paid for; kept until your receipt"),
    Row("down/command", tuple(KINDS.values()), "dispatch; cancel and stop operations too; resend service too", 1,
        False, jws.COMMAND_MAX, "24 h; schedule and price 7 days", "compact", "what to do; also to a group's topic"),
    Row("down/time", (messages.Time,), "service", 1, False, jws.COMMAND_MAX, "1 h", "compact",
        "what time it is, echoing a boot's nonce: lets that boot take dispatch"),
    Row("down/receipt", (messages.Receipt,), "service", 1, False, jws.TOKEN_MAX, "24 h", "compact",
        "which rows you have on your disk: lets the device forget them"),
    Row("down/config", (documents.Config,), "operations", 1, True, jws.TOKEN_MAX, _LONG, "compact",
        "settings; they only tighten, and are on probation first"),
    Row("down/default", (documents.Default,), "operations", 1, True, jws.TOKEN_MAX, _LONG, "compact",
        "what to do when nothing is asked"),
    Row("down/trust", (trusted.Bundle,), ROOT, 1, True, bundle.MAX_BYTES, _LONG, "general",
        "whom to believe"),
    Row("down/firmware", (documents.Firmware,), "firmware, 2 of 2", 1, True, jws.TOKEN_MAX, _LONG, "general",
        "a release: told of, never installed by itself"),
    Row("down/homeowner", tuple(homeowner.KINDS.values()), "homeowner", 1, False, jws.COMMAND_MAX, "24 h", "compact",
        "the homeowner's word, which you relay and cannot make"),
)  # fmt: skip
GROUP = "battery/v1/{fleet}/group/{group}/command"
BY_NAME = {row.name: row for row in TABLE}
