"""Whose turn it is, in virtual time: in order, at TikTok's pace, and nobody waits for ever."""

from __future__ import annotations

import itertools
import random

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokCapError, TikTokConsentError
from airflow_provider_tiktok.publishing.pace import OK, Limit, Place, Windows
from airflow_provider_tiktok.publishing.queue import (
    COLLECT_SECONDS,
    LOST_SECONDS,
    MOST_UNDERWAY,
    READY_SECONDS,
    Fail,
    Pause,
    Queue,
    Release,
    Waiter,
    too_long,
)
from airflow_provider_tiktok.publishing.trail import Circuit, Entry, Trail
from tests.publishing.pacing import (
    BEGAN,
    DIRECT,
    DRAFT,
    Limits,
    Simulation,
    filled,
    gone,
    least_seconds,
    waiter,
)

REAL, SHORT = Windows(), Windows(20.0, 90.0)
NO = "spam_risk_too_many_posts"
NEVER = float("inf")


def drained(
    limits: Limits, tasks: int, *, seed: int = 0, apart: float = 1.0, **options: object
) -> Simulation:
    starts = random.Random(seed)
    simulation = Simulation(limits, start=lambda: starts.uniform(2.0, 6.0), **options)  # type: ignore[arg-type]
    for index in range(tasks):
        simulation.add(index, index * apart)
    simulation.run(60 * 86400.0)
    return simulation


class TestBacklog:
    """Whole backlogs, with processes that take 2 to 6 s from their release to their init."""

    limits = st.builds(
        lambda sizes, cap, lag, calendar: Limits(
            Windows(*sizes), cap=cap, lag=lag * sizes[0], calendar=calendar
        ),
        st.sampled_from([(5.0, 90.0), (20.0, 600.0), (60.0, 86400.0)]),
        st.integers(1, 25),
        st.floats(0.0, 0.5),
        st.booleans(),
    )

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("lag", [0.1, 2.0])
    def test_the_one_that_must_be_shown(self, seed: int, lag: float) -> None:
        """30 posts of an account, a minute of 20 s, a day of 90 s: no refusal, in order, hardly any loss."""
        done = drained(Limits(SHORT, lag=lag), 30, seed=seed)
        assert done.order == list(range(30))
        assert done.refused == []
        first = done.answers[0][0] - BEGAN
        assert done.seconds - first < 1.15 * least_seconds(30, SHORT)
        assert first < COLLECT_SECONDS + 6.0 + 1.0

    def test_a_real_day(self) -> None:
        done = drained(Limits(REAL, lag=60.0), 40)
        assert done.order == list(range(40))
        assert done.refused == []
        assert done.seconds < least_seconds(40, REAL) + 900.0, "it is asked every ten minutes"
        assert len(done.limits.asked) < 400

    def test_a_day_of_the_calendar(self) -> None:
        """All places free at once: they are not taken at once, but soon."""
        done = drained(Limits(REAL, lag=30.0, calendar=True), 45)
        assert done.order == list(range(45))
        assert len(done.refused) <= 1
        midnight = next(at for at in itertools.count(int(BEGAN)) if at % 86400 == 0)
        times = [at for at, _, code in done.answers if code == OK and midnight < at < midnight + 86400]
        assert len(times) == 15
        assert times[-1] < midnight + 600 + 900
        assert sum(at < times[0] + 60 for at in times) == 1, "one is let go, and settles"

    def test_more_than_usual(self) -> None:
        """A creator with a cap of 40: from the 16th post on each is asked for, and the pace is kept."""
        done = drained(Limits(REAL, cap=40), 40)
        assert done.refused == []
        assert done.seconds < least_seconds(40, REAL, cap=40) + 300.0

    @pytest.mark.parametrize("cap", [1, 4, 9])
    def test_less_than_usual(self, cap: int) -> None:
        """The few that were under way when TikTok first said no; from then on the cap is known."""
        done = drained(Limits(REAL, cap=cap, lag=5.0), 4 * cap)
        assert sorted(set(done.done)) == list(range(4 * cap))
        assert len(done.refused) <= MOST_UNDERWAY + 1

    def test_drafts(self) -> None:
        """Nothing but a draft tells whether one more may be made: one of them asks, every half an hour."""
        done = drained(Limits(REAL, lane=DRAFT, cap=5, lag=0.0), 8)
        assert sorted(set(done.done)) == list(range(8))
        assert done.limits.asked == []
        assert done.seconds < least_seconds(8, REAL, cap=5) + 3600.0
        refusals = [at for at, _, code in done.answers if code != OK]
        assert all(after - at > 1700.0 for at, after in itertools.pairwise(refusals[1:]))

    def test_drafts_do_not_wait_where_there_is_room(self) -> None:
        assert drained(Limits(REAL, lane=DRAFT, cap=5), 5).refused == []

    @settings(max_examples=25, deadline=None)
    @given(limits, st.integers(1, 45), st.integers(0, 2**32))
    def test_whatever_the_limits_are(self, limits: Limits, tasks: int, seed: int) -> None:
        done = drained(limits, tasks, seed=seed)
        assert sorted(set(done.done)) == list(range(tasks)), "nobody is starved, and none fails"
        assert len(done.done) == tasks, "none posts twice"
        assert done.most_underway <= MOST_UNDERWAY
        assert "rate_limit_exceeded" not in done.refused, "never more than six in a minute"
        if not done.refused:
            assert done.order == list(range(tasks))
        if limits.cap >= 15 and not limits.calendar:
            assert len(done.refused) <= 0.05 * len(done.answers) + 6

    @settings(max_examples=15, deadline=None)
    @given(st.sets(st.integers(0, 13), max_size=4), st.integers(0, 2**32))
    def test_processes_that_die(self, dead: set[int], seed: int) -> None:
        """Whoever dies before its init stalls the others for a minute or two, not for ever."""
        starts = random.Random(seed)
        simulation = Simulation(Limits(REAL), start=lambda: starts.uniform(2.0, 6.0))
        simulation.dead = set(dead)
        for index in range(14):
            simulation.add(index, index * 0.5)
        simulation.run(3600.0)
        assert sorted(simulation.done) == sorted(set(range(14)) - dead)
        assert simulation.seconds < 200.0 + 2 * len(dead) * LOST_SECONDS

    def test_trouble_of_tiktok_s_own(self) -> None:
        """The head keeps its place for three tries, then the others pass; nobody is lost."""
        simulation = Simulation(Limits(REAL))
        simulation.limits.down_until = BEGAN + 100.0
        for index in range(3):
            simulation.add(index)
        simulation.run(7200.0)
        assert sorted(simulation.done) == [0, 1, 2]
        first = [index for _, index, code in simulation.answers if code != OK]
        assert first[:2] == [0, 1] or first[:2] == [0, 0]


