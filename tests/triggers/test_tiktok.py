"""The status trigger: one event, not too early; one client an account; a loop that never stands still."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api import transport
from airflow_provider_tiktok.api.client import AsyncClient
from airflow_provider_tiktok.exceptions import TikTokError
from airflow_provider_tiktok.hooks import tiktok as hook_module
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.publishing import floor
from airflow_provider_tiktok.publishing import status as status_module
from airflow_provider_tiktok.publishing.budget import MOST
from airflow_provider_tiktok.publishing.events import read_event
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger
from tests.airflow_tasks import (
    FakeClock,
    FakeVariables,
    endpoints_of,
    first_event,
    publish_connection,
    revived,
    run,
    secrets_in,
)

Connect = Callable[..., dict[str, Any]]
#: Seconds; half of what the slow thing of each test takes, so that a busy machine does not matter.
STANDSTILL = 0.5


def trigger(publish_id: str = "p", **options: Any) -> TikTokPublishStatusTrigger:
    return TikTokPublishStatusTrigger("tiktok_default", publish_id, **options)


@pytest.fixture
def minute() -> float:
    """Seconds of TikTok's minute, as the Connection has it."""
    return 60.0


@pytest.fixture
def publish(tiktok: Sandbox, connect: Connect, video: Path, minute: float) -> Callable[..., str]:
    def begin(**options: Any) -> str:
        if not tiktok.publishes:
            connect(rate_window=minute)
        options = options or {"privacy_level": "PUBLIC_TO_EVERYONE"}
        return str(run(TikTokPublishVideoOperator(task_id="t", video=str(video), **options)))

    return begin


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real time, but little of it."""
    monkeypatch.setattr(floor, "FLOOR_SECONDS", 0.0)
    monkeypatch.setattr(status_module, "FIRST_PAUSE", 0.02)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AsyncClient]]:
    """Every async client that a hook makes; ``transport._client.is_closed`` tells whether it is closed."""
    made: list[AsyncClient] = []

    def make(*args: Any, **options: Any) -> AsyncClient:
        made.append(AsyncClient(*args, **options))
        return made[-1]

    monkeypatch.setattr(hook_module, "AsyncClient", make)
    yield made
    assert all(each.transport._client.is_closed for each in made), "closed when the last user leaves"


class TestSerialize:
    def test_round_trip(self) -> None:
        given = {
            "tiktok_conn_id": "conn",
            "publish_id": "p",
            "poll_interval": 12.5,
            "wait_for_creator": True,
            "wait_for_post_id": True,
        }
        made = TikTokPublishStatusTrigger(**given)
        path, kwargs = made.serialize()
        assert path == "airflow_provider_tiktok.triggers.tiktok.TikTokPublishStatusTrigger"
        assert json.loads(json.dumps(kwargs)) == given
        assert revived(made).serialize() == (path, kwargs)

    def test_plain_values(self) -> None:
        assert {type(each) for each in trigger().serialize()[1].values()} <= {str, float, bool}


class TestFires:
    async def test_one_event_when_it_is_over(
        self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock
    ) -> None:
        tiktok.knobs.processing_seconds = 100.0
        publish_id = publish()
        event = await first_event(trigger(publish_id))
        assert event == {
            "publish_id": publish_id,
            "status": "PUBLISH_COMPLETE",
            "fail_reason": "",
            "post_ids": [tiktok.posts[0].post_id],
            "log_id": event["log_id"],
        }

    async def test_a_real_event(self, publish: Callable[..., str], clock: FakeClock) -> None:
        event = await anext(trigger(publish()).run())
        assert isinstance(event, TriggerEvent)

    @pytest.mark.parametrize("poll_interval", [30.0, 2.0, 0.001, 0.0])
    async def test_never_within_its_first_seconds(
        self, publish: Callable[..., str], clock: FakeClock, poll_interval: float
    ) -> None:
        """Airflow fails a task whose trigger fires before the scheduler has read that it deferred."""
        publish_id = publish()
        began = clock.monotonic()
        await first_event(trigger(publish_id, poll_interval=poll_interval))
        assert clock.monotonic() - began >= 5.0

    async def test_not_even_with_an_error(
        self, publish: Callable[..., str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish_connection(monkeypatch, "tiktok_default", {"conn_type": "tiktok"})
        began = clock.monotonic()
        event = await first_event(trigger(poll_interval=1.0))
        assert event["status"] == "error"
        assert clock.monotonic() - began >= 5.0

    async def test_pauses_grow(self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock) -> None:
        tiktok.knobs.processing_seconds = 400.0
        publish_id = publish()
        clock.pauses.clear()
        await first_event(trigger(publish_id))
        *pauses, floor = clock.pauses
        assert floor == 0.0
        assert 4.5 <= pauses[0] <= 5.5
        assert all(27 <= each <= 33 for each in pauses[5:-1])
        assert len(set(pauses)) == len(pauses), "jittered, so that tasks do not come at once"

    @pytest.mark.parametrize("poll_interval", [0.0, 0.001, -1.0])
    async def test_never_asks_without_a_pause(
        self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock, poll_interval: float
    ) -> None:
        """A busy loop would take the triggerer from everybody else."""
        tiktok.knobs.processing_seconds, tiktok.knobs.limits = 20.0, False
        publish_id = publish()
        clock.pauses.clear()
        await first_event(trigger(publish_id, poll_interval=poll_interval))
        assert min(clock.pauses[:-1]) >= 0.9

    async def test_a_draft_waits_for_the_inbox_only(
        self, publish: Callable[..., str], clock: FakeClock
    ) -> None:
        event = await first_event(trigger(publish(post_mode="MEDIA_UPLOAD")))
        assert event["status"] == "SEND_TO_USER_INBOX"

    async def test_fail_reason(self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock) -> None:
        tiktok.knobs.fail_reason = "spam_risk_text"
        event = await first_event(trigger(publish()))
        assert (event["status"], event["fail_reason"]) == ("FAILED", "spam_risk_text")
        assert event["log_id"].startswith("2")

    @pytest.mark.parametrize("status", ["PONDERING", "SOMETHING_OF_2027"])
    async def test_a_status_nobody_knows(
        self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock, status: str
    ) -> None:
        tiktok.knobs.processing_seconds, tiktok.knobs.processing_status = 100.0, status
        assert (await first_event(trigger(publish())))["status"] == "PUBLISH_COMPLETE"


class TestErrors:
    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "status", "status": 429},
            {"action": "status", "status": 500},
            {"action": "drop"},
            {"action": "garbage"},
            {"action": "redirect"},
        ],
        ids=str,
    )
    async def test_what_passes_is_waited_out(
        self, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock, fault: dict[str, Any]
    ) -> None:
        publish_id = publish()
        tiktok.fault("status", times=40, **fault)
        assert (await first_event(trigger(publish_id)))["status"] == "PUBLISH_COMPLETE"

    async def test_a_store_that_does_not_answer(
        self,
        publish: Callable[..., str],
        variables: FakeVariables,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        publish_id = publish()
        variables.broken = True
        genuine = clock.sleep

        def sleep(seconds: float) -> None:
            genuine(seconds)
            variables.broken = len(clock.pauses) < 12

        monkeypatch.setattr(clock, "sleep", sleep)
        assert (await first_event(trigger(publish_id)))["status"] == "PUBLISH_COMPLETE"

    async def test_a_connection_that_cannot_be_read(
        self, *, publish: Callable[..., str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As without a metadata database: it looks again, and the deadline is Airflow's."""
        publish_id = publish()
        genuine, asked = TikTokHook.get_connection, []

        def get(conn_id: str) -> Any:
            asked.append(conn_id)
            if len(asked) < 5:
                raise RuntimeError("the API server does not answer")
            return genuine(conn_id)

        monkeypatch.setattr(TikTokHook, "get_connection", staticmethod(get))
        assert (await first_event(trigger(publish_id)))["status"] == "PUBLISH_COMPLETE"
        assert len(asked) == 5

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("scope_not_authorized", errors.TikTokConsentError),
            ("access_token_invalid", errors.TikTokTokenError),
            ("token_not_authorized_for_specified_publish_id", errors.TikTokRequestError),
            ("a_code_of_2027", errors.TikTokRequestError),
        ],
    )
    async def test_an_answer_is_raised_in_the_task_as_it_was(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        clock: FakeClock,
        code: str,
        kind: type[TikTokError],
    ) -> None:
        publish_id = publish()
        tiktok.fault("status", action="error", code=code, message="Because.", times=None)
        event = await first_event(trigger(publish_id))
        with pytest.raises(kind) as caught:
            read_event(event)
        assert type(caught.value) is kind
        for said in (code, "Because.", "log_id 2", publish_id):
            assert said in str(caught.value)

    @pytest.mark.parametrize(
        "connection",
        [
            {"conn_type": "tiktok"},
            {"conn_type": "tiktok", "login": "k", "password": "s", "host": "http://example.com"},
            {"conn_type": "tiktok", "login": "k", "password": "s"},
        ],
        ids=["nothing in it", "no https", "no grant"],
    )
    async def test_a_broken_connection_is_raised_in_the_task_as_it_was(
        self,
        *,
        variables: FakeVariables,
        quick_tls: None,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
        connection: dict[str, Any],
    ) -> None:
        """Permanent: a sensor must not be retried for it."""
        publish_connection(monkeypatch, "tiktok_default", connection)
        event = await first_event(trigger())
        with pytest.raises(errors.TikTokConfigError):
            read_event(event)

    async def test_a_grant_that_is_dead(
        self, *, tiktok: Sandbox, publish: Callable[..., str], clock: FakeClock
    ) -> None:
        publish_id = publish()
        tiktok.remove_app("alice")
        event = await first_event(trigger(publish_id))
        with pytest.raises(errors.TikTokConsentError, match="invalid_grant"):
            read_event(event)


