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
