"""The metrics, as a StatsD server receives them from tasks, and that no post fails for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok import stats
from airflow_provider_tiktok.exceptions import CODES, TikTokError, answer_error
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from airflow_provider_tiktok.stats import METRICS, Metric
from tests.airflow_tasks import FakeClock, FakeTi, context_of, first_event, resume, run, secrets_in
from tests.statsd import COMPONENTS, Statsd, homes, put_back, set_up

pytest.importorskip("statsd")

Connect = Callable[..., dict[str, Any]]
DIRECT = {"privacy_level": "PUBLIC_TO_EVERYONE"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    statsd = Statsd()
    for name, value in statsd.environment.items():
        monkeypatch.setenv(name, value)
    yield statsd
    statsd.close()


@pytest.fixture
def statsd(server: Statsd) -> Iterator[Statsd]:
    """A StatsD server to which this process sends as a task's does."""
    home = homes()[0]
    set_up(home)
    yield server
    put_back(home)


def operator(video: Path, **options: Any) -> TikTokPublishVideoOperator:
    return TikTokPublishVideoOperator(task_id="publish", video=str(video), **options)


class TestPosts:
    def test_that_are_not_waited_for(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect()
        run(operator(video, **DIRECT))
        assert statsd.counts() == {
            "tiktok.posts.sent": 1,
            "tiktok.uploaded_bytes": video.stat().st_size,
        }

    @pytest.mark.parametrize(
        ("options", "ending"), [(DIRECT, "complete"), ({"post_mode": "MEDIA_UPLOAD"}, "inbox")]
    )
    def test_that_end_well(
        self,
        *,
        statsd: Statsd,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        options: dict[str, Any],
        ending: str,
    ) -> None:
        connect()
        ti = FakeTi()
        run(operator(video, wait_for_completion=True, **options), ti)
        assert statsd.counts()[f"tiktok.posts.{ending}"] == 1
        (waited,) = statsd.milliseconds()["tiktok.waited.processing"]
        assert 4_500 <= waited < 20_000
        run(operator(video, wait_for_completion=True, **options), ti)
        assert statsd.counts()[f"tiktok.posts.{ending}"] <= 2

    @pytest.mark.parametrize(
        ("fail_reason", "ending"),
        [("frame_rate_check_failed", "frame_rate_check_failed"), ("a.new:one|c", "request")],
    )
    def test_that_fail(
        self,
        *,
        statsd: Statsd,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        fail_reason: str,
        ending: str,
    ) -> None:
        """By TikTok's code; one that is not known makes no metric of its own, whatever is in it."""
        connect()
        hook = TikTokHook()
        status = {"publish_id": "v_pub_file~1", "status": "FAILED", "fail_reason": fail_reason}
        sensor = TikTokPublishStatusSensor(task_id="wait", publish_id="v_pub_file~1")
        with pytest.raises(TikTokError):
            resume(sensor, status)
        assert statsd.counts() == {f"tiktok.posts.failed.{ending}": 1}
        hook.close()

    def test_that_are_refused(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.fault("video_init", action="error", code="spam_risk_user_banned_from_posting")
        with pytest.raises(errors.TikTokCreatorError):
            run(operator(video, **DIRECT))
        assert statsd.counts()["tiktok.posts.failed.spam_risk_user_banned_from_posting"] == 1

    def test_that_are_refused_here(self, statsd: Statsd, connect: Connect, video: Path) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError):
            run(operator(video))
        assert statsd.counts() == {"tiktok.posts.failed.input": 1}

    def test_that_nobody_can_know_of(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock
    ) -> None:
        connect()
        tiktok.fault("video_init", action="drop", when="after")
        with pytest.raises(errors.TikTokUnconfirmedError):
            run(
                TikTokPublishVideoOperator(
                    task_id="t",
                    video=f"{tiktok.url}/public/sample.mp4",
                    source="PULL_FROM_URL",
                    **DIRECT,
                )
            )
        assert statsd.counts()["tiktok.posts.unconfirmed"] == 1


class TestWaits:
    def test_at_a_limit_in_the_triggerer(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.fault("video_init", action="error", code="spam_risk_too_many_posts")
        task = operator(video, deferrable=True, **DIRECT)
        with pytest.raises(TaskDeferred) as deferred:
            run(task)
        kwargs = {**deferred.value.kwargs, "event": {"status": "released", "ticket": "t1", "after": ""}}
        kwargs["waits"] = {**kwargs["waits"], "since": kwargs["waits"]["since"] - 3600}
        task.resume_execution("execute_released", kwargs, context_of(FakeTi()))
        (waited,) = statsd.milliseconds()["tiktok.waited.day"]
        assert 3_600_000 <= waited < 3_700_000
        assert "tiktok.posts.failed.spam_risk_too_many_posts" not in statsd.counts(), "it has only waited"

    def test_at_a_limit_in_the_task(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.fault("video_init", action="error", code="rate_limit_exceeded")
        run(operator(video, **DIRECT))
        assert 25_000 <= sum(statsd.milliseconds()["tiktok.waited.minute"]) <= 70_000

    async def test_for_the_end_in_the_triggerer(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        options: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, **DIRECT}
        ti = FakeTi()
        with pytest.raises(TaskDeferred) as deferred:
            run(operator(video, **options), ti)
        event = await first_event(deferred.value.trigger)
        kwargs = {**(deferred.value.kwargs or {}), "event": event}
        operator(video, **options).resume_execution("execute_complete", kwargs, context_of(ti))
        assert statsd.counts()["tiktok.posts.complete"] == 1
        assert len(statsd.milliseconds()["tiktok.waited.processing"]) == 1

    def test_a_sensors(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        publish_id = run(operator(video, **DIRECT))
        run(TikTokPublishStatusSensor(task_id="wait", publish_id=publish_id))
        assert statsd.counts()["tiktok.posts.complete"] == 1
        assert len(statsd.milliseconds()["tiktok.waited.processing"]) == 1

    async def test_a_task_that_an_older_version_has_deferred_is_resumed(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        options: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, **DIRECT}
        ti = FakeTi()
        with pytest.raises(TaskDeferred) as deferred:
            run(operator(video, **options), ti)
        assert resume(operator(video, **options), await first_event(deferred.value.trigger), ti)


class TestRefreshes:
    def test_done(self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        TikTokHook().renew_grant()
        assert statsd.counts() == {"tiktok.refreshes.done": 1}

    def test_refused(self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        tiktok.fault("token", action="error", code="invalid_grant")
        with pytest.raises(errors.TikTokConsentError):
            TikTokHook().renew_grant()
        assert statsd.counts() == {"tiktok.refreshes.refused": 1}


def test_a_triggerer_tells_by_its_own_copy(server: Statsd) -> None:
    """From 3.2 on the one for tasks is silent there."""
    if COMPONENTS not in homes():
        pytest.skip("this Airflow has one for all")
    set_up(COMPONENTS)
    try:
        stats.count_refresh("done", "tiktok_default")
    finally:
        put_back(COMPONENTS)
    assert server.counts() == {"tiktok.refreshes.done": 1}


def test_the_connection_is_a_tag(server: Statsd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    home = homes()[0]
    set_up(home)
    try:
        stats.count_end("PUBLISH_COMPLETE", "shop_account")
    finally:
        put_back(home)
    assert server.lines == ["tiktok.posts.complete,conn_id=shop_account:1|c"]


def test_no_secrets(statsd: Statsd, tiktok: Sandbox, connect: Connect, video: Path) -> None:
    connection = connect()
    run(operator(video, **DIRECT))
    assert statsd.lines
    assert secrets_in(statsd.lines, connection["password"], connection["login"]) == []


@pytest.mark.parametrize("broken", [RuntimeError("no backend"), OSError("no route")])
def test_a_post_does_not_fail_for_a_metric(
    tiktok: Sandbox, connect: Connect, video: Path, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    def fail() -> None:
        raise broken

    connect()
    monkeypatch.setattr(stats, "_backend", fail)
    assert run(operator(video, **DIRECT))
    assert len(tiktok.publishes) == 1


def test_without_a_backend_nothing_is_told(server: Statsd) -> None:
    stats.count_sent("tiktok_default")
    assert server.lines == []


class TestNames:
    def test_the_readme_has_the_table(self) -> None:
        readme = (Path(__file__).parents[1] / "README.md").read_text()
        if "### Metrics" not in readme:
            pytest.skip("the README has no chapter on metrics")
        for name, row in METRICS.items():
            endings = ", ".join(f"`.{ending}`" for ending in row.endings) or "-"
            assert f"| `{name}` | {row.kind} | {endings} | {row.means} |" in readme

    def test_every_error_has_one_of_its_own(self) -> None:
        kinds = [each for each in vars(errors).values() if isinstance(each, type)]
        kinds = [each for each in kinds if issubclass(each, TikTokError)]
        words = {stats._reason(kind("?")) for kind in kinds}
        assert len(words) == len(kinds)
        assert all(word.replace("_", "").isalpha() for word in words)

    @pytest.mark.parametrize("code", CODES)
    def test_a_code_is_its_own_name(self, code: str) -> None:
        assert stats._reason(answer_error("x", code)) == code

    def test_the_table_has_all_that_is_told(
        self, statsd: Statsd, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        run(operator(video, wait_for_completion=True, **DIRECT))
        told = [*statsd.counts(), *statsd.milliseconds()]
        known = {
            f"{name}.{ending}" if ending else str(name)
            for name, row in METRICS.items()
            for ending in row.endings or ("",)
        }
        assert set(told) <= known
        assert set(METRICS) == set(Metric)
