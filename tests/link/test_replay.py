"""The replay window against a model that remembers every number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.durable import Window
from agent.link.replay import JUMP_MAX, SEQ_MAX, WIDTH, admit

near = st.integers(0, 300)
anywhere = near | st.integers(2**40, 2**40 + 200) | st.integers(0, SEQ_MAX) | st.integers(-5, 2**65)


class Model:
    """A set of what was admitted, and the rule in words."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def admit(self, seq: int, far: bool) -> bool:
        if not 0 <= seq <= SEQ_MAX:
            return False
        if self.seen:
            high = max(self.seen)
            if seq in self.seen or seq <= high - WIDTH or (seq - high > JUMP_MAX and not far):
                return False
        self.seen.add(seq)
        return True


@given(st.lists(st.tuples(near | anywhere, st.booleans()), max_size=120))
def test_the_window_admits_exactly_what_the_model_does(numbers: list[tuple[int, bool]]) -> None:
    window: Window | None = None
    model = Model()
    for seq, far in numbers:
        after = admit(window, seq, far)
        assert (after is not None) == model.admit(seq, far)
        window = after or window
        if window is not None:
            assert window.high == max(model.seen)
            assert 0 < window.bitmap < 1 << WIDTH


@given(st.lists(near, min_size=1, max_size=100))
def test_nothing_is_admitted_twice(numbers: list[int]) -> None:
    window: Window | None = None
    admitted: list[int] = []
    for seq in numbers * 2:
        after = admit(window, seq)
        if after is not None:
            admitted.append(seq)
            window = after
    assert len(admitted) == len(set(admitted))


def test_the_jump_rule_at_its_edge() -> None:
    window = Window(10, 1)
    assert admit(window, 10 + JUMP_MAX) is not None
    assert admit(window, 11 + JUMP_MAX) is None
    assert admit(window, 11 + JUMP_MAX, far=True) is not None


def test_the_window_keeps_64_numbers() -> None:
    window = admit(Window(0, 1), 64)
    assert window == Window(64, 1)
    assert admit(window, 1) is not None
    assert admit(window, 0) is None


def test_the_numbers_themselves() -> None:
    assert (WIDTH, JUMP_MAX, SEQ_MAX) == (64, 2**32, 2**63 - 1)
    for seq in (-1, -(2**70), 2**63, 2**64):
        assert admit(None, seq) is None
        assert admit(Window(100, 1), seq, far=True) is None
    assert admit(None, 0) == Window(0, 1)
    assert admit(None, 2**63 - 1) == Window(2**63 - 1, 1)


def test_a_full_window_shifts_without_growing() -> None:
    window = Window(100, (1 << 64) - 1)
    assert admit(window, 101) == Window(101, (1 << 64) - 1)
    assert admit(window, 163) == Window(163, (1 << 63) + 1)
    assert admit(window, 164) == Window(164, 1)
