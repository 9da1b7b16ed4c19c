"""A task posts once: what it does about what an earlier try, or an earlier run of it, has left."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api import upload
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.publishing import turn
from airflow_provider_tiktok.publishing.ledger import Fence, Ledger, Record, Stage, open_ledger
from airflow_provider_tiktok.publishing.ownership import publish_pace
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import (
    FakeClock,
    FakeTi,
    FakeVariables,
    context_of,
    executed,
    inits_of,
    let_go,
    longer,
    resume,
    run,
)

Connect = Callable[..., dict[str, Any]]

DIRECT = {"privacy_level": "PUBLIC_TO_EVERYONE"}
MINUTES = 60.0


def operator(video: object, **options: Any) -> TikTokPublishVideoOperator:
    return TikTokPublishVideoOperator(task_id="publish", video=str(video), **{**DIRECT, **options})


def pull(tiktok: Sandbox, **options: Any) -> TikTokPublishVideoOperator:
    return operator(f"{tiktok.url}/public/sample.mp4", source="PULL_FROM_URL", **options)


def cleared(ti: FakeTi) -> FakeTi:
    """What Airflow makes of a task instance that a person clears."""
    ti.max_tries = ti.try_number + 1
    ti.try_number += 1
    return ti


def another() -> FakeTi:
    """A task instance of another run."""
    ti = FakeTi()
    ti.run_id = "another"
    return ti


def publishes(tiktok: Sandbox) -> int:
    return len(tiktok.publishes)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have a worker end, as if killed, just before it sends its nth range; 0 = no more."""
    genuine = upload.Upload._put

    def end_before(range_: int) -> None:
        def put(self: upload.Upload, index: int, *rest: Any) -> Any:
            if index == range_ - 1:
                raise AirflowTaskTimeout("the worker is gone")
            return genuine(self, index, *rest)

        monkeypatch.setattr(upload.Upload, "_put", put)

    return end_before


@pytest.fixture
def sealed(
    tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, cut: Callable[[int], None]
) -> TikTokPublishVideoOperator:
    """A task whose first try has ended after its mark that the last range may be sent, before that was."""
    connect()
    task = operator(video, wait_for_completion=True)
    cut(1)
    with pytest.raises(AirflowTaskTimeout):
        run(task)
    cut(0)
    return task


