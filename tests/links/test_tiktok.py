"""The buttons on a task's page: where they lead, and that they can do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_tiktok.links.tiktok import INBOX_HELP, TikTokInboxLink, TikTokPostLink, profile_url
from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator, TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from tests.airflow_tasks import FakeClock, FakeTi, first_event, resume, run

POST = "https://www.tiktok.com/@alice/video/7"
PROFILE = "https://www.tiktok.com/@alice"
OPERATORS = (TikTokPublishVideoOperator, TikTokPublishPhotosOperator, TikTokPublishStatusSensor)


def status(name: str, post_url: str | None = None) -> dict[str, Any]:
    return {"publish_id": "v_pub_file~1", "status": name, "post_ids": [], "post_url": post_url}


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Give both links of a task with these XComs."""

    def give(**xcoms: Any) -> tuple[str, str]:
        store = SimpleNamespace(get_value=lambda *, ti_key, key: xcoms.get(key))
        monkeypatch.setattr(sdk, "XCom", store, raising=False)
        key, task = SimpleNamespace(task_id="t"), SimpleNamespace()
        return TikTokPostLink().get_link(task, ti_key=key), TikTokInboxLink().get_link(task, ti_key=key)

    return give


@pytest.mark.parametrize(
    ("xcoms", "expected"),
    [
        ({}, ("", "")),
        ({"publish_status": status("PUBLISH_COMPLETE", POST), "creator_profile": PROFILE}, (POST, "")),
        ({"publish_status": status("PUBLISH_COMPLETE"), "creator_profile": PROFILE}, (PROFILE, "")),
        ({"publish_status": status("PUBLISH_COMPLETE")}, ("", "")),
        ({"publish_status": status("SEND_TO_USER_INBOX"), "creator_profile": PROFILE}, ("", INBOX_HELP)),
        ({"return_value": status("PUBLISH_COMPLETE", POST)}, (POST, "")),
        ({"return_value": status("SEND_TO_USER_INBOX")}, ("", INBOX_HELP)),
        ({"return_value": "v_pub_file~1", "creator_profile": PROFILE}, (PROFILE, "")),
        ({"return_value": "v_inbox_file~v2.1"}, ("", INBOX_HELP)),
    ],
)
def test_lead_where_the_post_is(
    links: Callable[..., tuple[str, str]], xcoms: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert links(**xcoms) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://www.tiktok.com/@alice/video/7",
        "javascript:alert(1)",
        "https://",
        "https:// www.tiktok.com",
        "https://www.tiktok.com@evil.example/",
        "https://[oops/",
        "https://www.tiktok.com/\n",
        7,
        ["https://www.tiktok.com/"],
    ],
)
def test_let_nothing_through_but_a_web_page(links: Callable[..., tuple[str, str]], url: object) -> None:
    """Anybody who may push an XCom could put an address there."""
    assert links(publish_status={"status": "PUBLISH_COMPLETE", "post_url": url}, creator_profile=url) == (
        "",
        "",
    )


@pytest.mark.parametrize("junk", [None, 7, "text", [], {}, {"status": []}])
def test_take_any_xcom(links: Callable[..., tuple[str, str]], junk: Any) -> None:
    assert links(publish_status=junk, return_value=junk, creator_profile=junk) == ("", "")