class TestOrder:
    def test_by_place(self) -> None:
        places = [waiter(index) for index in range(10)]
        queue = Queue(DIRECT, REAL)
        for each in random.Random(1).sample(places, 10):
            queue.join(each)
        assert list(queue.waiters) == places

    def test_how_many_are_before(self) -> None:
        queue = filled(waiter(1), waiter(3))
        assert queue.join(waiter(2)) == 1

    def test_the_same_order_after_a_restart(self) -> None:
        """A triggerer that starts anew gets its triggers in any order."""
        simulation = Simulation(Limits(REAL))
        for index in random.Random(2).sample(range(6), 6):
            simulation.add(index)
        simulation.run(600.0)
        assert simulation.order == list(range(6))

    def test_who_comes_back_has_its_place(self) -> None:
        queue = filled(waiter(3), waiter(4))
        queue.join(waiter(2, BEGAN + 50.0, limit=Limit.DAY))
        assert queue.waiters[0].place.map_index == 2

    def test_each_knows_the_one_before(self) -> None:
        queue = filled(waiter(1), waiter(2), waiter(3))
        first = queue.release(queue.waiters[0], BEGAN)
        second = queue.release(queue.waiters[0], BEGAN + 6.0)
        assert (first.after, second.after) == ("", first.ticket)

    def test_nobody_waits_for_who_was_answered(self) -> None:
        queue = filled(waiter(1), waiter(2))
        first = queue.release(queue.waiters[0], BEGAN)
        queue.step(Trail((Entry(BEGAN + 5, first.ticket, OK, DIRECT),)), BEGAN + 6.0)
        assert queue.release(queue.waiters[0], BEGAN + 6.0).after == ""

    def test_a_ticket_for_each_release(self) -> None:
        """Who comes back and is released again must not be taken for answered."""
        queue, one = Queue(DIRECT, REAL), waiter(1)
        queue.join(one)
        first = queue.release(one, BEGAN)
        queue.join(one)
        assert queue.release(one, BEGAN).ticket != first.ticket


