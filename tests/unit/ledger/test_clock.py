"""The writer's time never goes back and never stands still, whatever is done to the wall clock."""

from hypothesis import given
from hypothesis import strategies as st
from plm.ledger.clock import Clock


class Walls:
    """A wall clock that somebody sets, and the time that really passes."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms = wall_ms
        self.steady_ms = 7

    def clock(self) -> Clock:
        return Clock(lambda: self.wall_ms, lambda: self.steady_ms)

    def let_pass(self, by_ms: int) -> None:
        self.wall_ms += by_ms
        self.steady_ms += by_ms


def test_it_is_the_walls_time() -> None:
    walls = Walls(1_000)
    clock = walls.clock()
    assert clock.now_ms() == 1_000
    walls.let_pass(250)
    assert clock.now_ms() == 1_250


def test_a_wall_clock_that_is_set_back_stops_no_deadline() -> None:
    walls = Walls(1_000_000)
    clock = walls.clock()
    walls.wall_ms = 5
    assert clock.now_ms() == 1_000_000
    walls.let_pass(6_000)
    assert clock.now_ms() == 1_006_000


def test_a_wall_clock_that_is_set_forward_is_believed() -> None:
    walls = Walls(1_000)
    clock = walls.clock()
    walls.wall_ms = 50_000
    assert clock.now_ms() == 50_000


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-50_000, 50_000)), max_size=20))
def test_at_least_what_has_passed_has_passed(events: list[tuple[int, int]]) -> None:
    walls = Walls(100_000)
    clock = walls.clock()
    before = clock.now_ms()
    for passed_ms, jump_ms in events:
        walls.let_pass(passed_ms)
        walls.wall_ms += jump_ms
        now = clock.now_ms()
        assert now >= before + passed_ms
        assert now >= walls.wall_ms
        before = now