def test_never_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Airflow 2 it is the web server that would show an error page."""

    def fail(**_: Any) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(sdk, "XCom", SimpleNamespace(get_value=fail), raising=False)
    for link in (TikTokPostLink(), TikTokInboxLink()):
        assert link.get_link(SimpleNamespace(), ti_key=SimpleNamespace()) == ""


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator_and_the_sensor_has_both(kind: Any) -> None:
    assert [each.name for each in kind.operator_extra_links] == ["TikTok post", "TikTok inbox"]


def test_a_name_cannot_leave_the_profiles_path() -> None:
    assert profile_url("a.b_c") == "https://www.tiktok.com/@a.b_c"
    assert profile_url("../x?y#z") == "https://www.tiktok.com/@..%2Fx%3Fy%23z"


class TestOnTheWorker:
    """Airflow 3 asks whenever a task's process ends; each XCom that is not there is an error in its log."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Which XComs were read; all of them are found."""
        keys: list[str] = []
        store = SimpleNamespace(get_value=lambda *, ti_key, key: keys.append(key) or PROFILE)  # type: ignore[func-returns-value]
        monkeypatch.setattr(sdk, "XCom", store, raising=False)
        return keys

    def asked(self, task: Any, state: str) -> tuple[str, str]:
        ti = SimpleNamespace(task_id="t", state=state)
        return TikTokPostLink().get_link(task, ti_key=ti), TikTokInboxLink().get_link(task, ti_key=ti)

    @pytest.mark.parametrize("kind", [TikTokPublishVideoOperator, TikTokPublishStatusSensor])
    def test_a_task_that_defers_reads_nothing(self, read: list[str], kind: Any) -> None:
        task = task_of(kind)
        assert self.asked(task, "deferred") == ("", "")
        assert read == []

    def test_but_it_leads_to_the_profile_that_it_was_told(self, read: list[str]) -> None:
        task = task_of(TikTokPublishVideoOperator)
        task.profile = PROFILE
        assert self.asked(task, "deferred") == (PROFILE, "")
        assert read == []

    @pytest.mark.parametrize("kind", [TikTokPublishVideoOperator, TikTokPublishStatusSensor])
    @pytest.mark.parametrize(
        ("posted", "expected", "reads"),
        [
            (status("PUBLISH_COMPLETE", POST), (POST, ""), []),
            (status("PUBLISH_COMPLETE"), (PROFILE, ""), ["creator_profile"]),
            (status("SEND_TO_USER_INBOX"), ("", INBOX_HELP), []),
            ({"publish_id": "v_inbox_file~v2.1"}, (PROFILE, INBOX_HELP), ["creator_profile"]),
        ],
    )
    def test_one_that_has_ended_knows(
        self,
        read: list[str],
        kind: Any,
        posted: dict[str, Any],
        expected: tuple[str, str],
        reads: list[str],
    ) -> None:
        task = task_of(kind)
        task.posted = posted
        assert self.asked(task, "success") == expected
        assert read == reads

    def test_one_that_failed_leads_to_the_profile(self, read: list[str]) -> None:
        """Where its error may tell to look; an earlier process may have been told who the creator is."""
        assert self.asked(task_of(TikTokPublishVideoOperator), "failed") == (PROFILE, "")
        assert read == ["creator_profile"]


def task_of(kind: Any) -> Any:
    given = {"video": "clip.mp4", "privacy_level": "SELF_ONLY"}
    return kind(task_id="t", **(given if kind is TikTokPublishVideoOperator else {"publish_id": "p"}))


class TestWhatTheOperatorsPush:
    """The links read what operators push, whichever process pushes it."""

    def pushed(self, ti: FakeTi, links: Callable[..., tuple[str, str]]) -> tuple[str, str]:
        return links(**ti.xcoms)

    async def test_a_private_post_leads_to_the_profile_also_after_a_deferral(
        self,
        tiktok: Sandbox,
        connect: Callable[..., Any],
        clock: FakeClock,
        video: Path,
        links: Callable[..., tuple[str, str]],
    ) -> None:
        connect()
        ti = FakeTi()
        options: dict[str, Any] = {"wait_for_completion": True, "deferrable": True}
        with pytest.raises(TaskDeferred) as deferred:
            run(
                TikTokPublishVideoOperator(
                    task_id="t", video=str(video), privacy_level="SELF_ONLY", **options
                ),
                ti,
            )
        event = await first_event(deferred.value.trigger)
        again = TikTokPublishVideoOperator(
            task_id="t", video=str(video), privacy_level="SELF_ONLY", **options
        )
        resume(again, event, ti)
        assert self.pushed(ti, links) == (PROFILE, "")

    def test_a_profile_that_cannot_be_pushed_fails_no_post(
        self, tiktok: Sandbox, connect: Callable[..., Any], video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        ti.broken = True
        task = TikTokPublishVideoOperator(task_id="t", video=str(video), privacy_level="SELF_ONLY")
        assert run(task, ti)
        assert len(tiktok.publishes) == 1
