"""A task's turn, in its own process: after the one before it, with room in the minute, noted for the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok import register
from airflow_provider_tiktok.api.models import PrivacyLevel, PullFromUrl, VideoPost
from airflow_provider_tiktok.exceptions import answer_error
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing import trails
from airflow_provider_tiktok.publishing import turn as turn_module
from airflow_provider_tiktok.publishing.pace import GONE, LOST, OK, Place, Released, Windows
from airflow_provider_tiktok.publishing.trail import Entry, Trail, read_trail
from airflow_provider_tiktok.publishing.turn import note_gone, note_outcome, should_queue, turn
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import FakeClock, FakeTi, FakeVariables, secrets_in

Connect = Callable[..., dict[str, Any]]
DIRECT = "DIRECT_POST"
NAME = "tiktok_pace__tiktok_default"
PLACE = Place("mine", "2026-11-01", 1, 0.0)
NO = "spam_risk_too_many_posts"


@pytest.fixture
def hook(connect: Connect) -> TikTokHook:
    connect()
    return TikTokHook()


def kept(variables: FakeVariables) -> Trail:
    return read_trail(variables.values.get(NAME))


def codes(variables: FakeVariables) -> list[tuple[str, str]]:
    return [(each.ticket, each.code) for each in kept(variables).entries]


def keep(variables: FakeVariables, *entries: Entry) -> None:
    variables.values[NAME] = Trail(entries).dumped()


def entry(ticket: str = "t", at: float = 0.0, code: str = OK, **more: Any) -> Entry:
    return Entry(time.time() + at, ticket, code, DIRECT, **more)


class TestNotes:
    def test_what_is_noted(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with turn(hook, PLACE, None, DIRECT) as mine:
            mine.note(OK)
        assert codes(variables) == [("mine", OK)]
        assert not kept(variables).entries[0].queued

    def test_the_release_s_ticket(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with turn(hook, PLACE, Released("mine.1"), DIRECT) as mine:
            assert mine.ticket == "mine.1"
            mine.note(OK)
        assert codes(variables) == [("mine.1", OK)]
        assert kept(variables).entries[0].queued

    def test_nothing_sent(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with turn(hook, PLACE, None, DIRECT):
            pass
        assert codes(variables) == [("mine", GONE)]

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (answer_error("video init", NO, http_status=403), NO),
            (answer_error("video init", "", http_status=502), "http_502"),
            (errors.TikTokNothingSentError("x"), GONE),
            (errors.TikTokNoAnswerError("x"), LOST),
            (errors.TikTokProtocolError("x"), LOST),
            (errors.TikTokStoreError("x"), GONE),
            (KeyboardInterrupt(), LOST),
            (RuntimeError("x"), LOST),
        ],
    )
    def test_what_is_raised(
        self, hook: TikTokHook, variables: FakeVariables, error: BaseException, code: str
    ) -> None:
        """Whatever TikTok may have seen counts; and it is raised on."""
        with pytest.raises(type(error)), turn(hook, PLACE, None, DIRECT):
            raise error
        assert codes(variables) == [("mine", code)]

    def test_the_code_that_was_noted_wins(self, hook: TikTokHook, variables: FakeVariables) -> None:
        def late() -> None:
            with turn(hook, PLACE, None, DIRECT) as mine:
                mine.note(OK)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            late()
        assert codes(variables) == [("mine", OK)]

    def test_a_learned_cap_is_logged_once(
        self, hook: TikTokHook, variables: FakeVariables, caplog: pytest.LogCaptureFixture
    ) -> None:
        keep(variables, *[entry(f"d{at}", at) for at in range(-900, -800, 10)])
        caplog.set_level("INFO")
        with pytest.raises(errors.TikTokCapError), turn(hook, PLACE, None, DIRECT):
            raise answer_error("video init", NO)
        assert caplog.text.count("no at 10 posts") == 1

    def test_a_real_init(self, hook: TikTokHook, tiktok: Sandbox, variables: FakeVariables) -> None:
        tiktok.knobs.post_cap = 1
        post = VideoPost(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE)
        url = PullFromUrl(f"{tiktok.url}/public/sample.mp4")
        with turn(hook, PLACE, None, DIRECT) as mine:
            hook.video_init(post, url)
            mine.note(OK)
        while not tiktok.posts:
            time.sleep(0.01)
        with pytest.raises(errors.TikTokCapError), turn(hook, PLACE, Released("again"), DIRECT):
            hook.video_init(post, url)
        assert codes(variables) == [("mine", OK), ("again", NO)]
        assert secrets_in(variables.values[NAME]) == []


class TestWaits:
    def test_for_the_one_before(
        self, hook: TikTokHook, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turn_module, "_LOOK_SECONDS", 0.02)
        threading.Timer(0.3, keep, [variables, entry("before", code=GONE)]).start()
        began = time.monotonic()
        with turn(hook, PLACE, Released("mine", after="before"), DIRECT):
            assert time.monotonic() - began > 0.25

    def test_but_not_for_ever(self, hook: TikTokHook, clock: FakeClock) -> None:
        hook.account  # noqa: B018 - read with the real clock
        with turn(hook, PLACE, Released("mine", after="before"), DIRECT):
            assert clock.ahead == pytest.approx(turn_module.AFTER_SECONDS, abs=1.0)

    @pytest.mark.parametrize("code", [NO, "rate_limit_exceeded"])
    def test_whom_tiktok_sent_back_goes_first_once_more(
        self, hook: TikTokHook, variables: FakeVariables, code: str
    ) -> None:
        """Else whoever comes behind would overtake it, as soon as there is room again."""
        keep(variables, entry("before", -1.0, code))
        told: list[bool] = []
        waiting = turn(hook, PLACE, Released("mine", after="before"), DIRECT, lambda: told.append(True))
        with pytest.raises(errors.TikTokAnswerError) as sent_back, waiting:
            pytest.fail("it made its init")
        assert sent_back.value.code == code
        assert codes(variables)[-1] == ("mine", code), "and so does the one behind it"
        assert not kept(variables).entries[-1].counts
        assert not told, "nothing is claimed for an init that is not made"

    @pytest.mark.parametrize("code", [OK, GONE, "internal_error", "access_token_invalid"])
    def test_nobody_else_is_waited_for_again(
        self, hook: TikTokHook, variables: FakeVariables, code: str
    ) -> None:
        keep(variables, entry("before", -1.0, code))
        with turn(hook, PLACE, Released("mine", after="before"), DIRECT) as mine:
            mine.note(OK)
        assert codes(variables)[-1] == ("mine", OK)

    def test_for_room(self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock) -> None:
        keep(variables, *[entry(f"d{at}", at) for at in range(-30, -24)])
        with turn(hook, PLACE, None, DIRECT):
            assert clock.ahead == pytest.approx(30.6, abs=0.5)

    def test_it_is_told_a_few_seconds_before(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        keep(variables, *[entry(f"d{at}", at) for at in range(-30, -24)])
        told: list[float] = []
        with turn(hook, PLACE, None, DIRECT, lambda: told.append(clock.ahead)):
            assert clock.ahead - told[0] == pytest.approx(Windows(60.0).lead, abs=1.0)

    def test_it_is_told_while_the_one_before_is_waited_for(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        """Five are released in as many seconds, and all of them have claimed when their turn comes."""
        keep(variables, entry("d", -300.0))
        told: list[float] = []
        with turn(hook, PLACE, Released("mine", "before"), DIRECT, lambda: told.append(clock.ahead)):
            assert clock.ahead - told[0] == pytest.approx(turn_module.AFTER_SECONDS, abs=1.0)

    def test_but_not_while_there_is_no_room(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        """A claim does not hold for a minute."""
        keep(variables, *[entry(f"d{at}", at) for at in range(-10, -4)])
        told: list[float] = []
        with turn(hook, PLACE, Released("mine", "before"), DIRECT, lambda: told.append(clock.ahead)):
            assert told[0] == pytest.approx(50.6 - Windows(60.0).lead, abs=1.0)

    def test_it_is_told_where_nothing_is_waited_for(self, hook: TikTokHook) -> None:
        told: list[bool] = []
        with turn(hook, PLACE, None, DIRECT, lambda: told.append(True)):
            assert told

    def test_but_not_where_there_is_some(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        keep(variables, *[entry(f"d{at}", at) for at in range(-30, -25)])
        with turn(hook, PLACE, None, DIRECT):
            assert clock.pauses == []

    def test_for_the_others_of_this_host(
        self, connect: Connect, tiktok: Sandbox, variables: FakeVariables
    ) -> None:
        """Ten tasks at once: no two in their turn together, and never more than six inits in a minute."""
        tiktok.knobs.minute = 3.0
        connect()
        within, most = [0], []

        def task(number: int) -> None:
            hook = TikTokHook()
            post = VideoPost(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE)
            with turn(hook, Place(f"t{number}", "d", number, 0.0), None, DIRECT) as mine:
                within[0] += 1
                most.append(within[0])
                hook.video_init(post, PullFromUrl(f"{tiktok.url}/public/sample.mp4"))
                mine.note(OK)
                within[0] -= 1
            hook.close()

        threads = [threading.Thread(target=task, args=(number,)) for number in range(10)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert set(most) == {1}
        inits = [each.code for each in tiktok.requests if each.endpoint == "video_init"]
        assert inits == ["ok"] * 10


class TestUnreadable:
    def test_it_goes_on(self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock) -> None:
        hook.account  # noqa: B018
        variables.broken = True
        with turn(hook, PLACE, Released("mine"), DIRECT) as mine:
            mine.note(OK)
        note_outcome(hook, answer_error("creator_info", NO), DIRECT)
        note_gone(hook, Released("mine"), DIRECT)
        assert not should_queue(hook, {"ti": FakeTi()}, DIRECT)
        assert clock.pauses == []

    def test_garbage(self, hook: TikTokHook, variables: FakeVariables) -> None:
        variables.values[NAME] = "garbage"
        with turn(hook, PLACE, None, DIRECT) as mine:
            mine.note(OK)
        assert codes(variables) == [("mine", OK)]

    def test_a_failed_read_forgets_nothing(
        self, hook: TikTokHook, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It looks like absence; what is there must not be written over for that."""
        keep(variables, entry("before", -100))
        looks = iter([None, None])
        monkeypatch.setattr(register, "peek", lambda key: next(looks, None))
        with turn(hook, PLACE, None, DIRECT) as mine:
            mine.note(OK)
        assert codes(variables) == [("before", OK), ("mine", OK)]


