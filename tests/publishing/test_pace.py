"""TikTok's limits as data, and a task's place, which must survive the way through Airflow's database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import CODES, Helps, TikTokError, answer_error
from airflow_provider_tiktok.publishing.pace import (
    ACCOUNT_CODES,
    PRESUMED_CAPS,
    Limit,
    Place,
    Windows,
    limit_of,
    new_place,
)
from tests.airflow_tasks import FakeTi

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("code", CODES)
def test_which_codes_are_limits(code: str) -> None:
    """Whatever time alone helps against is waited out, and nothing else is."""
    error = answer_error("video init", code)
    assert (limit_of(error) is not None) == (CODES[code].helps in (Helps.MINUTE, Helps.DAY))


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("rate_limit_exceeded", Limit.MINUTE),
        ("spam_risk_too_many_posts", Limit.DAY),
        ("reached_active_user_cap", Limit.DAY),
        ("spam_risk_too_many_pending_share", Limit.DRAFTS),
        ("spam_risk", None),
        ("internal_error", None),
    ],
)
def test_limits(code: str, limit: Limit | None) -> None:
    assert limit_of(answer_error("video init", code)) is limit


def test_what_has_no_code_is_no_limit() -> None:
    assert limit_of(TikTokError("x")) is None


def test_the_obstacles_of_an_account_are_permanent() -> None:
    """A waiter that fails with one of them must not be retried, and must not wait for it either."""
    for code in ACCOUNT_CODES:
        assert CODES[code].helps is Helps.NOTHING, code


class TestPlace:
    def context(self, **more: Any) -> dict[str, Any]:
        ti = FakeTi()
        ti.map_index = more.pop("map_index", -1)
        return {"ti": ti, **more}

    def test_a_run_with_a_logical_date(self) -> None:
        place = new_place(self.context(logical_date=NOON, map_index=3))
        assert (place.logical_date, place.map_index) == ("2026-11-01T12:00:00.000000+00:00", 3)

    @pytest.mark.parametrize("name", ["logical_date", "start_date", "run_after"])
    def test_a_run_without_one(self, name: str) -> None:
        """Airflow 3 has runs without a logical date; then its start tells which of two comes first."""
        run = SimpleNamespace(**{"logical_date": None, name: NOON})
        assert new_place(self.context(dag_run=run, logical_date=None)).logical_date.startswith(
            "2026-11-01T12"
        )

    def test_a_bare_context(self) -> None:
        context = self.context()
        start = context["ti"].start_date.isoformat(timespec="microseconds")
        assert new_place(context).logical_date == start

    def test_dates_of_all_zones_compare(self) -> None:
        zones = [timezone(timedelta(hours=hours)) for hours in (-11, 0, 9)]
        moments = [NOON.astimezone(zone) + timedelta(minutes=at) for at, zone in enumerate(zones)]
        texts = [new_place(self.context(logical_date=each)).logical_date for each in moments]
        assert texts == sorted(texts)

    def test_all_tries_of_a_task_are_of_one_task(self) -> None:
        """So that the queue does not wait for the answer of a try whose process is gone."""
        places = [new_place(self.context(map_index=index)) for index in (0, 0, 1)]
        assert places[0].task == places[1].task != places[2].task

    def test_tickets_differ(self) -> None:
        context = self.context(logical_date=NOON)
        assert len({new_place(context).ticket for _ in range(100)}) == 100

    @given(
        st.builds(Place, st.text(), st.text(), st.integers(-1, 9999), st.floats(0, 2e9), st.integers(0, 9))
    )
    def test_round_trip(self, place: Place) -> None:
        assert Place.from_dict(json.loads(json.dumps(place.as_dict()))) == place

    def test_more_than_a_place(self) -> None:
        place = Place("t", "d", 1, 2.0)
        assert Place.from_dict({**place.as_dict(), "limit": "day"}) == place

    def test_order(self) -> None:
        """By run, then as mapped, then as asked; whoever failed three times at the head lets others pass."""
        ordered = [
            Place("e", "2026-11-01", 0, 9.0),
            Place("d", "2026-11-01", 1, 1.0),
            Place("c", "2026-11-01", 1, 2.0, tries=2),
            Place("b", "2026-11-01", 10, 0.0),
            Place("a", "2026-11-02", 0, 0.0),
            Place("f", "2026-11-01", 0, 0.0, tries=3),
        ]
        assert sorted((ordered[at] for at in (3, 5, 0, 4, 2, 1)), key=lambda each: each.key) == ordered

    def test_again(self) -> None:
        place = Place("t", "d", 1, 2.0)
        assert place.again() == Place("t", "d", 1, 2.0, tries=1)


class TestWindows:
    def test_a_real_day(self) -> None:
        assert Windows().of_day(600.0) == 600.0

    def test_a_short_day(self) -> None:
        assert Windows(20.0, 900.0).of_day(1800.0) == pytest.approx(18.75)

    def test_never_faster_than_the_minute_allows(self) -> None:
        """creator_info takes 20 questions a minute, and tasks ask it, too."""
        assert Windows(60.0, 90.0).of_day(600.0) == 4.0

    def test_releases_can_catch_up(self) -> None:
        windows = Windows()
        assert windows.spacing < windows.minute / 6
        assert windows.lead < windows.minute

    def test_every_kind_of_post_has_a_cap(self) -> None:
        assert PRESUMED_CAPS == {"DIRECT_POST": 15, "MEDIA_UPLOAD": 5}
