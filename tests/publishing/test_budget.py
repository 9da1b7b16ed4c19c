"""How often an account may be asked: never more than TikTok takes, halved when it says so, and back again."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.publishing import budget as module
from airflow_provider_tiktok.publishing.budget import FEWEST, MOST, SPARE, Budget, shared_budget


class Clock:
    """Stands for the module ``time``: it goes only where it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def most_in_a_window(times: list[float], window: float) -> int:
    return max((sum(at <= other < at + window for other in times) for at in times), default=0)


class TestNeverMore:
    @given(
        window=st.sampled_from([0.5, 20.0, 60.0]),
        steps=st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=150),
    )
    def test_whoever_asks_whenever(self, window: float, steps: list[tuple[float, bool]]) -> None:
        """Loops that take what is free and threads that reserve what is not, in any order."""
        clock = Clock()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "time", clock)
            budget, asked = Budget(window), []
            for pause, reserves in steps:
                clock.now += pause * window / 60
                if reserves:
                    asked.append(clock.now + budget.reserve())
                elif not budget.take():
                    asked.append(clock.now)
        # a hair less than a window, since sums of fractions are not exact
        assert most_in_a_window(asked, window * 0.999) <= MOST

    def test_less_than_tiktok_takes(self) -> None:
        assert MOST + 1 < 30, "what is on its way, and a question repeated with a new token, need room"

    def test_nothing_is_taken_that_is_not_free(self, clock: Clock) -> None:
        budget = Budget(60.0)
        assert budget.take() == 0.0
        assert budget.take() == budget.take() == pytest.approx(60 / MOST)
        clock.now += 60 / MOST
        assert budget.take() == 0.0

    def test_a_pause_saves_up_nothing(self, clock: Clock) -> None:
        budget = Budget(60.0)
        clock.now += 3600
        assert budget.take() == 0.0
        assert budget.take() > 2.0

    def test_threads_that_wait_together(self) -> None:
        budget, asked, lock = Budget(1.0), [], threading.Lock()

        def ask() -> None:
            for _ in range(5):
                time.sleep(budget.reserve())
                with lock:
                    asked.append(time.monotonic())

        threads = [threading.Thread(target=ask) for _ in range(6)]
        began = time.monotonic()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(asked) == 30
        assert max(asked) - began >= 29 / MOST * 0.99, "thirty questions take that long, whoever asks"


class TestRefused:
    def test_halves(self, clock: Clock) -> None:
        budget = Budget(60.0)
        assert budget.refused(clock.now)
        assert budget.rate == MOST / 2
        assert budget.take() == pytest.approx(60 / (MOST / 2)), "and waits before the next"

    def test_what_left_before_says_nothing_new(self, clock: Clock) -> None:
        """Five answers of 429 to questions that were on their way together are one refusal."""
        budget = Budget(60.0)
        asked_at = clock.now
        clock.now += 1
        assert [budget.refused(asked_at) for _ in range(5)] == [True, False, False, False, False]
        assert budget.rate == MOST / 2

    def test_gains_one_a_minute(self, clock: Clock) -> None:
        budget = Budget(20.0)
        budget.refused(clock.now)
        clock.now += 3 * 20.0
        assert budget.rate == pytest.approx(MOST / 2 + 3)

    def test_never_beyond_where_it_began(self, clock: Clock) -> None:
        budget = Budget(60.0)
        budget.refused(clock.now)
        clock.now += 86400
        assert budget.rate == MOST

    def test_never_to_nothing(self, clock: Clock) -> None:
        budget = Budget(60.0)
        for _ in range(20):
            budget.refused(clock.now)
            clock.now += 0.1
        assert FEWEST <= budget.rate < FEWEST + 1


class TestTogether:
    def test_pauses_grow_with_their_number(self) -> None:
        budget = Budget(60.0)
        assert budget.interval == 0.0
        with budget.waiting(), budget.waiting():
            assert budget.interval == pytest.approx(2 * 60 / MOST * SPARE)
        assert budget.interval == 0.0

    def test_one_who_fails_counts_no_more(self) -> None:
        budget = Budget(60.0)
        with pytest.raises(ValueError, match="x"), budget.waiting():
            raise ValueError("x")
        assert budget.interval == 0.0

    def test_one_an_account(self) -> None:
        one = shared_budget("alice", 60.0)
        assert shared_budget("alice", 60.0) is one
        assert shared_budget("bob", 60.0) is not one

    def test_of_all_event_loops(self) -> None:
        """TikTok counts by account, not by loop."""
        kept = shared_budget("two loops", 60.0)

        async def take() -> float:
            return shared_budget("two loops", 60.0).take()

        assert asyncio.run(take()) == 0.0
        assert asyncio.run(take()) > 1.0
        assert kept

    def test_forgotten_with_the_last(self) -> None:
        assert shared_budget("gone", 60.0).take() == 0.0
        assert shared_budget("gone", 60.0).take() == 0.0