class TestGone:
    def test_who_leaves(self, hook: TikTokHook, variables: FakeVariables) -> None:
        note_gone(hook, Released("mine"), DIRECT)
        assert codes(variables) == [("mine", GONE)]

    def test_who_was_answered(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with turn(hook, PLACE, Released("mine"), DIRECT) as mine:
            mine.note(OK)
        note_gone(hook, Released("mine"), DIRECT)
        assert codes(variables) == [("mine", OK)]

    def test_not_before_the_one_before_it(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        """Else the next, which waits for this one only, would overtake it; nobody is waited for long."""
        note_gone(hook, Released("mine", after="before"), DIRECT)
        assert sum(clock.pauses) == pytest.approx(turn_module.LEAVE_SECONDS, abs=1.0)
        assert codes(variables) == [("mine", GONE)]

    def test_at_once_where_that_has_gone(
        self, hook: TikTokHook, variables: FakeVariables, clock: FakeClock
    ) -> None:
        keep(variables, entry("before", -1.0))
        note_gone(hook, Released("mine", after="before"), DIRECT)
        assert clock.pauses == []
        assert codes(variables)[-1] == ("mine", GONE)

    def test_nobody_waits_for_who_came_without_the_queue(
        self, hook: TikTokHook, variables: FakeVariables
    ) -> None:
        note_gone(hook, None, DIRECT)
        assert NAME not in variables.values


class TestOutcome:
    def test_a_cap_that_creator_info_told(self, hook: TikTokHook, variables: FakeVariables) -> None:
        note_outcome(hook, answer_error("creator_info", NO), DIRECT, "mine")
        (told,) = kept(variables).entries
        assert (told.ticket, told.code, told.init) == ("mine", NO, False)
        assert not told.counts

    def test_a_minute_that_creator_info_told(self, hook: TikTokHook, variables: FakeVariables) -> None:
        """Whoever was released behind would wait a minute for this one, and then overtake it."""
        note_outcome(hook, answer_error("creator_info", "rate_limit_exceeded"), DIRECT, "mine")
        assert codes(variables) == [("mine", "rate_limit_exceeded")]
        assert kept(variables).room_at(DIRECT, Windows()) < time.time(), "TikTok's minute of inits has room"

    def test_a_publish_that_failed(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with turn(hook, PLACE, None, DIRECT) as mine:
            mine.note(OK)
        note_outcome(hook, answer_error("publish p", NO), DIRECT, mine.ticket)
        assert kept(variables).posts(DIRECT, 0.0) == []

    @pytest.mark.parametrize("code", ["rate_limit_exceeded", "internal", "spam_risk_text", "a_code_of_2027"])
    def test_what_concerns_nobody_else(self, hook: TikTokHook, variables: FakeVariables, code: str) -> None:
        note_outcome(hook, answer_error("publish p", code), DIRECT)
        assert NAME not in variables.values

    def test_an_obstacle(self, hook: TikTokHook, variables: FakeVariables) -> None:
        error = answer_error("video init", "auth_removed", detail="x" * 999, log_id="2026", http_status=401)
        note_outcome(hook, error, DIRECT)
        circuit = kept(variables).circuit
        assert circuit is not None
        assert circuit.grant == trails.grant_mark(hook.account)
        assert (circuit.code, circuit.log_id, len(circuit.detail)) == ("auth_removed", "2026", 200)

    def test_an_obstacle_that_an_init_met(self, hook: TikTokHook, variables: FakeVariables) -> None:
        with pytest.raises(errors.TikTokCreatorError), turn(hook, PLACE, None, DIRECT):
            raise answer_error("video init", "spam_risk_user_banned_from_posting")
        assert kept(variables).circuit is not None

    def test_a_new_grant_has_another_mark(self, hook: TikTokHook, connect: Connect) -> None:
        before = trails.grant_mark(hook.account)
        hook.renew_grant()
        renewed = trails.grant_mark(hook.account)
        connect()
        assert len({before, renewed, trails.grant_mark(TikTokHook().account)}) == 3


class TestShouldQueue:
    @pytest.mark.parametrize(("map_index", "queues"), [(-1, False), (0, True), (1, True), (99, True)])
    def test_mapped_tasks(self, hook: TikTokHook, map_index: int, *, queues: bool) -> None:
        """Also the first of them: it may start after its neighbours."""
        ti = FakeTi()
        ti.map_index = map_index
        assert should_queue(hook, {"ti": ti}, DIRECT) == queues

    @pytest.mark.parametrize("run_type", ["backfill", SimpleNamespace(value="backfill")])
    def test_backfills(self, hook: TikTokHook, run_type: Any) -> None:
        assert should_queue(hook, {"ti": FakeTi(), "dag_run": SimpleNamespace(run_type=run_type)}, DIRECT)

    def test_an_ordinary_run(self, hook: TikTokHook) -> None:
        run = SimpleNamespace(run_type="scheduled", logical_date=datetime.now(UTC))
        assert not should_queue(hook, {"ti": FakeTi(), "dag_run": run}, DIRECT)

    def test_a_crowded_account(self, hook: TikTokHook, variables: FakeVariables) -> None:
        keep(variables, entry("t", -20, queued=True))
        assert should_queue(hook, {"ti": FakeTi()}, DIRECT)
        assert not should_queue(hook, {"ti": FakeTi()}, "MEDIA_UPLOAD")


def test_windows(connect: Connect, tiktok: Sandbox) -> None:
    tiktok.knobs.update({"minute": 20.0, "day": 90.0})
    connect()
    assert turn_module.windows_of(TikTokHook().account) == Windows(20.0, 90.0)
