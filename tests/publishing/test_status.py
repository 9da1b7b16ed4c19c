"""What a status means, when to look again, and how a task waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.models import FileUpload, PublishStatus
from airflow_provider_tiktok.exceptions import answer_error
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing import status as module
from airflow_provider_tiktok.publishing.budget import MOST
from airflow_provider_tiktok.publishing.status import Watch, ask, check_publish_id, failure, is_finished, wait
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import FakeClock, endpoints_of

ID = ("7600000000000000001",)


@pytest.mark.parametrize(
    ("status", "ids", "plain", "creator", "post_id"),
    [
        ("PROCESSING_UPLOAD", (), False, False, False),
        ("PROCESSING_DOWNLOAD", (), False, False, False),
        ("SOMETHING_OF_2027", ID, False, False, False),
        ("SEND_TO_USER_INBOX", (), True, False, False),
        ("PUBLISH_COMPLETE", (), True, True, False),
        ("PUBLISH_COMPLETE", ID, True, True, True),
        ("FAILED", (), True, True, True),
    ],
)
def test_finish_lines(
    status: str, ids: tuple[str, ...], *, plain: bool, creator: bool, post_id: bool
) -> None:
    told = PublishStatus(status, post_ids=ids)
    assert is_finished(told) == plain
    assert is_finished(told, wait_for_creator=True) == creator
    assert is_finished(told, wait_for_post_id=True) == post_id
    assert is_finished(told, wait_for_creator=True, wait_for_post_id=True) == post_id


def test_only_failed_has_failed() -> None:
    assert failure("p", PublishStatus("PUBLISH_COMPLETE", fail_reason="internal")) is None
    error = failure("p", PublishStatus("FAILED", fail_reason="internal", log_id="2026"))
    assert isinstance(error, errors.TikTokProcessingError)
    assert "publish p" in str(error)


def test_failed_without_a_reason() -> None:
    error = failure("p", PublishStatus("FAILED"))
    assert isinstance(error, errors.TikTokRequestError), "not retried: nobody knows what a new one would do"


@pytest.mark.parametrize("publish_id", [" v_pub_file~1 ", "v_pub_file~1"])
def test_publish_ids(publish_id: str) -> None:
    assert check_publish_id(publish_id) == "v_pub_file~1"


PASSING = [
    errors.TikTokNothingSentError("x"),
    errors.TikTokNoAnswerError("x"),
    errors.TikTokProtocolError("x"),
    errors.TikTokStoreError("x"),
    answer_error("status", "internal_error", http_status=500),
    answer_error("status", "rate_limit_exceeded", http_status=429),
    answer_error("status", "", http_status=503),
    answer_error("token refresh", "temporarily_unavailable"),
]
ENDING = [
    errors.TikTokConfigError("x"),
    errors.TikTokInputError("x"),
    answer_error("status", "scope_not_authorized"),
    answer_error("status", "access_token_invalid"),
    answer_error("status", "token_not_authorized_for_specified_publish_id"),
    answer_error("status", "invalid_params"),
    answer_error("token refresh", "invalid_grant"),
]


class TestWatch:
    @pytest.mark.parametrize("error", PASSING, ids=repr)
    def test_what_says_nothing_of_the_post(self, error: errors.TikTokError) -> None:
        assert Watch().is_passing(error)

    @pytest.mark.parametrize("error", ENDING, ids=repr)
    def test_what_ends_the_waiting(self, error: errors.TikTokError) -> None:
        assert not Watch().is_passing(error)

    @pytest.mark.parametrize(
        ("waited", "passing"), [(0.0, True), (58.0, True), (60.0, False), (9999.0, False)]
    )
    def test_an_unknown_publish(self, waited: float, *, passing: bool) -> None:
        """TikTok may not know one in the first moments after its init."""
        error = answer_error("status", "invalid_publish_id", http_status=400)
        assert Watch(waited=waited).is_passing(error) == passing

    def test_pauses(self) -> None:
        watch = Watch(30.0)
        pauses = [watch.pause() for _ in range(10)]
        ideal = [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0, 30.0, 30.0, 30.0]
        assert all(0.9 * one <= other <= 1.1 * one for one, other in zip(ideal, pauses, strict=True))

    def test_pauses_grow_further_in_a_crowd(self) -> None:
        watch = Watch(30.0)
        pauses = [watch.pause(100.0) for _ in range(12)]
        assert pauses[0] < 6.0, "one that has just begun is asked for soon all the same"
        assert all(90 <= each <= 110 for each in pauses[8:])
        assert 27 <= watch.pause() <= 33, "and shrink with it"

    def test_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = FakeClock()
        clock.install(monkeypatch)
        watch = Watch()
        clock.sleep(100)
        assert watch.seconds == pytest.approx(100, abs=1)


class TestInATask:
    #: A machine that stands still for a tenth of a minute, the margin of the pace, makes TikTok say 429.
    MINUTE = 10.0

    @pytest.fixture
    def publish_id(self, tiktok: Sandbox, connect: Callable[..., Any]) -> str:
        """A publish whose bytes never come."""
        connect(rate_window=self.MINUTE)
        hook = TikTokHook()
        try:
            return hook.call(endpoints.inbox_init(FileUpload(1000, 1000, 1))).publish_id
        finally:
            hook.close()

    def test_threads_share_the_pace(
        self, tiktok: Sandbox, publish_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Twelve that would ask 2,400 times a minute between them; a minute is ten seconds here."""
        tiktok.knobs.minute = self.MINUTE
        monkeypatch.setattr(module, "FIRST_PAUSE", 0.05)
        monkeypatch.setattr(module, "SHORTEST_PAUSE", 0.05)

        def work() -> None:
            hook = TikTokHook()
            try:
                with pytest.raises(errors.TikTokUnfinishedError):
                    wait(hook, publish_id, Watch(0.05), timeout=1.5 * self.MINUTE)
            finally:
                hook.close()

        threads = [threading.Thread(target=work) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        polls = [each for each in tiktok.requests if each.endpoint == "status"]
        assert {each.status for each in polls} == {200}
        assert MOST < len(polls) <= 2.5 * MOST

    def test_429_slows_all_of_them_down(self, tiktok: Sandbox, publish_id: str) -> None:
        hook, other = TikTokHook(), TikTokHook()
        tiktok.fault("status", action="status", status=429, times=1)
        with pytest.raises(errors.TikTokRateLimitError):
            ask(hook, publish_id)
        assert hook.budget.rate < MOST / 2 + 1
        assert other.budget is hook.budget
        assert ask(other, publish_id).status == "PROCESSING_UPLOAD"

    def test_a_question_is_asked_once(self, tiktok: Sandbox, publish_id: str) -> None:
        """What the client would repeat is not in the budget."""
        tiktok.fault("status", action="status", status=500, times=None)
        with pytest.raises(errors.TikTokServerError):
            ask(TikTokHook(), publish_id)
        assert endpoints_of(tiktok).count("status") == 1
