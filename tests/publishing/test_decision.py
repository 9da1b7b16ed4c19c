"""Both decision tables, cell by cell, and what their rows mean."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.exceptions import answer_error
from airflow_provider_tiktok.publishing.decision import (
    FOUND,
    FRESH_SECONDS,
    HUNG_SECONDS,
    LONGER_SECONDS,
    SEEN,
    YOUNG_SECONDS,
    Action,
    Column,
    Found,
    Seen,
    column,
    found,
    seen,
)
from airflow_provider_tiktok.publishing.ledger import Fence, Record, Stage

#: What must be done: row, upload, pull. Written down a second time, so that no cell changes unseen.
FOUND_CELLS = """
nothing            new          new
intent             new          unconfirmed
nothing_sent       new          new
refused_for_now    pace         pace
refused            fail         fail
done               done         done
failed_by_tiktok   again        again
failed_at_cap      pace         pace
failed             fail         fail
cancelled          new          new
gone               new          new
unconfirmed        unconfirmed  unconfirmed
"""

#: Row, an upload whose last range was surely not sent, one whose last range may have been, a pull.
SEEN_CELLS = """
missing_young     same       last         wait
untold_young      same       last         wait
missing_older     new        wait         wait
untold_older      new        unconfirmed  wait
missing_old       new        new          wait
untold_old        new        unconfirmed  wait
all_bytes         submitted  wait         wait
downloading       ask        wait         wait
downloading_long  ask        wait         hung
done              done       done         done
failed_by_tiktok  again      again        again
failed_at_cap     pace       pace         pace
cancelled         new        new          new
failed            fail       fail         fail
unknown_status    ask        wait         wait
unknown_fresh     ask        wait         wait
unknown_young     same       unconfirmed  unconfirmed
unknown           new        unconfirmed  unconfirmed
unknown_long      new        forgotten    forgotten
foreign           fail       fail         fail
not_allowed       fail       fail         fail
no_answer         ask        wait         wait
"""


def cells(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in text.strip().splitlines()]


def test_every_cell_of_what_is_found() -> None:
    table = [(row.value, *(FOUND[row][fence].value for fence in Fence)) for row in Found]
    assert table == cells(FOUND_CELLS)


def test_every_cell_of_what_tiktok_says() -> None:
    table = [(row.value, *(SEEN[row][each].value for each in Column)) for row in Seen]
    assert table == cells(SEEN_CELLS)


def test_a_sealed_upload_is_given_up_only_where_tiktok_has_said_that_bytes_are_missing_and_its_url_is_dead():
    assert [row for row in Seen if SEEN[row][Column.SEALED] is Action.NEW] == [
        Seen.MISSING_OLD,
        Seen.CANCELLED,
    ]


def test_a_pull_is_made_anew_only_where_tiktok_has_failed_it() -> None:
    new = {Action.NEW, Action.AGAIN, Action.PACE}
    assert [row for row in Seen if SEEN[row][Column.PULL] in new] == [
        Seen.FAILED_BY_TIKTOK,
        Seen.FAILED_AT_CAP,
        Seen.CANCELLED,
    ]


@pytest.mark.parametrize(
    ("fence", "sealed", "expected"),
    [
        (Fence.PUBLISH_ID, False, Column.OPEN),
        (Fence.PUBLISH_ID, True, Column.SEALED),
        (Fence.NONE, False, Column.PULL),
        (Fence.NONE, True, Column.PULL),
    ],
)
def test_columns(fence: Fence, sealed: bool, expected: Column) -> None:
    assert column(fence, sealed=sealed) is expected


@pytest.mark.parametrize(
    ("stage", "code", "cancels", "expected"),
    [
        (Stage.INTENT, "", False, Found.INTENT),
        (Stage.NOTHING_SENT, "", False, Found.NOTHING_SENT),
        (Stage.REFUSED, "rate_limit_exceeded", False, Found.REFUSED_FOR_NOW),
        (Stage.REFUSED, "spam_risk_too_many_posts", False, Found.REFUSED_FOR_NOW),
        (Stage.REFUSED, "spam_risk_too_many_pending_share", False, Found.REFUSED_FOR_NOW),
        (Stage.REFUSED, "reached_active_user_cap", False, Found.REFUSED_FOR_NOW),
        (Stage.REFUSED, "invalid_params", False, Found.REFUSED),
        (Stage.REFUSED, "a_code_of_2027", False, Found.REFUSED),
        (Stage.PUBLISH, "", False, None),
        (Stage.SUBMITTED, "", False, None),
        (Stage.COMPLETE, "", False, Found.DONE),
        (Stage.INBOX, "", False, Found.DONE),
        (Stage.FAILED, "internal", False, Found.FAILED_BY_TIKTOK),
        (Stage.FAILED, "video_pull_failed", False, Found.FAILED_BY_TIKTOK),
        (Stage.FAILED, "photo_pull_failed", False, Found.FAILED_BY_TIKTOK),
        (Stage.FAILED, "spam_risk_too_many_posts", False, Found.FAILED_AT_CAP),
        (Stage.FAILED, "publish_cancelled", False, Found.FAILED),
        (Stage.FAILED, "publish_cancelled", True, Found.CANCELLED),
        (Stage.FAILED, "file_format_check_failed", True, Found.FAILED),
        (Stage.FAILED, "spam_risk", False, Found.FAILED),
        (Stage.FAILED, "a_reason_of_2027", False, Found.FAILED),
        (Stage.GONE, "", False, Found.GONE),
        (Stage.UNCONFIRMED, "", False, Found.UNCONFIRMED),
    ],
)
def test_what_is_found(stage: Stage, code: str, cancels: bool, expected: Found | None) -> None:
    assert found(Record(1, stage, code=code, cancels=cancels)) is expected


def test_nothing_is_found() -> None:
    assert found(None) is Found.NOTHING


def test_every_stage_is_known() -> None:
    """A stage without a row would be taken for a publish under way."""
    under_way = {stage for stage in Stage if found(Record(1, stage)) is None}
    assert under_way == {Stage.PUBLISH, Stage.SUBMITTED}


NOW = 1_000_000_000.0


def status(name: str, **more: Any) -> PublishStatus:
    return PublishStatus(name, **more)


def refused(code: str, http_status: int = 400) -> errors.TikTokAnswerError:
    return answer_error("status", code, http_status=http_status)


YOUNG, OLDER, OLD = YOUNG_SECONDS - 1, YOUNG_SECONDS + 1, LONGER_SECONDS + 1


@pytest.mark.parametrize(
    ("answer", "age", "expected"),
    [
        (status("PROCESSING_UPLOAD", uploaded_bytes=0), 1.0, Seen.MISSING_YOUNG),
        (status("PROCESSING_UPLOAD", uploaded_bytes=98), YOUNG, Seen.MISSING_YOUNG),
        (status("PROCESSING_UPLOAD"), YOUNG, Seen.UNTOLD_YOUNG),
        (status("PROCESSING_UPLOAD", uploaded_bytes=50), OLDER, Seen.MISSING_OLDER),
        (status("PROCESSING_UPLOAD"), OLDER, Seen.UNTOLD_OLDER),
        (status("PROCESSING_UPLOAD", uploaded_bytes=50), OLD, Seen.MISSING_OLD),
        (status("PROCESSING_UPLOAD"), OLD, Seen.UNTOLD_OLD),
        # the index of the last byte, or the count
        (status("PROCESSING_UPLOAD", uploaded_bytes=99), 1.0, Seen.ALL_BYTES),
        (status("PROCESSING_UPLOAD", uploaded_bytes=100), OLD, Seen.ALL_BYTES),
        (status("PROCESSING_DOWNLOAD"), HUNG_SECONDS - 1, Seen.DOWNLOADING),
        (status("PROCESSING_DOWNLOAD"), HUNG_SECONDS + 1, Seen.DOWNLOADING_LONG),
        (status("PUBLISH_COMPLETE"), OLD, Seen.DONE),
        (status("SEND_TO_USER_INBOX"), 1.0, Seen.DONE),
        (status("FAILED", fail_reason="internal"), 1.0, Seen.FAILED_BY_TIKTOK),
        (status("FAILED", fail_reason="spam_risk_too_many_posts"), 1.0, Seen.FAILED_AT_CAP),
        (status("FAILED", fail_reason="publish_cancelled"), 1.0, Seen.FAILED),
        (status("FAILED", fail_reason=""), 1.0, Seen.FAILED),
        (status("PONDERING"), 1.0, Seen.UNKNOWN_STATUS),
        (refused("invalid_publish_id"), FRESH_SECONDS - 1, Seen.UNKNOWN_FRESH),
        (refused("invalid_publish_id"), YOUNG, Seen.UNKNOWN_YOUNG),
        (refused("invalid_publish_id"), OLDER, Seen.UNKNOWN),
        (refused("token_not_authorized_for_specified_publish_id"), 1.0, Seen.FOREIGN),
        (refused("scope_not_authorized", 401), 1.0, Seen.NOT_ALLOWED),
        (refused("rate_limit_exceeded", 429), 1.0, Seen.NO_ANSWER),
        (refused("internal_error", 503), 1.0, Seen.NO_ANSWER),
        (refused("access_token_invalid", 401), 1.0, Seen.NO_ANSWER),
        (errors.TikTokNoAnswerError("silence"), 1.0, Seen.NO_ANSWER),
        (errors.TikTokProtocolError("garbage"), 1.0, Seen.NO_ANSWER),
        (errors.TikTokStoreError("no token to ask with"), 1.0, Seen.NO_ANSWER),
    ],
    ids=str,
)
def test_what_tiktok_says(answer: PublishStatus | errors.TikTokError, age: float, expected: Seen) -> None:
    record = Record(1, Stage.PUBLISH, publish_id="p", began=NOW - age, size=100)
    assert seen(answer, record, now=NOW) is expected


@pytest.mark.parametrize(("hours", "expected"), [(23.0, Seen.UNKNOWN), (25.0, Seen.UNKNOWN_LONG)])
def test_what_was_submitted_long_ago_may_be_forgotten(hours: float, expected: Seen) -> None:
    began = NOW - 26 * 3600
    record = Record(1, Stage.SUBMITTED, publish_id="p", began=began, submitted=NOW - hours * 3600)
    assert seen(refused("invalid_publish_id"), record, now=NOW) is expected


def test_bytes_of_an_upload_whose_size_is_not_known_are_never_all() -> None:
    record = Record(1, Stage.PUBLISH, publish_id="p", began=NOW)
    assert seen(status("PROCESSING_UPLOAD", uploaded_bytes=10**9), record, now=NOW) is Seen.MISSING_YOUNG