class TestRelease:
    def test_not_before_it_may_fire(self) -> None:
        queue = filled(waiter(1))
        assert queue.step(Trail(), BEGAN + READY_SECONDS - 0.1) == Pause(BEGAN + READY_SECONDS)
        assert isinstance(queue.step(Trail(), BEGAN + READY_SECONDS), Release)

    def test_neighbours_are_waited_for(self) -> None:
        queue = filled(waiter(2), waiter(4, BEGAN + 1.0), waiter(3, BEGAN + 4.0))
        assert queue.step(Trail(), BEGAN + 5.5) == Pause(BEGAN + 7.0)
        queue.join(waiter(1, BEGAN + 6.0))
        assert queue.step(Trail(), BEGAN + 8.0) == Pause(BEGAN + 11.5), "its neighbour is the head now"

    def test_who_comes_in_order_or_far_behind_holds_nobody_up(self) -> None:
        queue = filled(*[waiter(index, BEGAN + at) for at, index in enumerate((0, 1, 2, 5, 4, 3))])
        assert queue.step(Trail(), BEGAN + READY_SECONDS) == Release(queue.waiters[0])

    def test_but_not_for_long(self) -> None:
        queue = filled(waiter(90), *[waiter(index, BEGAN + index / 9) for index in range(89, 0, -1)])
        head = queue.waiters[0]
        assert queue.step(Trail(), head.came + 2.9) != Release(head)
        assert queue.step(Trail(), head.came + 12.0) == Release(head)

    def test_the_more_often_it_was_tried_the_later(self) -> None:
        steps = [filled(waiter(1, tries=tries)).step(Trail(), BEGAN) for tries in range(3)]
        assert steps == [Pause(BEGAN + seconds) for seconds in (5.5, 11.0, 22.0)]

    def test_not_too_many_at_once(self) -> None:
        queue = filled(*[waiter(index) for index in range(9)])
        now = BEGAN + 10.0
        while isinstance(step := queue.step(Trail(), now), Release):
            queue.release(step.waiter, now)
            now += REAL.spacing
        assert queue.underway == MOST_UNDERWAY
        assert step == Pause(now + REAL.spacing)

    def test_those_under_way_have_a_place_in_the_minute(self) -> None:
        queue = filled(*[waiter(index) for index in range(9)])
        done = [Entry(BEGAN + 10.0, f"d{each}", OK, DIRECT) for each in range(4)]
        for at in (10.0, 16.0):
            queue.release(queue.waiters[0], BEGAN + at)
        step = queue.step(Trail(tuple(done)), BEGAN + 22.0)
        assert step == Pause(BEGAN + 10.0 + 60.6 - REAL.lead)

    def test_who_is_lost_is_forgotten(self) -> None:
        queue = filled(*[waiter(index) for index in range(9)])
        for at in range(4):
            queue.release(queue.waiters[0], BEGAN + 10.0 + at)
        queue.step(Trail(), BEGAN + 10.0 + LOST_SECONDS)
        assert queue.underway == 3

    def test_who_comes_back_is_not_waited_for(self) -> None:
        """Airflow may fail a released task, and start it again; its place is not taken for two minutes."""
        queue = Queue(DIRECT, REAL)
        first, second, other = (
            Waiter(Place(ticket, "2026", index, asked), BEGAN + asked)
            for ticket, index, asked in (
                ("task0-try1", 0, 0.0),
                ("task0-try2", 0, 30.0),
                ("task1-try1", 1, 0.0),
            )
        )
        for each in (first, other):
            queue.join(each)
        released = queue.release(first, BEGAN + 10.0)
        queue.join(second)
        assert queue.underway == 0
        assert queue.release(second, BEGAN + 40.0).after == ""
        assert queue.release(other, BEGAN + 46.0).after != released.ticket

    def test_the_longer_the_rarer_workers_are(self) -> None:
        """Else a deployment without a free worker would let go the whole queue, four at a time."""
        queue = filled(*[waiter(index) for index in range(100)])
        released = 0
        for second in range(8 * 3600):
            if isinstance(queue.step(Trail(), BEGAN + second), Release):
                queue.release(queue.waiters[0], BEGAN + second)
                released += 1
        assert MOST_UNDERWAY < released < 60

    def test_when_it_matters_what_others_do(self) -> None:
        """Not while a backlog arrives: a busy Airflow need not be asked then."""
        queue = filled(waiter(1), waiter(2))
        assert not queue.is_due(BEGAN + 3.0)
        assert queue.is_due(BEGAN + 4.5)
        queue.release(queue.waiters[0], BEGAN + 5.0)
        assert queue.is_due(BEGAN + 5.1), "an answer is awaited"

    def test_who_has_left_is_not_released(self) -> None:
        queue, one = Queue(DIRECT, REAL), waiter(1)
        queue.join(one)
        queue.leave(one)
        queue.leave(one)
        assert queue.step(Trail(), BEGAN + 99.0) == Pause(NEVER)


