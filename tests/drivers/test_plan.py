"""Values to reads: everything is fetched, no read is too long, and fewer would not do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drivers.plan import ReadRange, Span, plan

SPANS = st.lists(
    st.builds(Span, st.sampled_from((3, 4)), st.integers(0, 2), st.integers(0, 300), st.integers(1, 4)),
    max_size=12,
    unique=True,
)


def test_neighbours_share_a_read_and_regions_do_not() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 12, 2), Span(3, 1, 14, 1), Span(4, 0, 11, 1), Span(3, 0, 60, 1)]
    assert plan(spans, 20, 2000) == (
        ReadRange(3, 10, 4, (0, 1)),
        ReadRange(3, 60, 1, (4,)),
        ReadRange(3, 14, 1, (2,)),
        ReadRange(4, 11, 1, (3,)),
    )


def test_coils_are_capped_in_bits() -> None:
    spans = [Span(1, 0, 0, 1), Span(1, 0, 143, 1)]
    assert len(plan(spans, 4, 144)) == 1
    assert len(plan(spans, 4, 143)) == 2


def test_a_block_that_is_wanted_whole_stays_whole_above_the_cap() -> None:
    spans = [Span(3, 0, 10, 1), Span(3, 0, 50, 2), Span(3, 0, 10, 60), Span(3, 0, 70, 1)]
    assert plan(spans, 30, 2000) == (ReadRange(3, 10, 60, (2, 0, 1)), ReadRange(3, 70, 1, (3,)))


@given(SPANS, st.integers(4, 40))
def test_every_value_is_inside_its_read(spans: list[Span], cap: int) -> None:
    reads = plan(spans, cap, 2000)
    assert sorted(n for read in reads for n in read.members) == list(range(len(spans)))
    for read in reads:
        assert read.length <= cap
        for n in read.members:
            span = spans[n]
            assert read.function == span.function
            assert read.start <= span.start
            assert span.start + span.length <= read.start + read.length


@given(st.sets(st.integers(0, 60), max_size=8), st.integers(1, 20))
def test_no_fewer_reads_would_do(addresses: set[int], cap: int) -> None:
    reads = plan([Span(3, 0, a, 1) for a in addresses], cap, 2000)
    # any two first registers of the reads are too far apart to share one: that many reads are needed
    firsts = [read.start for read in reads]
    assert all(b - a >= cap for a, b in pairwise(firsts))
