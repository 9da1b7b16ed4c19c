"""The error tree, and the table of TikTok's codes."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_tiktok import exceptions
from airflow_provider_tiktok.exceptions import (
    CODES,
    Helps,
    TikTokAnswerError,
    TikTokError,
    TikTokRateLimitError,
    TikTokRequestError,
    TikTokServerError,
    Who,
    answer_error,
    name_connection,
)

# Every code of the documentation: OAuth error handling, the API's error table, fail_reasons of a publish.
OAUTH = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
]
ENVELOPE = [
    "invalid_param",
    "invalid_params",
    "app_version_check_failed",
    "invalid_publish_id",
    "token_not_authorized_for_specified_publish_id",
    "publish_not_cancellable",
    "scope_permission_missed",
    "invalid_file_upload",
    "access_token_invalid",
    "scope_not_authorized",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "reached_active_user_cap",
    "spam_risk_too_many_pending_share",
    "unaudited_client_can_only_post_to_private_accounts",
    "url_ownership_unverified",
    "privacy_level_option_mismatch",
    "rate_limit_exceeded",
    "internal_error",
]
FAIL_REASONS = [
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "photo_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
]
DOCUMENTED = sorted({*OAUTH, *ENVELOPE, *FAIL_REASONS})

HELPED = {
    "rate_limit_exceeded": Helps.MINUTE,
    "spam_risk_too_many_posts": Helps.DAY,
    "reached_active_user_cap": Helps.DAY,
    "spam_risk_too_many_pending_share": Helps.DAY,
    "access_token_invalid": Helps.REFRESH,
    "server_error": Helps.RETRY,
    "temporarily_unavailable": Helps.RETRY,
    "internal_error": Helps.RETRY,
    "internal": Helps.RETRY,
    "video_pull_failed": Helps.RETRY,
    "photo_pull_failed": Helps.RETRY,
}


def _family(root: type[TikTokError] = TikTokError) -> Iterator[type[TikTokError]]:
    yield root
    for each in root.__subclasses__():
        yield from _family(each)


def test_table_is_the_documentation() -> None:
    """No documented code is missing, and none is invented."""
    assert sorted(CODES) == DOCUMENTED


@pytest.mark.parametrize("code", DOCUMENTED)
def test_what_helps_against_a_code(code: str) -> None:
    """A task retry is spent exactly on what a retry can cure, or what is waited for."""
    row = CODES[code]
    assert row.helps is HELPED.get(code, Helps.NOTHING)
    assert issubclass(row.error, AirflowFailException) == (row.helps is Helps.NOTHING)
    assert isinstance(row.who, Who)
    assert row.fix
    assert not row.fix.endswith(".")


def test_tree_in_the_docstring_is_the_real_one() -> None:
    drawn, above = {}, []
    for line in (exceptions.__doc__ or "").splitlines():
        if found := re.match(r"    ([ │├└─]*)(TikTok\w+)( \*)?", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            drawn[found[2]] = (above[depth - 1] if depth else None, bool(found[3]))
    real = {
        each.__name__: (
            next((base.__name__ for base in each.__bases__ if issubclass(base, TikTokError)), None),
            issubclass(each, AirflowFailException),
        )
        for each in _family()
        if each.__module__ == exceptions.__name__
    }
    # A star is drawn where permanence begins or is inherited, so both must agree everywhere.
    assert drawn == real


def test_all_are_airflow_exceptions() -> None:
    """Airflow's soft_fail converts nothing else."""
    assert issubclass(TikTokError, AirflowException)


@pytest.mark.parametrize("error", sorted(set(_family()), key=lambda each: each.__name__))
def test_pickles(error: type[TikTokError]) -> None:
    """Airflow sends exceptions between processes."""
    whole = {"code": "c", "log_id": "l", "http_status": 418, "detail": "d"}
    made = error("what", **whole) if issubclass(error, TikTokAnswerError) else error("what")
    made.added = "later"  # type: ignore[attr-defined]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(made, protocol))
        assert type(again) is error
        assert again.args == made.args == ("what",)
        assert vars(again) == vars(made)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_message_names_all_one_needs(code: str) -> None:
    error = answer_error("video init", code, detail="TikTok's words", log_id="2026LOG", http_status=403)
    assert type(error) is CODES[code].error
    for part in ("video init", code, "TikTok's words", "2026LOG", "403", CODES[code].fix):
        assert part in str(error)
    assert (error.code, error.log_id, error.http_status, error.detail) == (
        code,
        "2026LOG",
        403,
        "TikTok's words",
    )


@pytest.mark.parametrize(
    "code",
    ["invalid_paramss", "Invalid_param", " invalid_param", "internal_error_2", "spam_risk_new", "ok", ""],
)
def test_codes_match_exactly(code: str) -> None:
    """A code that contains a known one is still unknown, and keeps its own text."""
    error = answer_error("status", code, detail="own text", log_id="L1", http_status=400)
    assert type(error) is TikTokRequestError
    assert error.code == code
    assert all(part in str(error) for part in (code, "own text", "L1"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, TikTokRequestError),
        (200, TikTokRequestError),
        (404, TikTokRequestError),
        (429, TikTokRateLimitError),
        (500, TikTokServerError),
        (503, TikTokServerError),
    ],
)
def test_unknown_code_is_judged_by_its_status(status: int, kind: type[TikTokAnswerError]) -> None:
    assert type(answer_error("status", "brand_new", http_status=status)) is kind


def test_known_code_is_not_judged_by_its_status() -> None:
    """creator_info answers 200 where inits answer 403; a gateway may change any status."""
    for status in (0, 200, 403, 500):
        assert type(answer_error("x", "invalid_param", http_status=status)) is TikTokRequestError


def test_missing_log_id_is_said() -> None:
    assert "log_id not given" in str(answer_error("publish p1", "internal"))


def test_the_command_names_the_connection() -> None:
    error = answer_error("status", "scope_not_authorized", log_id="L1", http_status=401)
    name_connection(error, "tiktok_shop")
    assert "airflow-tiktok login --conn-id tiktok_shop." in str(error)
    assert "CONN_ID" not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