class TestGivesUp:
    def test_after_max_wait(self) -> None:
        queue = filled(waiter(1, max_wait=100.0))
        assert queue.next_deadline(Trail()) == BEGAN + 100.0
        step = queue.step(Trail(), BEGAN + 100.0)
        assert isinstance(step, Fail)
        assert "100 s, which is max_wait" in str(step.error)

    def test_counted_from_the_account_s_last_post(self) -> None:
        queue, made = filled(waiter(1, max_wait=100.0)), Trail((Entry(BEGAN + 50.0, "t", OK, DIRECT),))
        assert queue.next_deadline(made) == BEGAN + 150.0

    def test_counted_anew_where_nothing_can_be_read(self) -> None:
        """After a restart of the triggerer in an outage: what was posted meanwhile is not known."""
        late = Waiter(Place("t", "d", 1, BEGAN), BEGAN + 5000.0, max_wait=100.0)
        assert filled(late).next_deadline(Trail()) == BEGAN + 5100.0
        known = Trail((Entry(BEGAN + 1.0, "t", OK, DIRECT),))
        assert isinstance(filled(late).step(known, BEGAN + 5001.0), Fail)

    def test_what_was_refused_is_no_post(self) -> None:
        queue, made = filled(waiter(1, max_wait=100.0)), Trail((Entry(BEGAN + 50.0, "t", NO, DIRECT),))
        assert queue.next_deadline(made) == BEGAN + 100.0

    def test_never(self) -> None:
        queue = filled(waiter(1))
        assert queue.next_deadline(Trail()) == NEVER
        assert not isinstance(queue.step(Trail(), BEGAN + 1e9), Fail)

    @pytest.mark.parametrize("limit", ["", *Limit])
    def test_its_error_can_be_retried(self, limit: str) -> None:
        error = too_long(waiter(1, limit=limit, max_wait=9.0))
        assert not isinstance(error, AirflowFailException)
        assert error.code in (NO, "spam_risk_too_many_pending_share", "rate_limit_exceeded")

    def test_a_backlog_that_gets_on_never_gives_up(self) -> None:
        """40 posts at 15 a day take two days, and each waits for 26 hours at most without progress."""
        done = drained(Limits(REAL), 40, max_wait=93600.0)
        assert done.failed == []
        assert len(done.done) == 40

    def test_one_that_does_not_get_on_does(self) -> None:
        done = drained(Limits(REAL, cap=0), 3, max_wait=93600.0)
        assert [index for index, _ in done.failed] == [0, 1, 2]
        assert all(isinstance(error, TikTokCapError) for _, error in done.failed)


class TestCircuit:
    def obstacle(self, code: str, lane: str = DIRECT) -> Trail:
        return Trail(circuit=Circuit(code, lane, "g", BEGAN))

    def test_all_fail(self) -> None:
        simulation = Simulation(Limits(REAL))
        for index in range(5):
            simulation.add(index, 1.0)
        simulation.obstruct("auth_removed")
        simulation.run(60.0)
        assert [index for index, _ in simulation.failed] == [0, 1, 2, 3, 4]
        assert all(isinstance(error, TikTokConsentError) for _, error in simulation.failed)
        assert simulation.answers == []
        assert simulation.limits.asked == []

    def test_an_obstacle_to_the_other_kind_of_post(self) -> None:
        """Drafts and direct posts have a scope each."""
        queue = filled(waiter(1), lane=DRAFT)
        assert not isinstance(queue.step(self.obstacle("scope_not_authorized"), BEGAN), Fail)
        assert isinstance(queue.step(self.obstacle("scope_not_authorized", DRAFT), BEGAN), Fail)

    def test_it_passes(self) -> None:
        queue = filled(waiter(1))
        assert isinstance(queue.step(self.obstacle("auth_removed"), BEGAN + 599.0), Fail)
        assert isinstance(queue.step(self.obstacle("auth_removed"), BEGAN + 601.0), Release)


def test_gone_counts_as_answered() -> None:
    queue = filled(waiter(1), waiter(2))
    released = queue.release(queue.waiters[0], BEGAN)
    queue.step(Trail((gone(released.ticket, BEGAN),)), BEGAN + 1.0)
    assert queue.underway == 0
