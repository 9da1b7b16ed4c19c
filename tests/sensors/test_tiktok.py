"""The status sensor: when it is done, how it waits, and that it fails and times out as sensors do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.exceptions import CODES
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from tests.airflow_tasks import (
    FakeClock,
    FakeTi,
    endpoints_of,
    fail_deferral,
    first_event,
    publish_connection,
    resume,
    run,
)

Connect = Callable[..., dict[str, Any]]
START = datetime(2026, 1, 1, tzinfo=UTC)

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2
    from airflow.exceptions import AirflowRescheduleException

needs_airflow_3 = pytest.mark.skipif(
    "airflow.sdk" not in inspect.getmodule(DAG).__name__,  # type: ignore[union-attr]
    reason="Airflow 2 reads the first reschedule from its database",
)


def sensor(publish_id: object, **options: Any) -> TikTokPublishStatusSensor:
    return TikTokPublishStatusSensor(task_id="wait", publish_id=publish_id, **options)


@pytest.fixture
def publish(tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path) -> Callable[..., str]:
    """Publish something; afterwards the local TikTok's log is empty."""

    def begin(*, fail: str = "", processing: float = 0.0, moderation: float = 0.0, **options: Any) -> str:
        connect()
        tiktok.knobs.processing_seconds, tiktok.knobs.moderation_seconds = processing, moderation
        if fail:
            tiktok.fault("*", action="fail", fail_reason=fail, nth=1 if "post_mode" in options else 2)
        options = options or {"privacy_level": "PUBLIC_TO_EVERYONE"}
        publish_id = str(run(TikTokPublishVideoOperator(task_id="t", video=str(video), **options)))
        tiktok._in_loop(tiktok._world.requests.clear)
        clock.pauses.clear()
        return publish_id

    return begin


async def waited(task: TikTokPublishStatusSensor, ti: FakeTi | None = None) -> Any:
    """Run a sensor to its end, through the triggerer where it defers."""
    try:
        return run(task, ti)
    except TaskDeferred as deferred:
        return resume(task, await first_event(deferred.trigger), ti)


both = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


class TestFinishLine:
    @both
    @pytest.mark.parametrize("processing", [0.0, 100.0], ids=["at once", "later"])
    async def test_a_public_post(
        self, *, tiktok: Sandbox, publish: Callable[..., str], deferrable: bool, processing: float
    ) -> None:
        publish_id = publish(processing=processing)
        result = await waited(sensor(publish_id, deferrable=deferrable))
        (post,) = tiktok.posts
        assert result == {
            "publish_id": publish_id,
            "status": "PUBLISH_COMPLETE",
            "post_ids": [post.post_id],
            "post_url": f"https://www.tiktok.com/@alice/video/{post.post_id}",
        }
        assert all(isinstance(each, str) for each in result["post_ids"]), "19 digits are no JSON number"

    @pytest.mark.parametrize("shape", ["list", "scalar", "absent", "empty"])
    async def test_shapes_of_post_ids(self, tiktok: Sandbox, publish: Callable[..., str], shape: str) -> None:
        tiktok_id = publish()
        tiktok.knobs.post_id_shape = shape
        result = await waited(sensor(tiktok_id))
        expected = [tiktok.posts[0].post_id] if shape in ("list", "scalar") else []
        assert (result["post_ids"], bool(result["post_url"])) == (expected, bool(expected))

    @both
    async def test_a_private_post_has_no_id(self, publish: Callable[..., str], deferrable: bool) -> None:
        publish_id = publish(privacy_level="SELF_ONLY")
        result = await waited(sensor(publish_id, deferrable=deferrable))
        assert result == {
            "publish_id": publish_id,
            "status": "PUBLISH_COMPLETE",
            "post_ids": [],
            "post_url": None,
        }

    @both
    async def test_a_draft_in_the_inbox(self, publish: Callable[..., str], deferrable: bool) -> None:
        publish_id = publish(post_mode="MEDIA_UPLOAD")
        result = await waited(sensor(publish_id, deferrable=deferrable))
        assert (result["status"], result["post_ids"]) == ("SEND_TO_USER_INBOX", [])

    @both
    @pytest.mark.parametrize("option", ["wait_for_creator", "wait_for_post_id"])
    async def test_until_the_creator_has_posted(
        self,
        *,
        tiktok: Sandbox,
        clock: FakeClock,
        publish: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
        deferrable: bool,
        option: str,
    ) -> None:
        publish_id = publish(post_mode="MEDIA_UPLOAD")
        genuine = clock.sleep

        def sleep(seconds: float) -> None:
            genuine(seconds)
            if len(clock.pauses) == 4:
                tiktok.finish_draft(publish_id, posts=2)

        monkeypatch.setattr(clock, "sleep", sleep)
        result = await waited(sensor(publish_id, deferrable=deferrable, **{option: "{{ true }}"}))
        assert (result["status"], len(result["post_ids"])) == ("PUBLISH_COMPLETE", 2)
        assert len(clock.pauses) >= 4

    @both
    async def test_until_there_is_a_public_post(
        self, *, tiktok: Sandbox, publish: Callable[..., str], deferrable: bool
    ) -> None:
        publish_id = publish(moderation=200.0)
        result = await waited(sensor(publish_id, deferrable=deferrable, wait_for_post_id=True))
        assert result["post_ids"] == [tiktok.posts[0].post_id]

    async def test_without_waiting_for_it(self, publish: Callable[..., str]) -> None:
        publish_id = publish(moderation=200.0)
        result = await waited(sensor(publish_id))
        assert (result["status"], result["post_ids"], result["post_url"]) == ("PUBLISH_COMPLETE", [], None)

    async def test_the_address_is_no_reason_to_fail(
        self, tiktok: Sandbox, publish: Callable[..., str]
    ) -> None:
        publish_id = publish()
        tiktok.fault("creator_info", action="error", code="spam_risk_too_many_posts", status=200)
        result = await waited(sensor(publish_id))
        assert (len(result["post_ids"]), result["post_url"]) == (1, None)


