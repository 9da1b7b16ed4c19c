"""An account's trail: what counts, what is learned, and that it stays small and never raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.publishing.pace import FAILED, GONE, LOST, OK, Windows
from airflow_provider_tiktok.publishing.trail import CIRCUIT_SECONDS, Cap, Circuit, Entry, Trail, read_trail
from tests.publishing.pacing import DIRECT, DRAFT

REAL = Windows()
NOW = 1_000_000.0
NO = "spam_risk_too_many_posts"
MANY = "rate_limit_exceeded"


def trail(*answers: tuple[float, str], lane: str = DIRECT, windows: Windows = REAL) -> Trail:
    made = Trail()
    for number, (at, code) in enumerate(answers):
        made = made.with_entry(Entry(NOW + at, f"t{number}", code, lane), windows)
    return made


class TestMinute:
    def test_room_for_six(self) -> None:
        assert trail(*[(at, OK) for at in range(5)]).room_at(DIRECT, REAL) <= NOW

    def test_full(self) -> None:
        """A little longer than the minute: clocks differ."""
        full = trail(*[(at, OK) for at in range(6)])
        assert NOW + 60.0 < full.room_at(DIRECT, REAL) < NOW + 61.0

    def test_the_sixth_last_counts(self) -> None:
        full = trail(*[(at * 2, OK) for at in range(9)])
        assert full.room_at(DIRECT, REAL) == pytest.approx(NOW + 6.0 + 60.6)

    def test_those_to_come_count(self) -> None:
        made = trail(*[(at, OK) for at in range(4)])
        assert made.room_at(DIRECT, REAL, [NOW + 9.0]) <= NOW
        assert made.room_at(DIRECT, REAL, [NOW + 9.0, NOW + 10.0]) > NOW + 60.0

    @pytest.mark.parametrize(
        ("code", "counts"), [(NO, True), (LOST, True), ("internal_error", True), (GONE, False)]
    )
    def test_what_counts(self, code: str, *, counts: bool) -> None:
        """TikTok counts what it refuses, and may have counted what it did not answer."""
        made = trail(*[(at, OK) for at in range(5)], (5, code))
        assert (made.room_at(DIRECT, REAL) > NOW + 6) == counts

    def test_each_kind_of_post_has_its_own(self) -> None:
        assert trail(*[(at, OK) for at in range(6)]).room_at(DRAFT, REAL) <= NOW

    def test_what_was_no_init(self) -> None:
        made = trail(*[(at, OK) for at in range(5)])
        made = made.with_entry(Entry(NOW + 5, "c", NO, DIRECT, init=False), REAL)
        assert made.room_at(DIRECT, REAL) <= NOW

    def test_others_use_it_up(self) -> None:
        """After a 429 nobody knows who has filled the minute: not all at once again."""
        assert trail((0, MANY)).room_at(DIRECT, REAL) == NOW + 30.0


class TestDay:
    def test_posts(self) -> None:
        made = trail((0, OK), (1, NO), (2, LOST), (3, GONE), (4, OK))
        assert made.posts(DIRECT, NOW - 1) == [NOW, NOW + 2, NOW + 4]
        assert made.posts(DRAFT, NOW - 1) == []

    def test_a_publish_that_failed_was_no_post(self) -> None:
        made = trail((0, OK), (1, OK))
        made = made.with_entry(Entry(NOW + 9, "t0", NO, DIRECT, init=False), REAL)
        assert made.posts(DIRECT, 0) == [NOW + 1]
        assert [each.code for each in made.entries] == [FAILED, OK, NO]
        assert made.entries[0].counts, "its init was one all the same"

    def test_the_last_refusal(self) -> None:
        refusal = trail((0, OK), (1, NO), (2, MANY)).last_refusal(DIRECT)
        assert refusal is not None
        assert refusal.at == NOW + 1
        assert trail((0, NO), (1, OK)).last_refusal(DIRECT) is None
        assert trail((0, NO)).last_refusal(DRAFT) is None

    def test_a_cap_is_learned(self) -> None:
        assert trail(*[(at, OK) for at in range(9)], (9, NO)).cap(DIRECT) == Cap(9, NOW + 9)

    def test_no_cap_is_learned_from_another_s(self) -> None:
        """TikTok counts creators there, not posts."""
        assert trail((0, OK), (1, "reached_active_user_cap")).cap(DIRECT) is None

    def test_a_cap_is_as_low_as_it_was_seen(self) -> None:
        """More were begun when TikTok said no again, since a day of the calendar had ended between."""
        made = trail(*[(at, OK) for at in range(9)], (9, NO), *[(at, OK) for at in range(10, 16)], (16, NO))
        assert made.cap(DIRECT) == Cap(9, NOW + 16)

    def test_a_cap_is_higher_than_all_that_got_through(self) -> None:
        made = trail(*[(at, OK) for at in range(3)], (3, NO), *[(at, OK) for at in range(4, 12)])
        assert made.cap(DIRECT) == Cap(8, NOW + 3), "other apps had used the day up"

    def test_a_cap_is_forgotten(self) -> None:
        made = trail((0, OK), (1, NO), (8 * 86400, NO))
        assert made.cap(DIRECT) == Cap(0, NOW + 8 * 86400)


class TestCrowded:
    @pytest.mark.parametrize(
        ("made", "crowded"),
        [
            (Trail(), False),
            (trail((-300, OK), (-200, OK), (-100, OK)), False),
            (trail(*[(at, OK) for at in range(-6, 0)]), True),
            (trail(*[(at * 300, OK) for at in range(-16, -1)]), True),
            (trail((-3000, NO)), True),
            (trail((-100, MANY)), False),
        ],
    )
    def test_by_its_inits(self, made: Trail, *, crowded: bool) -> None:
        assert made.is_crowded(DIRECT, REAL, NOW) == crowded
        assert not made.is_crowded(DRAFT, REAL, NOW)

    def test_by_a_queue(self) -> None:
        """Who came straight on would overtake the others."""
        entry = Entry(NOW - 30, "t", OK, DIRECT, queued=True)
        assert Trail((entry,)).is_crowded(DIRECT, REAL, NOW)
        assert not Trail((entry,)).is_crowded(DIRECT, REAL, NOW + 100)

    def test_by_an_obstacle(self) -> None:
        made = Trail(circuit=Circuit("auth_removed", DIRECT, "g", NOW))
        assert made.is_crowded(DRAFT, REAL, NOW)


class TestCircuit:
    @pytest.mark.parametrize(
        ("code", "both"), [("auth_removed", True), ("scope_not_authorized", False), ("unheard_of", False)]
    )
    def test_holds(self, code: str, *, both: bool) -> None:
        circuit = Circuit(code, DIRECT, "g", NOW)
        assert circuit.holds(DIRECT, NOW)
        assert circuit.holds(DRAFT, NOW) == both
        assert not circuit.holds(DIRECT, NOW + CIRCUIT_SECONDS)

    def test_its_error(self) -> None:
        error = Circuit("auth_removed", DIRECT, "g", NOW, "Gone.", "2026", 401).error()
        assert (error.code, error.detail, error.log_id, error.http_status) == (
            "auth_removed",
            "Gone.",
            "2026",
            401,
        )

    def test_a_post_that_gets_through_ends_it(self) -> None:
        made = Trail(circuit=Circuit("scope_not_authorized", DIRECT, "g", NOW))
        assert made.with_entry(Entry(NOW, "t", NO, DIRECT), REAL).circuit
        assert made.with_entry(Entry(NOW, "t", OK, DRAFT), REAL).circuit
        assert made.with_entry(Entry(NOW, "t", OK, DIRECT), REAL).circuit is None


class TestKept:
    entries = st.builds(
        Entry,
        st.floats(0, 2e9).map(lambda at: round(at, 3)),
        st.text(max_size=30),
        st.sampled_from([OK, LOST, GONE, NO, MANY]),
        st.sampled_from([DIRECT, DRAFT]),
        st.booleans(),
        st.booleans(),
    )

    @given(st.lists(entries, max_size=20), st.integers(0, 20))
    def test_round_trip(self, entries: list[Entry], cap: int) -> None:
        circuit = Circuit("auth_removed", DIRECT, "g", NOW, "d", "l", 401)
        made = Trail(tuple(entries), ((DIRECT, Cap(cap, NOW)),), circuit)
        assert read_trail(made.dumped()) == made

    @given(
        st.none() | st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
    )
    def test_garbage_says_nothing(self, text: str | None) -> None:
        assert read_trail(text) == Trail()

    @pytest.mark.parametrize(
        "text",
        [
            '{"entries": [[1]]}',
            '{"circuit": {"code": 1}}',
            '{"circuit": {"code": "a", "lane": "b", "grant": "c", "at": "d"}}',
            '{"caps": {"x": 1}}',
            "[" * 100_000,
        ],
    )
    def test_half_of_one_says_nothing(self, text: str) -> None:
        assert read_trail(text) == Trail()

    @settings(max_examples=20)
    @given(st.lists(st.sampled_from([OK, NO, MANY, GONE, LOST]), min_size=300, max_size=400))
    def test_it_stays_small(self, codes: list[str]) -> None:
        made = trail(*[(number * 5.0, code) for number, code in enumerate(codes)])
        assert len(made.dumped()) < 12_000
        last = max(at for at, code in enumerate(codes) if code in (OK, LOST)) if OK in codes else None
        if last is not None and codes[last] == OK:
            assert made.last_post(DIRECT) == NOW + last * 5.0

    def test_the_last_post_stays(self) -> None:
        """Waiters count from it, for longer than a day."""
        made = trail((0, OK), (3 * 86400, GONE), (4 * 86400, GONE))
        assert made.last_post(DIRECT) == NOW
        assert len(made.entries) == 2

    def test_no_secret(self) -> None:
        assert set(json.loads(trail((0, OK)).dumped())) == {"format", "entries", "caps", "circuit"}