class TestPosted:
    def test_a_cleared_task_posts_nothing_more(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        task = operator(video, wait_for_completion=True)
        first, told = run(task, ti), ti.xcoms["publish_status"]
        ti.xcoms.clear()
        assert run(task, cleared(ti)) == first
        assert (publishes(tiktok), ti.xcoms["publish_status"]) == (1, told)

    def test_a_person_may_want_another_one(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        task = operator(video, wait_for_completion=True, if_published="republish")
        first = run(task, ti)
        assert run(task, ti) == first, "a retry is no wish"
        assert run(task, cleared(ti)) != first
        assert run(task, ti) != first, "and a retry of the second goes on with the second"
        assert publishes(tiktok) == 2

    def test_other_arguments_are_named(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        first = run(operator(video, wait_for_completion=True, title="Old"), ti)
        with pytest.raises(errors.TikTokInputError, match="title") as caught:
            run(operator(video, wait_for_completion=True, title="New", poll_interval=3), cleared(ti))
        for said in (str(first), "if_published"):
            assert said in str(caught.value)
        assert "poll_interval" not in str(caught.value), "how it is waited is no part of the post"
        assert publishes(tiktok) == 1

    def test_where_tiktok_cannot_be_asked_the_record_is_enough(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        task = operator(video, wait_for_completion=True)
        first = run(task, ti)
        tiktok.knobs.publish_id_seconds = 1.0
        assert run(task, ti) == first
        assert ti.xcoms["publish_status"]["status"] == "PUBLISH_COMPLETE"

    @pytest.mark.parametrize("option", ["if_published", "if_unconfirmed"])
    def test_a_word_nobody_knows(self, connect: Connect, video: Path, option: str) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match=option):
            run(operator(video, **{option: "perhaps"}))


class TestRefused:
    def test_a_person_has_mended_it(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        """What TikTok has failed for good is made anew once the task was cleared, and not before."""
        connect()
        ti = FakeTi()
        tiktok.fault("video_init", action="fail", fail_reason="file_format_check_failed")
        task = operator(video, wait_for_completion=True)
        for _ in range(2):
            with pytest.raises(errors.TikTokMediaRefusedError, match="file_format_check_failed"):
                run(task, ti)
        assert publishes(tiktok) == 1
        run(task, cleared(ti))
        assert (publishes(tiktok), len(tiktok.posts)) == (2, 1)

    def test_a_pull_that_was_refused(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        ti = FakeTi()
        tiktok.fault("video_init", action="error", code="url_ownership_unverified")
        for _ in range(2):
            with pytest.raises(errors.TikTokAppError, match="url_ownership_unverified"):
                run(pull(tiktok), ti)
        assert len(inits_of(tiktok)) == 1
        run(pull(tiktok), cleared(ti))
        assert publishes(tiktok) == 1

    def test_a_token_that_was_refused_is_no_refusal_of_the_post(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock
    ) -> None:
        connect()
        tiktok.fault("video_init", action="error", code="access_token_invalid", times=2)
        with pytest.raises(errors.TikTokTokenError):
            run(pull(tiktok))
        run(pull(tiktok))
        assert publishes(tiktok) == 1


class TestUnconfirmed:
    def test_a_person_has_looked(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        ti = FakeTi()
        tiktok.fault("video_init", action="drop", when="after")
        with pytest.raises(errors.TikTokUnconfirmedError) as caught:
            run(pull(tiktok), ti)
        for said in ("profile", "if_unconfirmed", "UTC"):
            assert said in str(caught.value)
        with pytest.raises(errors.TikTokUnconfirmedError):
            run(pull(tiktok), cleared(ti))
        assert publishes(tiktok) == 1, "that it was cleared is no answer"
        run(pull(tiktok, if_unconfirmed="republish"), cleared(ti))
        assert publishes(tiktok) == 2

    def test_another_way_is_no_way_around_it(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        """An upload would be made anew; but what was begun was a pull, which may be posted."""
        connect()
        ti = FakeTi()
        tiktok.fault("video_init", action="drop", when="after")
        for task in (pull(tiktok), operator(video), operator(video)):
            with pytest.raises(errors.TikTokUnconfirmedError):
                run(task, ti)
        assert publishes(tiktok) == 1

    def test_a_record_that_cannot_be_kept_names_the_publish(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, variables: FakeVariables
    ) -> None:
        connect()
        genuine = variables.set

        def set_(key: str, value: str) -> None:
            if "v_pub_url" in value:
                raise RuntimeError("the metadata database does not answer")
            genuine(key, value)

        variables.set = set_  # type: ignore[method-assign]
        with pytest.raises(errors.TikTokUnconfirmedError, match="v_pub_url~"):
            run(pull(tiktok))
        variables.set = genuine  # type: ignore[method-assign]
        with pytest.raises(errors.TikTokUnconfirmedError):
            run(pull(tiktok))
        assert publishes(tiktok) == 1


class TestGoesOn:
    def test_with_the_same_publish(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        tmp_path: Path,
        cut: Callable[[int], None],
    ) -> None:
        connect()
        large = longer(video, 70_000_000, tmp_path / "large.mp4")
        task = operator(large, chunk_size=32_000_000)
        cut(3)  # the mark that it may be sent is made by then
        with pytest.raises(AirflowTaskTimeout):
            run(task)
        cut(0)
        first = tiktok.publishes[0].publish_id
        assert run(operator(large, chunk_size=10_000_000)) == first, "cut as the first try has cut it"
        assert (publishes(tiktok), len(tiktok.posts)) == (1, 1)
        assert [each.endpoint for each in tiktok.requests].count("upload") == 3

    def test_the_address_does_not_outlive_the_upload(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, variables: FakeVariables
    ) -> None:
        assert [key for key in variables.values if key.startswith("tiktok_upload")]
        run(sealed)
        assert not [key for key in variables.values if key.startswith("tiktok_upload")]
        assert publishes(tiktok) == 1

    def test_with_a_text_that_cannot_be_changed_any_more(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, video: Path
    ) -> None:
        run(operator(video, title="Late"))
        assert (publishes(tiktok), tiktok.posts[0].title) == (1, "")

    def test_not_with_another_video(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, video: Path, tmp_path: Path
    ) -> None:
        other = longer(video, video.stat().st_size + 100, tmp_path / "other.mp4")
        with pytest.raises(errors.TikTokInputError, match="under way with other media"):
            run(operator(other))
        assert (publishes(tiktok), tiktok.posts) == (1, [])

    def test_not_with_a_file_that_has_changed(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        tmp_path: Path,
        cut: Callable[[int], None],
    ) -> None:
        connect()
        path = tmp_path / "render.mp4"
        path.write_bytes(video.read_bytes())
        cut(1)
        with pytest.raises(AirflowTaskTimeout):
            run(operator(path))
        cut(0)
        longer(video, video.stat().st_size + 100, path)
        # the last range may have been sent: that of another file never is, and only the status can tell
        run(operator(path))
        assert (publishes(tiktok), tiktok.posts) == (1, [])

    def test_an_upload_that_nobody_has_finished_is_given_up(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, clock: FakeClock
    ) -> None:
        """Its address lives an hour; ten minutes more are waited where the last range may have been sent."""
        clock.sleep(81 * MINUTES)
        run(sealed)
        assert (publishes(tiktok), len(tiktok.posts)) == (2, 1)

    def test_an_upload_of_which_nothing_is_told_is_never_given_up(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, clock: FakeClock
    ) -> None:
        tiktok.knobs.tell_progress = False
        clock.sleep(81 * MINUTES)
        with pytest.raises(errors.TikTokUnconfirmedError):
            run(sealed)
        assert publishes(tiktok) == 1

    def test_a_task_that_waits_looks_again_when_it_can_be_given_up(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, clock: FakeClock
    ) -> None:
        tiktok.fault("upload", action="status", status=503, times=7)
        clock.sleep(50 * MINUTES)
        run(sealed)
        assert (publishes(tiktok), len(tiktok.posts)) == (2, 1)

    def test_another_account_is_another_creators(
        self, tiktok: Sandbox, sealed: TikTokPublishVideoOperator, connect: Connect, video: Path
    ) -> None:
        connect("bob")
        with pytest.raises(errors.TikTokRequestError, match="token_not_authorized"):
            run(operator(video))
        connect("alice")
        run(operator(video))
        assert publishes(tiktok) == 1, "the record was kept"

    def test_what_tiktok_has_forgotten_was_posted(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, caplog: Any
    ) -> None:
        connect()
        first = run(operator(video))
        clock.sleep(25 * 3600.0)
        tiktok.knobs.publish_id_seconds = 3600.0
        assert run(operator(video)) == first
        assert publishes(tiktok) == 1
        assert "taken for posted" in caplog.text


class TestFrozen:
    def test_a_late_record_does_not_hide_what_was_sent(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, variables: FakeVariables
    ) -> None:
        """A process that was frozen just before it wrote its record may write it over its successor's."""
        connect()
        first = run(operator(video, wait_for_completion=True))
        (name,) = [key for key in variables.values if key.startswith("tiktok_post") and key.endswith("__1")]
        late = {
            **json.loads(variables.values[name]),
            "stage": "publish",
            "publish_id": "late",
            "submitted": 0,
        }
        variables.values[name] = json.dumps(late)
        clock.sleep(90 * MINUTES)
        assert run(operator(video, wait_for_completion=True)) == first
        assert publishes(tiktok) == 1

    @pytest.mark.parametrize("answered", [True, False], ids=["in time", "never"])
    def test_an_init_that_is_under_way_is_waited_for(
        self, *, tiktok: Sandbox, connect: Connect, variables: FakeVariables, answered: bool
    ) -> None:
        """Airflow may run a task twice: the second process does not take the first for a dead one."""
        connect()
        ledger = open_ledger(context_of())
        intent = ledger.write(Record(1, Stage.INTENT, began=time.time(), fence=Fence.NONE))
        live = {"nonce": "n", "stamp": time.time(), "guards": ""}
        variables.values[ledger.claim_key(1)] = json.dumps(live)
        publish_id = run(pull(tiktok), another())

        def answer() -> None:
            ledger.write(replace(intent, stage=Stage.SUBMITTED, publish_id=str(publish_id), submitted=1.0))

        timer = threading.Timer(1.0, answer)
        if answered:
            timer.start()
        try:
            with contextlib.nullcontext() if answered else pytest.raises(errors.TikTokUnconfirmedError):
                assert run(pull(tiktok)) == publish_id
        finally:
            timer.cancel()
        assert publishes(tiktok) == 1

    @pytest.mark.parametrize("where", ["in its turn", "before its intent"])
    def test_a_pull_that_thaws_makes_no_second_one(
        self,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
        where: str,
    ) -> None:
        """While one process is frozen, another one of its task posts; what it says must not be undone."""
        connect(rate_window=0.2)
        made: list[str | None] = []

        def freeze() -> None:
            if not made:
                made.append(None)
                clock.sleep(10 * MINUTES)
                made[0] = run(pull(tiktok, wait_for_completion=True))

        def waits(*_: object) -> None:
            freeze()

        def writes(self: Ledger, record: Record) -> Record:
            if record.stage is Stage.INTENT:
                freeze()
            return genuine(self, record)

        genuine = Ledger.write
        if where == "in its turn":
            monkeypatch.setattr(turn, "_wait_for_room", waits)
            assert run(pull(tiktok, wait_for_completion=True)) == made[0]
        else:
            monkeypatch.setattr(Ledger, "write", writes)
            with pytest.raises(errors.TikTokStoreError, match="another one of this task may have"):
                run(pull(tiktok, wait_for_completion=True))
            # what the other has noted is lost with it: then it is unknown, and never "nothing was sent"
            with pytest.raises(errors.TikTokUnconfirmedError):
                run(pull(tiktok, wait_for_completion=True))
        assert made[0]
        assert publishes(tiktok) == 1


class TestHungPulls:
    def test_fails_so_that_it_is_retried(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        tiktok.knobs.hang_pulls, tiktok.knobs.pull_timeout = True, 10 * 3600.0
        with pytest.raises(errors.TikTokUnfinishedError, match="replace_hung_pull") as caught:
            run(pull(tiktok, wait_for_completion=True))
        assert not isinstance(caught.value, AirflowFailException)
        assert 74 * MINUTES <= sum(clock.pauses) <= 77 * MINUTES

    def test_is_cancelled_and_made_anew(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        tiktok.knobs.hang_pulls, tiktok.knobs.pull_timeout = True, 10 * 3600.0
        slept = clock.sleep

        def sleep(seconds: float) -> None:
            slept(seconds)
            if publishes(tiktok) == 1 and tiktok.publishes[0].status == "FAILED":
                tiktok.knobs.hang_pulls = False

        clock.sleep = sleep  # type: ignore[method-assign]
        run(pull(tiktok, wait_for_completion=True, replace_hung_pull=True))
        assert [each.fail_reason for each in tiktok.publishes] == ["publish_cancelled", ""]
        assert len(tiktok.posts) == 1


class TestKilled:
    def test_a_pull_is_cancelled_if_that_is_asked_for(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock
    ) -> None:
        connect()
        tiktok.knobs.hang_pulls = True
        for cancel, status in ((False, "PROCESSING_DOWNLOAD"), (True, "FAILED")):
            task, ti = pull(tiktok, wait_for_completion=True, cancel_on_kill=cancel), FakeTi()
            ti.run_id = f"run {cancel}"
            slept = clock.sleep

            def killed(seconds: float, task: Any = task, slept: Any = slept) -> None:
                if seconds < 2:
                    slept(seconds)
                    return
                task.on_kill()
                raise AirflowTaskTimeout("the task was ended by a person")

            clock.sleep = killed  # type: ignore[method-assign]
            with pytest.raises(AirflowTaskTimeout):
                run(task, ti)
            clock.sleep = slept  # type: ignore[method-assign]
            assert tiktok.publishes[-1].status == status
        tiktok.knobs.hang_pulls = False
        run(task, ti)
        assert tiktok.publishes[-1].status == "PUBLISH_COMPLETE", "what we have cancelled is made anew"


class TestLimits:
    def test_a_days_cap_is_retried_by_airflow(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.knobs.post_cap = 1
        run(operator(video))
        with pytest.raises(errors.TikTokCapError) as caught:
            run(operator(video), another())
        assert not isinstance(caught.value, AirflowFailException)
        assert len(inits_of(tiktok)) == 1, "creator_info tells, and costs no init"

    @pytest.mark.parametrize(
        ("code", "limit", "options"),
        [
            ("rate_limit_exceeded", "minute", {}),
            ("spam_risk_too_many_posts", "day", {}),
            ("reached_active_user_cap", "day", {}),
            (
                "spam_risk_too_many_pending_share",
                "drafts",
                {"post_mode": "MEDIA_UPLOAD", "privacy_level": None},
            ),
        ],
    )
    @pytest.mark.parametrize("pulled", [False, True], ids=["upload", "pull"])
    def test_a_deferrable_task_waits_in_the_triggerer(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        code: str,
        limit: str,
        options: dict[str, Any],
        pulled: bool,
    ) -> None:
        """No retry is used, and the task that comes back does not take itself for a lost one."""
        connect()
        endpoint = "inbox_init" if options else "video_init"
        tiktok.fault(endpoint, action="error", code=code)
        made = (
            pull(tiktok, deferrable=True, **options)
            if pulled
            else operator(video, deferrable=True, **options)
        )
        with pytest.raises(TaskDeferred) as deferred:
            run(made)
        trigger, kwargs = deferred.value.trigger, deferred.value.kwargs
        assert (type(trigger).__name__, trigger.limit) == ("TikTokPaceTrigger", limit)
        assert deferred.value.timeout is None
        event = {"status": "released", "ticket": "t1", "after": ""}
        context = context_of(FakeTi())
        assert made.resume_execution("execute_released", {**kwargs, "event": event}, context)
        assert len(tiktok.publishes) == 1

    @pytest.mark.parametrize(
        ("code", "options"),
        [
            ("spam_risk_too_many_posts", {}),
            ("spam_risk_too_many_pending_share", {"post_mode": "MEDIA_UPLOAD", "privacy_level": None}),
        ],
    )
    def test_an_init_refused_after_its_claim_keeps_nobody_waiting(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        variables: FakeVariables,
        clock: FakeClock,
        video: Path,
        code: str,
        options: dict[str, Any],
    ) -> None:
        """The claim is made while the turn comes; one that guards nothing would have to die first."""
        connect()
        endpoint = "inbox_init" if options else "video_init"
        tiktok.fault(endpoint, action="error", code=code)
        made, ti = operator(video, deferrable=True, **options), FakeTi()
        released = {"event": {"status": "released", "ticket": "t1", "after": ""}, "place": None}
        with pytest.raises(TaskDeferred) as again:
            made.resume_execution("execute_released", released, context_of(ti))
        (refused,) = open_ledger(context_of(ti)).latest()
        assert (refused.stage, refused.code) == (Stage.REFUSED, code)
        ahead = clock.ahead
        event = {"status": "released", "ticket": "t2", "after": ""}
        made.resume_execution("execute_released", {**again.value.kwargs, "event": event}, context_of(ti))
        assert clock.ahead - ahead < publish_pace(open_ledger(context_of(ti))).ttl / 2
        assert [each.generation for each in open_ledger(context_of(ti)).latest()] == [1, 2]
        assert publishes(tiktok) == 1

    def test_keeps_its_place(self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path) -> None:
        connect()
        tiktok.fault("video_init", action="error", code="rate_limit_exceeded", times=2)
        made = operator(video, deferrable=True)
        with pytest.raises(TaskDeferred) as first:
            run(made)
        event = {"status": "released", "ticket": "t1", "after": ""}
        with pytest.raises(TaskDeferred) as second:
            made.resume_execution(
                "execute_released", {**first.value.kwargs, "event": event}, context_of(FakeTi())
            )
        assert first.value.kwargs["place"] == second.value.kwargs["place"]

    @pytest.mark.parametrize("map_index", [-1, 0, 1])
    def test_who_may_have_company_asks_first(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, map_index: int
    ) -> None:
        connect()
        ti = FakeTi()
        ti.map_index = map_index
        expected = pytest.raises(TaskDeferred) if map_index >= 0 else contextlib.nullcontext()
        with expected:
            run(operator(video, deferrable=True), ti)
        assert publishes(tiktok) == (0 if map_index >= 0 else 1)

    def test_a_task_of_a_backlog_queues_with_its_record_unread(
        self, connect: Connect, variables: FakeVariables, video: Path
    ) -> None:
        """Ninety of them at once would prove to Airflow's API server ninety times that there is none."""
        connect()
        ti = FakeTi()
        ti.map_index = 1
        with pytest.raises(TaskDeferred):
            run(operator(video, deferrable=True), ti)
        assert variables.reads == []

    def test_a_task_that_is_let_go_is_soon_at_its_init(
        self,
        tiktok: Sandbox,
        connect: Connect,
        variables: FakeVariables,
        monkeypatch: pytest.MonkeyPatch,
        video: Path,
    ) -> None:
        """One look at its record, one at the grant: what has to be proven is proven as its bytes travel."""
        connect()
        ti = FakeTi()
        ti.map_index = 1
        genuine, waited_for = variables.get, []

        def get(key: str) -> str:
            if threading.current_thread().name != "tiktok-claim":
                waited_for.append(key.partition("__")[0])
            return genuine(key)

        monkeypatch.setattr(variables, "get", get)
        tiktok.fault("creator_info", action="error", code="invalid_params")
        with pytest.raises(errors.TikTokAnswerError, match="invalid_params"):
            let_go(operator(video, deferrable=True), ti)
        assert waited_for[: waited_for.index("tiktok_pace")] == ["tiktok_post", "tiktok_grant"]

    def test_creator_infos_refusal_after_a_claim_keeps_nobody_waiting(
        self, tiktok: Sandbox, connect: Connect, variables: FakeVariables, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        ti.map_index = 1
        tiktok.fault("creator_info", action="error", code="spam_risk_too_many_posts")
        with pytest.raises(TaskDeferred):
            let_go(operator(video, deferrable=True), ti)
        (refused,) = open_ledger(context_of(ti)).latest()
        assert (refused.stage, refused.code) == (Stage.REFUSED, "spam_risk_too_many_posts")
        ahead = clock.ahead
        let_go(operator(video, deferrable=True), ti)
        assert clock.ahead - ahead < publish_pace(open_ledger(context_of(ti))).ttl / 2
        assert publishes(tiktok) == 1

    @pytest.mark.parametrize("pulled", [False, True], ids=["upload", "pull"])
    def test_a_look_that_was_wrong_posts_nothing_twice(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        variables: FakeVariables,
        monkeypatch: pytest.MonkeyPatch,
        video: Path,
        pulled: bool,
    ) -> None:
        connect()
        ti = FakeTi()
        ti.map_index = 1
        task = pull(tiktok, deferrable=True) if pulled else operator(video, deferrable=True)
        publish_id = let_go(task, ti)
        hidden = iter([True])
        genuine = variables.get

        def get(key: str) -> str:
            if key.startswith("tiktok_post__") and key.endswith("__1") and next(hidden, False):
                raise KeyError(key)
            return genuine(key)

        monkeypatch.setattr(variables, "get", get)
        assert let_go(task, ti) == publish_id
        assert next(hidden, None) is None, "the record was looked at"
        assert publishes(tiktok) == (1 if pulled else 2), "an upload's init posts nothing"
        end = time.monotonic() + 10.0
        while not tiktok.posts and time.monotonic() < end:  # TikTok pulls in a time of its own
            time.sleep(0.01)
        assert len(tiktok.posts) == 1

    def test_a_retry_of_a_backlog_reads_its_record_first(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        ti.map_index = 1
        publish_id = run(operator(video), ti)
        ti.try_number = 2
        assert run(operator(video, deferrable=True), ti) == publish_id
        assert publishes(tiktok) == 1

    def test_a_turn_that_will_not_come(self, connect: Connect, video: Path) -> None:
        connect()
        event = {
            "status": "error",
            "error": "TikTokAnswerError",
            "code": "scope_not_authorized",
            "message": "no",
        }
        with pytest.raises(errors.TikTokConsentError):
            operator(video, deferrable=True).resume_execution(
                "execute_released", {"event": event, "place": None}, context_of(FakeTi())
            )


def test_a_resumed_task_whose_record_is_another_publishs_asks_anew(
    tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
) -> None:
    """Airflow may run a deferred task twice; an event of a publish long given up says nothing of this one."""
    connect()
    ti = FakeTi()
    task = operator(video, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred):
        run(task, ti)
    event = {"publish_id": "another", "status": "FAILED", "fail_reason": "internal"}
    assert resume(task, event, ti) == tiktok.posts[0].publish_id
    assert publishes(tiktok) == 1


def test_executes_without_a_task_instance(tiktok: Sandbox, connect: Connect, video: Path) -> None:
    """As somebody does who tries an operator by hand."""
    connect()
    task = operator(video)
    assert executed(task, task.execute, {})