class TestFails:
    @both
    @pytest.mark.parametrize(
        "reason", ["file_format_check_failed", "internal", "spam_risk_text", "new_reason"]
    )
    async def test_a_publish_that_failed(
        self, *, publish: Callable[..., str], deferrable: bool, reason: str
    ) -> None:
        publish_id = publish(fail=reason, processing=50.0)
        expected = CODES[reason].error if reason in CODES else errors.TikTokRequestError
        with pytest.raises(expected) as caught:
            await waited(sensor(publish_id, deferrable=deferrable))
        for said in (publish_id, reason, "log_id 2", "What to do"):
            assert said in str(caught.value)

    @both
    async def test_another_creators_publish(
        self, *, connect: Connect, publish: Callable[..., str], deferrable: bool
    ) -> None:
        publish_id = publish()
        connect("bob")
        with pytest.raises(errors.TikTokRequestError, match="token_not_authorized_for_specified"):
            await waited(sensor(publish_id, deferrable=deferrable))

    @both
    async def test_a_publish_id_that_stays_unknown(
        self, *, connect: Connect, clock: FakeClock, deferrable: bool
    ) -> None:
        """In the first minute it may only be too young."""
        connect()
        with pytest.raises(errors.TikTokRequestError, match="invalid_publish_id"):
            await waited(sensor("v_pub_file~v2-1.1", deferrable=deferrable))
        assert 60 <= sum(clock.pauses) <= 180

    @both
    async def test_a_publish_id_that_is_not_known_yet(
        self, *, tiktok: Sandbox, publish: Callable[..., str], deferrable: bool
    ) -> None:
        publish_id = publish()
        tiktok.knobs.publish_id_delay = 40.0
        assert (await waited(sensor(publish_id, deferrable=deferrable)))["status"] == "PUBLISH_COMPLETE"

    @pytest.mark.parametrize("publish_id", ["", "  ", None, "None", "{{ none }}"])
    @both
    def test_no_publish_id(
        self, tiktok: Sandbox, connect: Connect, publish_id: object, deferrable: bool
    ) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match="publish_id is empty") as caught:
            run(sensor(publish_id, deferrable=deferrable))
        assert isinstance(caught.value, AirflowFailException)
        assert endpoints_of(tiktok) == []

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("wait_for_creator", "x"),
            ("wait_for_post_id", 7),
            ("deferrable", "perhaps"),
            ("poll_interval", "soon"),
            ("poll_interval", 0),
            ("poll_interval", -5),
        ],
    )
    def test_arguments(self, tiktok: Sandbox, connect: Connect, option: str, value: object) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match=option):
            run(sensor("p", **{option: value}))
        assert endpoints_of(tiktok) == []

    @both
    @pytest.mark.parametrize(
        "event",
        [
            None,
            7,
            {},
            {"publish_id": "p"},
            {"publish_id": "p", "status": "success"},
            {"publish_id": "p", "status": {}},
            {"publish_id": "p", "status": "PROCESSING_UPLOAD"},
        ],
        ids=str,
    )
    def test_an_event_that_is_none_of_ours(self, event: object, deferrable: bool) -> None:
        with pytest.raises(errors.TikTokProtocolError, match="trigger ended"):
            resume(sensor("p", deferrable=deferrable), event)


