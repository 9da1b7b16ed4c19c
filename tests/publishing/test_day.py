"""The day's cap: below what is usual nobody is asked, and no more are let go than TikTok has room for."""

from __future__ import annotations

from airflow_provider_tiktok.publishing.day import Day
from airflow_provider_tiktok.publishing.pace import LOST, OK, Limit, Windows
from airflow_provider_tiktok.publishing.queue import Ask, Pause, Release
from airflow_provider_tiktok.publishing.trail import Cap, Entry, Trail
from tests.publishing.pacing import BEGAN, DIRECT, filled, waiter

REAL = Windows()
NO = "spam_risk_too_many_posts"


def posted(number: int, *more: Entry, code: str = OK) -> Trail:
    entries = [Entry(BEGAN - 5000.0 + 100 * each, f"d{each}", code, DIRECT) for each in range(number)]
    return Trail((*entries, *more))


def test_below_what_is_usual_nobody_is_asked() -> None:
    assert isinstance(filled(waiter(1)).step(posted(14), BEGAN + 9.0), Release)


def test_from_there_on_tiktok_is() -> None:
    assert isinstance(filled(waiter(1)).step(posted(15), BEGAN + 9.0), Ask)


def test_a_lost_answer_may_have_been_a_post() -> None:
    made = posted(15, code=LOST)
    assert isinstance(filled(waiter(1)).step(made, BEGAN + 9.0), Ask)


def test_those_under_way_have_a_place_in_the_day() -> None:
    queue = filled(waiter(1), waiter(2))
    queue.release(queue.waiters[0], BEGAN)
    step = queue.step(posted(14), BEGAN + 9.0)
    assert isinstance(step, Pause), "not even asked before it is known what becomes of that one"


def test_one_yes_for_one_post() -> None:
    queue, made = filled(waiter(1), waiter(2)), posted(15)
    queue.day.said_yes(made, BEGAN + 9.0, 0)
    assert isinstance(queue.step(made, BEGAN + 9.0), Release)
    queue.release(queue.waiters[0], BEGAN + 9.0)
    assert isinstance(queue.step(made, BEGAN + 30.0), Pause)


def test_after_a_yes_the_next_question_follows_soon() -> None:
    """As its places free, a day is posted to at the minute's pace."""
    day, made = Day(DIRECT, REAL), Trail(posted(15).entries, ((DIRECT, Cap(20, BEGAN)),))
    assert day.verdict(made, BEGAN, 0).ask
    day.said_yes(made, BEGAN, 0)
    assert day.verdict(made, BEGAN, 0).go
    day.went()
    assert day.verdict(made, BEGAN, 1).until == BEGAN + REAL.spacing < BEGAN + REAL.asking


def test_after_a_no() -> None:
    """First after half an hour, then every ten minutes; sooner where an own post is a day old."""
    queue, made = filled(waiter(1)), posted(15)
    queue.day.said_no(NO, made, BEGAN)
    first = queue.step(made, BEGAN + 9.0)
    assert isinstance(first, Pause)
    assert BEGAN + 1600 < first.until < BEGAN + 2000
    queue.day.said_no(NO, made, first.until)
    second = queue.step(made, first.until)
    assert isinstance(second, Pause)
    assert 530 < second.until - first.until < 670


def test_after_a_no_the_oldest_post_may_be_old_enough() -> None:
    made = Trail((Entry(BEGAN - 86400.0 + 60.0, "d", OK, DIRECT),))
    queue = filled(waiter(1))
    queue.day.said_no(NO, made, BEGAN)
    assert queue.step(made, BEGAN + 9.0) == Pause(BEGAN + 60.0 + REAL.margin)


def test_a_post_may_count_from_its_end() -> None:
    """And so longer than a day from its init: what TikTok's no has shown is waited for with the next ones."""
    day, minutes = Day(DIRECT, REAL), 60.0
    posts = [Entry(BEGAN - 86400.0 + minutes * each, f"d{each}", OK, DIRECT) for each in range(15)]
    made = Trail(tuple(posts), ((DIRECT, Cap(15, BEGAN - 80000.0)),))
    first, late = BEGAN, 40.0
    day.said_no(NO, made, first + late)  # the first is a day old, and counts still
    day.said_yes(made, first + late + 5.0, 0)
    assert day.verdict(made, first + late + 5.0, 0).go
    day.went()
    newer = Entry(first + late + 5.0, "new", OK, DIRECT)
    made = Trail((*posts, newer), made.caps)
    second = first + minutes
    assert not day.verdict(made, second + late - 1.0, 0).ask
    assert day.verdict(made, second + late + 1.0, 0).ask


def test_what_others_post_makes_nothing_late_for_ever() -> None:
    """TikTok's no may be due to another app: no post of ours counts for more than a day and a minute."""
    day, made = Day(DIRECT, REAL), Trail(posted(15).entries, ((DIRECT, Cap(10, BEGAN)),))
    last = made.entries[-1].at
    for seconds in range(-1600, 200, 10):
        day.said_no(NO, made, last + 86400.0 + seconds)
    assert 0.0 < day._late <= REAL.settled
    assert day.verdict(made, last + 86400.0 + 3600.0, 0).ask


def test_a_no_that_a_task_met() -> None:
    made = posted(3, Entry(BEGAN, "x", NO, DIRECT))
    step = filled(waiter(1)).step(made, BEGAN + 9.0)
    assert isinstance(step, Pause)
    assert step.until > BEGAN + 1600


def test_a_no_that_only_the_task_knows_of() -> None:
    """The trail could not be written: TikTok is asked, rather than sent one init after another."""
    queue = filled(waiter(1, limit=Limit.DAY))
    assert isinstance(queue.step(Trail(), BEGAN + 9.0), Ask)


def test_an_old_no_is_no_more() -> None:
    made = Trail((Entry(BEGAN - 2 * 86400.0, "x", NO, DIRECT),))
    assert isinstance(filled(waiter(1)).step(made, BEGAN + 9.0), Release)


def test_the_cap_of_creators() -> None:
    """It counts creators: once there is a place, it is the account's for the day."""
    queue, made = filled(waiter(1), waiter(2)), Trail()
    queue.day.said_no("reached_active_user_cap", made, BEGAN)
    assert isinstance(queue.step(made, BEGAN + 9.0), Pause)
    queue.day.said_yes(made, BEGAN + 3000.0, 0)
    for at in (3000.0, 3010.0):
        step = queue.step(made, BEGAN + at)
        assert isinstance(step, Release)
        queue.release(step.waiter, BEGAN + at)
