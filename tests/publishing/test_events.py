"""What a trigger tells its task survives the way through Airflow's database."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.exceptions import CODES, TikTokError, answer_error
from airflow_provider_tiktok.publishing.events import (
    error_event,
    no_release_event,
    read_event,
    read_release,
    release_event,
    status_event,
)
from airflow_provider_tiktok.publishing.pace import Released

ENDS = ("PUBLISH_COMPLETE", "SEND_TO_USER_INBOX", "FAILED")


@pytest.mark.parametrize("end", ENDS)
def test_a_status(end: str) -> None:
    status = PublishStatus(end, "spam_risk", ("7600000000000000001", "7600000000000000002"), log_id="2026")
    event = json.loads(json.dumps(status_event("p", status)))
    assert read_event(event) == ("p", status)


@pytest.mark.parametrize("code", [*CODES, "a_code_of_2027", ""])
def test_an_answer(code: str) -> None:
    """Its class, and with it whether Airflow retries, is decided by the same table in trigger and task."""
    error = answer_error("status", code, detail="Because.", log_id="2026", http_status=403)
    event = json.loads(json.dumps(error_event("p", error)))
    with pytest.raises(TikTokError) as caught:
        read_event(event)
    if code:
        assert type(caught.value) is type(error)
        assert vars(caught.value) == vars(error)
    assert "p" in str(caught.value)


@pytest.mark.parametrize("kind", [errors.TikTokConfigError, errors.TikTokInputError])
def test_an_error_of_ours(kind: type[TikTokError]) -> None:
    """Permanent ones stay so: a task is not retried for a Connection that cannot be used."""
    with pytest.raises(TikTokError, match="the reason") as caught:
        read_event(json.loads(json.dumps(error_event("p", kind("the reason")))))
    assert type(caught.value) is kind


@pytest.mark.parametrize("kind", [errors.TikTokStoreError, errors.TikTokNoAnswerError, TikTokError])
def test_another_error(kind: type[TikTokError]) -> None:
    with pytest.raises(TikTokError, match="the reason") as caught:
        read_event(error_event("p", kind("the reason")))
    assert type(caught.value) is TikTokError


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "publish_id",
                "status",
                "fail_reason",
                "post_ids",
                "log_id",
                "code",
                "http_status",
                "error",
                "detail",
            ]
        ),
        JSON | st.sampled_from([*ENDS, "error"]),
    )
    | JSON
)
def test_whatever_comes_is_a_status_or_an_error_of_ours(event: object) -> None:
    """Anything else would be retried by Airflow, and so published again."""
    try:
        publish_id, status = read_event(event)
    except TikTokError:
        return
    assert isinstance(publish_id, str)
    assert status.status in ENDS
    assert all(isinstance(each, str) for each in status.post_ids)


@pytest.mark.parametrize("after", ["", "t0.1"])
def test_a_release(after: str) -> None:
    event = json.loads(json.dumps(release_event(Released("t1.2", after))))
    assert read_release(event) == Released("t1.2", after)


@pytest.mark.parametrize("code", [*CODES, "a_code_of_2027"])
def test_why_there_is_none(code: str) -> None:
    """Its class tells whether Airflow retries; and the command to run names the Connection."""
    error = answer_error("creator_info", code, detail="Because.", log_id="2026", http_status=403)
    event = json.loads(json.dumps(no_release_event("mine", error)))
    with pytest.raises(type(error), match="turn to post") as caught:
        read_release(event)
    assert vars(caught.value) == vars(error)
    assert "CONN_ID" not in str(caught.value)


@pytest.mark.parametrize("kind", [errors.TikTokConfigError, errors.TikTokStoreError])
def test_why_there_is_none_without_a_code(kind: type[TikTokError]) -> None:
    with pytest.raises(TikTokError, match="No grant") as caught:
        read_release(json.loads(json.dumps(no_release_event("mine", kind("No grant.")))))
    assert isinstance(caught.value, errors.AirflowFailException) == issubclass(
        kind, errors.AirflowFailException
    )


@pytest.mark.parametrize("event", [None, {}, "released", {"status": "PUBLISH_COMPLETE"}, {"ticket": "t"}])
def test_no_release_of_ours(event: object) -> None:
    with pytest.raises(errors.TikTokProtocolError, match="without a turn"):
        read_release(event)