class TestManyInOneLoop:
    @pytest.fixture
    def minute(self) -> float:
        return 0.5

    async def test_of_one_account(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        variables: FakeVariables,
        clients: list[AsyncClient],
        hurried: None,
    ) -> None:
        tiktok.knobs.limits, tiktok.knobs.processing_seconds = False, 0.3
        publish_ids = [publish() for _ in range(10)]
        variables.reads.clear()
        events = await asyncio.gather(*(first_event(trigger(each)) for each in publish_ids * 5))
        assert [each["publish_id"] for each in events] == publish_ids * 5
        assert {each["status"] for each in events} == {"PUBLISH_COMPLETE"}
        assert len(clients) == 1
        grants = [key for key in variables.reads if key.startswith("tiktok_grant__")]
        # absence is proven by more than one read, but for all of them together
        assert len(grants) <= 10

    async def test_of_two_accounts(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        publish: Callable[..., str],
        clients: list[AsyncClient],
        hurried: None,
    ) -> None:
        publish_id = publish()
        connect("bob", conn_id="other")
        other = TikTokPublishStatusTrigger("other", publish_id)
        events = await asyncio.gather(first_event(trigger(publish_id)), first_event(other))
        assert [each["status"] for each in events] == ["PUBLISH_COMPLETE", "error"]
        assert len(clients) == 2

    async def test_cancelled(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        clients: list[AsyncClient],
        hurried: None,
    ) -> None:
        """The last one to leave closes the client, however it leaves."""
        tiktok.knobs.processing_seconds, tiktok.knobs.limits = 600.0, False
        publish_id = publish()
        tasks = [asyncio.create_task(first_event(trigger(publish_id, poll_interval=1))) for _ in range(3)]
        await asyncio.sleep(0.5)
        (client,) = clients
        for task in tasks[:2]:
            task.cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)
        assert not client.transport._client.is_closed
        tasks[2].cancel()
        await asyncio.gather(tasks[2], return_exceptions=True)
        assert client.transport._client.is_closed
        assert not hook_module._here[asyncio.get_running_loop()].hooks

    async def test_one_after_the_other(
        self, publish: Callable[..., str], clients: list[AsyncClient], hurried: None
    ) -> None:
        publish_id = publish()
        for _ in range(2):
            await first_event(trigger(publish_id))
        assert len(clients) == 2

    async def test_a_connection_that_has_changed(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        publish: Callable[..., str],
        clients: list[AsyncClient],
        hurried: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whoever comes later is served by what the Connection says now."""
        monkeypatch.setattr("airflow_provider_tiktok.auth.reading.FRESH_SECONDS", 0.0)
        publish_id = publish()
        async with TikTokHook.shared("tiktok_default") as before:
            connect("alice")
            async with TikTokHook.shared("tiktok_default") as after:
                assert after is not before
                await after.apublish_status(publish_id)


class TestInTiktoksLimits:
    """A minute is two seconds here, in which TikTok takes 30 questions."""

    @pytest.fixture
    def minute(self) -> float:
        return 2.0

    async def test_forty_of_one_account(
        self, *, tiktok: Sandbox, publish: Callable[..., str], hurried: None
    ) -> None:
        tiktok.knobs.minute, tiktok.knobs.processing_seconds = 2.0, 600.0
        publish_id = publish()
        tasks = [asyncio.create_task(first_event(trigger(publish_id, poll_interval=1))) for _ in range(40)]
        await asyncio.sleep(5.0)
        polls = [each for each in tiktok.requests if each.endpoint == "status"]
        tiktok.knobs.limits, tiktok.knobs.processing_seconds = False, 0.0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {each.status for each in polls} == {200}
        assert len(polls) >= 2 * MOST * 0.7, "and what TikTok takes is used"

    async def test_beside_other_processes(
        self, *, tiktok: Sandbox, publish: Callable[..., str], hurried: None
    ) -> None:
        """They have left a third of what TikTok takes: that is soon found out."""
        tiktok.knobs.minute, tiktok.knobs.processing_seconds = 2.0, 600.0
        tiktok.knobs.status_limit = 10
        publish_id = publish()
        tasks = [asyncio.create_task(first_event(trigger(publish_id, poll_interval=1))) for _ in range(20)]
        await asyncio.sleep(10.0)
        answers = [each.status for each in tiktok.requests if each.endpoint == "status"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert 429 in answers, "else this test shows nothing"
        assert answers.count(200) >= 2 * answers.count(429), answers
        assert answers.count(200) >= 0.5 * 10 * 10.0 / 2.0, "and half of what is left is used, or more"

    async def test_what_nobody_expected_is_raised(
        self, *, publish: Callable[..., str], hurried: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow fails the task then; the trigger must not hang."""
        publish_id = publish()

        async def call(*_: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(AsyncClient, "call", call)
        results = await asyncio.wait_for(
            asyncio.gather(*(first_event(trigger(publish_id)) for _ in range(3)), return_exceptions=True), 10
        )
        assert {type(each) for each in results} == {ZeroDivisionError}
        assert not hook_module._here[asyncio.get_running_loop()].hooks

    def test_a_triggerer_that_shuts_down(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        clients: list[AsyncClient],
        hurried: None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        tiktok.knobs.processing_seconds = 600.0
        publish_id = publish()
        caplog.clear()

        async def main() -> None:
            tasks = [asyncio.create_task(first_event(trigger(publish_id))) for _ in range(10)]
            await asyncio.sleep(0.5)
            assert tasks

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(main())
            gc.collect()
        assert len(clients) == 1
        assert [each.getMessage() for each in caplog.records if each.levelno > logging.INFO] == []

    async def test_each_logs_into_its_own_log(
        self, *, tiktok: Sandbox, publish: Callable[..., str], hurried: None
    ) -> None:
        """Airflow keeps in the context to which task's log a line belongs."""
        tiktok.knobs.limits, tiktok.knobs.processing_seconds = False, 3.0
        publish_ids = [publish() for _ in range(5)]
        whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
        logged: list[tuple[str, str]] = []

        class Kept(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                logged.append((whose.get(), record.getMessage()))

        async def wait(publish_id: str) -> None:
            whose.set(publish_id)
            await first_event(trigger(publish_id))

        logger, handler = logging.getLogger("airflow_provider_tiktok"), Kept()
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            await asyncio.gather(*(asyncio.create_task(wait(each)) for each in publish_ids))
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        told = [(owner, text) for owner, text in logged if text.startswith("Publish ")]
        assert {owner for owner, _ in told} == set(publish_ids)
        assert all(owner in text for owner, text in told)
        assert {owner for owner, text in logged if not text.startswith("Publish ")} <= {"nobody"}


class TestNeverBlocks:
    async def test_while_variables_are_slow(
        self, *, tiktok: Sandbox, publish: Callable[..., str], variables: FakeVariables, hurried: None
    ) -> None:
        publish_id = publish()
        await first_event(trigger(publish_id))
        tiktok.clock.advance(7200)
        await first_event(trigger(publish_id))
        variables.threads.clear()
        variables.slow = 1.0
        longest = await _longest_standstill(first_event(trigger(publish_id)))
        assert variables.threads, "the grant was read"
        assert threading.get_ident() not in variables.threads, "off the loop's thread"
        assert longest < STANDSTILL

    async def test_while_a_token_is_refreshed(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        variables: FakeVariables,
        hurried: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS", "0.6")  # time enough for the delay
        publish_id = publish()
        tiktok.clock.advance(7200)
        tiktok.fault("token", action="delay", seconds=1.0)
        longest = await _longest_standstill(first_event(trigger(publish_id)))
        assert endpoints_of(tiktok).count("token") == 1
        assert longest < STANDSTILL

    async def test_not_even_to_make_its_client(
        self, *, publish: Callable[..., str], hurried: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To load the certificates takes 50 ms and more; the loop is every deferred task's."""
        publish_id = publish()
        threads: set[int] = set()
        genuine = httpx.create_ssl_context

        def slow(**options: Any) -> Any:
            threads.add(threading.get_ident())
            time.sleep(1.0)
            return genuine(**options)

        monkeypatch.setattr(httpx, "create_ssl_context", slow)
        transport._certificates.cache_clear()
        longest = await _longest_standstill(first_event(trigger(publish_id)))
        assert threads
        assert threading.get_ident() not in threads
        assert longest < STANDSTILL


async def _longest_standstill(work: Any) -> float:
    """The longest time for which the loop did nothing else while this ran."""
    longest, before = 0.0, time.monotonic()
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    await task
    return longest


class TestKeepsSecrets:
    async def test_masks_nothing_and_tells_nothing(
        self,
        *,
        tiktok: Sandbox,
        publish: Callable[..., str],
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The masker of a triggerer would grow with every refresh, so no token is logged there at all."""
        publish_id = publish()
        tiktok.clock.advance(7200)
        tiktok.fault("status", action="status", status=503, times=5)
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_tiktok.auth.keeper.mask_secret", masked.append)
        caplog.clear()
        caplog.set_level(logging.DEBUG)
        made = trigger(publish_id)
        event = await first_event(made)
        assert endpoints_of(tiktok).count("token") == 1
        assert masked == []
        texts = [record.getMessage() for record in caplog.records]
        assert texts
        assert secrets_in([*texts, event, made.serialize()], tiktok.knobs.client_secret) == []
