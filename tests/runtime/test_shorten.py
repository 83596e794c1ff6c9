"""What a broker sends, with publications that are too long cut on the way: the framing holds wherever a chunk ends."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.shorten import ALIVE, Shortener

MOST, KEEP = 300, 40
Packet = tuple[int, bytes]  # the first byte, and what follows the length
PUBACK: Packet = (0x40, b"\x00\x07")


def written(packet: Packet) -> bytes:
    first, body = packet
    size, length = len(body), b""
    while size > 127:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([first]) + length + bytes([size]) + body


def publication(topic: bytes, payload: bytes, qos: int = 1, flags: int = 0) -> Packet:
    named = len(topic).to_bytes(2, "big") + topic + (b"\x12\x34" if qos else b"")
    return 0x30 | qos << 1 | flags, named + payload


def parsed(stream: bytes) -> list[Packet]:
    """Straight on, and whole packets only."""
    found: list[Packet] = []
    while stream:
        size, at = 0, 1
        while True:
            size += (stream[at] & 127) << 7 * (at - 1)
            at += 1
            if stream[at - 1] < 128:
                break
        assert len(stream) >= at + size, "it ends within a packet"
        found.append((stream[0], stream[at : at + size]))
        stream = stream[at + size :]
    return found


def heard(chunks: Iterable[bytes], most: int = MOST, keep: int = KEEP) -> bytes:
    shortener = Shortener(most, keep)
    return b"".join(shortener.feed(chunk) for chunk in chunks)


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places) if a < b]


publications = st.builds(
    publication,
    st.binary(max_size=150),
    st.one_of(st.binary(max_size=60), st.integers(0, 40_000).map(lambda size: bytes(range(256)) * (size // 256))),
    st.integers(0, 2),
    st.sampled_from([0, 1, 8, 9]),
)
others = st.tuples(st.sampled_from([0x20, 0x40, 0x90]), st.integers(0, 500).map(bytes))


@given(st.lists(st.one_of(publications, others), max_size=12), st.lists(st.integers(0, 1 << 20), max_size=30))
def test_what_is_too_long_is_cut_and_all_else_is_as_it_came(packets: list[Packet], cuts: list[int]) -> None:
    stream = b"".join(map(written, packets))
    wanted: list[Packet] = []
    for first, body in packets:
        named = 2 + int.from_bytes(body[:2], "big") + (2 if first & 6 else 0)
        cut = first & 0xF0 == 0x30 and len(body) > MOST
        wanted.append((first, body[: named + KEEP] if cut else body))
    assert [packet for packet in parsed(heard(split(stream, cuts))) if packet != (0xD0, b"")] == wanted


def test_it_is_the_same_wherever_one_chunk_ends_and_the_next_begins() -> None:
    long = written(publication(b"a/b", b"z" * 1000))
    stream = written(PUBACK) + long + written(PUBACK) + long + written(PUBACK)
    wanted = [PUBACK, publication(b"a/b", b"z" * KEEP), PUBACK, publication(b"a/b", b"z" * KEEP), PUBACK]
    for first in range(len(stream)):
        for second in range(first, len(stream), 97):
            found = parsed(heard(split(stream, (first, second))))
            assert [packet for packet in found if packet != (0xD0, b"")] == wanted
    assert parsed(heard(split(stream, range(len(stream)))))[:2] == wanted[:2], "byte by byte"


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=10))
def test_any_bytes_at_all_are_bounded_and_nothing_raises(data: bytes, cuts: list[int]) -> None:
    shortener = Shortener(MOST, KEEP)
    for chunk in split(data, cuts):
        assert len(shortener.feed(chunk)) <= len(chunk) + 6 + 4
        assert len(shortener._begun) <= 6


def test_what_is_short_enough_is_not_even_copied() -> None:
    chunk = written(PUBACK) * 1000 + written(publication(b"a", b"z" * (MOST - 5))) + written(PUBACK)
    assert Shortener(MOST, KEEP).feed(chunk) is chunk


def test_it_is_heard_before_its_end_and_the_rest_is_a_sign_of_life() -> None:
    """An acknowledgement that waited for the end would never go out on a line that does not last so long."""
    shortener = Shortener(MOST, KEEP)
    stream = written(publication(b"a/b", b"z" * 2_000_000))
    assert parsed(shortener.feed(stream[:1000])) == [publication(b"a/b", b"z" * KEEP)]
    assert {shortener.feed(stream[at : at + 16_384]) for at in range(1000, len(stream), 16_384)} == {ALIVE}
    assert shortener.feed(written(PUBACK)) == written(PUBACK)


@pytest.mark.parametrize("topic", [b"", b"t" * 65_535])
def test_a_topic_of_any_length_is_kept(topic: bytes) -> None:
    stream = written(publication(topic, b"z" * 200_000))
    whole = heard(split(stream, range(0, len(stream), 999)), 131_076, 65_537).replace(ALIVE, b"")
    assert parsed(whole) == [publication(topic, b"z" * 65_537)]


@pytest.mark.parametrize(
    "stream",
    [
        b"\x30\xff\xff\xff\xff\x7f" + b"z" * 1000,  # a length of five bytes
        written((0x40, b"z" * 1000)),  # no publication
        written((0x32, b"\xff\xff" + b"z" * 1000)),  # a topic beyond its end
    ],
    ids=["length", "puback", "topic"],
)
def test_what_is_none_passes_for_whoever_ends_the_connection(stream: bytes) -> None:
    assert heard(split(stream, range(0, len(stream), 7))) == stream
