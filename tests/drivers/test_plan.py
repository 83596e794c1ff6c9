"""Values to reads: everything is fetched, no read is too long or runs over what is refused, and fewer would not do."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from drivers.plan import Reach, ReadRange, Span, plan

SPANS = st.lists(
    st.builds(
        Span,
        st.sampled_from((1, 3, 4)),
        st.integers(0, 1),
        st.integers(0, 80),
        st.integers(1, 4),
        st.sampled_from((None, 7)),
    ),
    max_size=9,
    unique=True,
)
HOLES = st.lists(
    st.tuples(st.sampled_from((1, 3, 4)), st.integers(0, 80), st.integers(0, 3)).map(
        lambda h: (h[0], h[1], h[1] + h[2])
    ),
    max_size=4,
)


def in_hole(span: Span, holes: Sequence[tuple[int, int, int]]) -> bool:
    return any(f == span.function and a < span.start + span.length and b >= span.start for f, a, b in holes)


def fits(spans: Sequence[Span], reach: Reach) -> bool:
    """One read may fetch all of these, by the words of `Reach` and nothing of `plan`."""
    one = spans[0]
    if any((s.unit, s.function, s.region) != (one.unit, one.function, one.region) for s in spans):
        return False
    asked = {a for s in spans for a in range(s.start, s.start + s.length)}
    every = range(min(asked), max(asked) + 1)
    if len(every) > (reach.bits if one.function == 1 else reach.registers):
        return False
    if any(f == one.function and a <= n <= b for n in every for f, a, b in reach.holes):
        return False
    idle = 0
    for n in every:
        idle = 0 if n in asked else idle + 1
        if reach.gap is not None and idle > reach.gap:
            return False
    return True


def fewest(spans: Sequence[Span], reach: Reach) -> int:
    """Every way to share the spans out, tried: with so few, that can be done."""
    best: dict[int, int] = {0: 0}
    whole = (1 << len(spans)) - 1
    groups = [mask for mask in range(1, whole + 1) if fits([s for n, s in enumerate(spans) if mask >> n & 1], reach)]
    for done in range(whole):
        if done not in best:
            continue
        low = ~done & (done + 1)  # the first that is not fetched yet
        for mask in groups:
            if mask & low and not mask & done:
                best[done | mask] = min(best.get(done | mask, 99), best[done] + 1)
    return best[whole]


def test_neighbours_share_a_read_and_regions_do_not() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 12, 2), Span(3, 1, 14, 1), Span(4, 0, 11, 1), Span(3, 0, 60, 1)]
    assert plan(spans, Reach(20, 2000)) == (
        ReadRange(3, 10, 4, (0, 1)),
        ReadRange(3, 60, 1, (4,)),
        ReadRange(3, 14, 1, (2,)),
        ReadRange(4, 11, 1, (3,)),
    )


def test_coils_are_capped_in_bits() -> None:
    spans = [Span(1, 0, 0, 1), Span(1, 0, 143, 1)]
    assert len(plan(spans, Reach(4, 144))) == 1
    assert len(plan(spans, Reach(4, 143))) == 2


def test_a_read_does_not_run_over_what_the_device_refuses() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 12, 1), Span(3, 0, 14, 1)]
    assert plan(spans, Reach(20, 20, holes=((3, 13, 13),))) == (
        ReadRange(3, 10, 3, (0, 1)),
        ReadRange(3, 14, 1, (2,)),
    )
    assert len(plan(spans, Reach(20, 20, holes=((4, 13, 13), (3, 15, 20))))) == 1


def test_a_read_runs_over_no_longer_gap_than_the_device_takes() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 27, 1)]
    assert len(plan(spans, Reach(64, 64, gap=16))) == 1
    assert len(plan(spans, Reach(64, 64, gap=15))) == 2


def test_a_block_that_is_wanted_whole_stays_whole_above_the_cap() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 50, 2), Span(3, 0, 10, 60), Span(3, 0, 70, 1)]
    assert plan(spans, Reach(30, 2000)) == (ReadRange(3, 10, 60, (2, 0, 1)), ReadRange(3, 70, 1, (3,)))


@given(SPANS, st.integers(4, 40), st.none() | st.integers(0, 12), HOLES)
def test_every_value_is_fetched_once_within_reach(
    spans: list[Span], cap: int, gap: int | None, holes: list[tuple[int, int, int]]
) -> None:
    spans = [span for span in spans if not in_hole(span, holes)]  # a profile with such a point is refused
    reach = Reach(cap, 2 * cap, gap, tuple(holes))
    reads = plan(spans, reach)
    assert sorted(n for read in reads for n in read.members) == list(range(len(spans)))
    for read in reads:
        members = [spans[n] for n in read.members]
        assert fits(members, reach)
        assert (read.function, read.unit) == (members[0].function, members[0].unit)
        assert read.start == min(span.start for span in members)
        assert read.start + read.length == max(span.start + span.length for span in members)


@given(SPANS, st.integers(4, 40), st.none() | st.integers(0, 12), HOLES)
def test_no_fewer_reads_would_do(
    spans: list[Span], cap: int, gap: int | None, holes: list[tuple[int, int, int]]
) -> None:
    spans = [span for span in spans if not in_hole(span, holes)]
    reach = Reach(cap, 2 * cap, gap, tuple(holes))
    assert len(plan(spans, reach)) == (fewest(spans, reach) if spans else 0)