class TestWaits:
    @both
    @pytest.mark.parametrize("trouble", [429, 503, "drop", "garbage"])
    async def test_trouble_with_the_status_is_no_failure_of_the_post(
        self, *, tiktok: Sandbox, publish: Callable[..., str], trouble: int | str, deferrable: bool
    ) -> None:
        publish_id = publish()
        fault = {"action": "status", "status": trouble} if isinstance(trouble, int) else {"action": trouble}
        tiktok.fault("status", times=15, **fault)
        assert (await waited(sensor(publish_id, deferrable=deferrable)))["status"] == "PUBLISH_COMPLETE"

    async def test_no_connection_to_tiktok(
        self,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection = {**connect(), "host": "http://127.0.0.1:9"}
        publish_connection(monkeypatch, "tiktok_default", connection)
        with pytest.raises(AirflowSensorTimeout):
            await waited(sensor("p", timeout=120))

    @pytest.mark.parametrize("interval", [30.0, 12, "12", "{{ params.seconds }}"])
    def test_pauses_grow_to_the_poll_interval(
        self, clock: FakeClock, publish: Callable[..., str], interval: Any
    ) -> None:
        """By the means that sensors have for it, whether it was given as a number or rendered."""
        publish_id = publish(processing=400.0)
        run(sensor(publish_id, poll_interval=interval), params={"seconds": 12})
        longest = 30 if interval == 30.0 else 12
        assert clock.pauses[0] <= 6
        assert max(clock.pauses) == longest
        assert clock.pauses[-2] == longest

    @pytest.mark.parametrize("by", ["argument", "default_args"])
    def test_a_poke_interval_of_the_users_goes_before(
        self, clock: FakeClock, publish: Callable[..., str], by: str
    ) -> None:
        publish_id = publish(processing=300.0)
        own = {"poke_interval": 77} if by == "argument" else {"default_args": {"poke_interval": 77}}
        run(sensor(publish_id, **own))
        assert set(clock.pauses) == {77}

    def test_the_dags_default_args_go_before(self, clock: FakeClock, publish: Callable[..., str]) -> None:
        publish_id = publish(processing=300.0)
        with DAG("d", schedule=None, start_date=START, default_args={"poke_interval": 77}):
            task = sensor(publish_id)
        run(task)
        assert set(clock.pauses) == {77}

    def test_defers_with_what_was_asked_for(self, tiktok: Sandbox, publish: Callable[..., str]) -> None:
        publish_id = publish(processing=500.0)
        options = {"wait_for_creator": "True", "wait_for_post_id": "{{ false }}", "poll_interval": "12.5"}
        with pytest.raises(TaskDeferred) as deferred:
            run(sensor(publish_id, deferrable="{{ true }}", timeout=3600, **options))
        assert deferred.value.timeout == timedelta(hours=1), "the deadline lives in the deferral"
        path, kwargs = deferred.value.trigger.serialize()
        assert path == "airflow_provider_tiktok.triggers.tiktok.TikTokPublishStatusTrigger"
        assert kwargs == {
            "tiktok_conn_id": "tiktok_default",
            "publish_id": publish_id,
            "poll_interval": 12.5,
            "wait_for_creator": True,
            "wait_for_post_id": False,
        }
        assert endpoints_of(tiktok) == ["status"], "it looks once before"

    def test_a_publish_that_is_over_never_defers(self, publish: Callable[..., str]) -> None:
        assert run(sensor(publish(), deferrable=True))["status"] == "PUBLISH_COMPLETE"

    @needs_airflow_3
    def test_reschedule(self, publish: Callable[..., str], clock: FakeClock, tiktok: Sandbox) -> None:
        publish_id = publish(processing=50.0)
        task = sensor(publish_id, mode="reschedule")
        with pytest.raises(AirflowRescheduleException):
            run(task)
        tiktok.clock.advance(60)
        assert run(sensor(publish_id, mode="reschedule"))["status"] == "PUBLISH_COMPLETE"

    @needs_airflow_3
    @pytest.mark.parametrize("minutes", [0, 2])
    def test_rescheduled_for_a_publish_that_stays_unknown(
        self, connect: Connect, clock: FakeClock, minutes: int
    ) -> None:
        """Each look is a process of its own: the first minute counts from the first of them."""
        connect()
        ti = FakeTi()
        ti.first_reschedule = datetime.now(UTC) - timedelta(minutes=minutes) if minutes else None
        expected = errors.TikTokRequestError if minutes else AirflowRescheduleException
        with pytest.raises(expected):
            run(sensor("v_pub_file~v2-1.1", mode="reschedule"), ti)


class TestTimesOut:
    def test_while_poking(self, publish: Callable[..., str], clock: FakeClock) -> None:
        publish_id = publish(processing=5000.0)
        with pytest.raises(AirflowSensorTimeout):
            run(sensor(publish_id, timeout=300))
        assert 300 <= sum(clock.pauses) <= 340

    @pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger/execution timeout"])
    def test_while_deferred(self, reason: str) -> None:
        """In the words of Airflow 3 and 2; as an AirflowSensorTimeout it is not retried."""
        try:
            with pytest.raises(AirflowSensorTimeout):
                fail_deferral(sensor("p", deferrable=True), reason)
        except AirflowSkipException:
            pytest.fail("neither soft_fail nor never_fail is set")

    @pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
    @pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger failure"])
    def test_while_deferred_skips(self, option: str, reason: str) -> None:
        with pytest.raises(AirflowSkipException):
            fail_deferral(sensor("p", deferrable=True, **{option: True}), reason)

    def test_a_trigger_that_fails(self) -> None:
        with pytest.raises(AirflowException, match="Trigger failure") as caught:
            fail_deferral(sensor("p", deferrable=True), "Trigger failure")
        assert not isinstance(caught.value, AirflowSensorTimeout | AirflowSkipException)


class TestFailsSoftly:
    @both
    @pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
    @pytest.mark.parametrize("processing", [0.0, 50.0], ids=["at the first look", "later"])
    async def test_a_publish_that_failed_for_good(
        self, *, publish: Callable[..., str], option: str, deferrable: bool, processing: float
    ) -> None:
        publish_id = publish(fail="spam_risk_text", processing=processing)
        with pytest.raises(AirflowSkipException):
            await waited(sensor(publish_id, deferrable=deferrable, **{option: True}))

    @pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
    def test_an_event_that_is_none_of_ours(self, option: str) -> None:
        with pytest.raises(AirflowSkipException):
            resume(sensor("p", deferrable=True, **{option: True}), None)

    @both
    async def test_a_post_that_is_out_is_no_skip(
        self, *, publish: Callable[..., str], deferrable: bool
    ) -> None:
        publish_id = publish(processing=50.0)
        result = await waited(sensor(publish_id, deferrable=deferrable, soft_fail=True))
        assert result["status"] == "PUBLISH_COMPLETE"


class TestAsAirflowSeesIt:
    def test_every_argument_is_templated(self) -> None:
        named = set(inspect.signature(TikTokPublishStatusSensor.__init__).parameters) - {"self", "kwargs"}
        assert set(TikTokPublishStatusSensor.template_fields) == named

    def test_needs_nothing_but_a_publish_id(self) -> None:
        task = sensor("p")
        assert {name: getattr(task, name) for name in task.template_fields} == {
            "publish_id": "p",
            "wait_for_creator": False,
            "wait_for_post_id": False,
            "poll_interval": 30.0,
            "deferrable": False,
            "tiktok_conn_id": "tiktok_default",
        }

    def test_can_be_mapped_over_publishes(self) -> None:
        with DAG("d", schedule=None, start_date=START) as dag:
            many = TikTokPublishVideoOperator.partial(task_id="many", privacy_level="SELF_ONLY").expand(
                video=["a.mp4", "b.mp4"]
            )
            TikTokPublishStatusSensor.partial(task_id="wait", deferrable=True).expand(publish_id=many.output)
        assert dag.task_dict["wait"].upstream_task_ids == {"many"}

    def test_an_account_of_its_own(
        self, *, tiktok: Sandbox, connect: Connect, publish: Callable[..., str], video: Path
    ) -> None:
        publish()
        connect("bob", conn_id="other")
        options = {"privacy_level": "SELF_ONLY", "tiktok_conn_id": "other"}
        another = FakeTi()
        another.run_id = "another"
        publish_id = run(TikTokPublishVideoOperator(task_id="t", video=str(video), **options), another)
        result = run(sensor(publish_id, tiktok_conn_id="{{ params.who }}"), params={"who": "other"})
        assert result["status"] == "PUBLISH_COMPLETE"
