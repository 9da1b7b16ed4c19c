"""The ready retry policy, by Airflow's own evaluation of it: how long is waited after which error."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_tiktok import retry
from airflow_provider_tiktok.exceptions import (
    CODES,
    Helps,
    TikTokConsentError,
    TikTokError,
    TikTokMediaError,
    TikTokMediaReadError,
    TikTokNothingSentError,
    TikTokStoreError,
    TikTokUnconfirmedError,
    TikTokUnfinishedError,
    answer_error,
)

try:
    from airflow.sdk.definitions.retry_policy import RetryAction, RetryDecision
except ImportError:
    RetryAction = None  # type: ignore[assignment,misc]

needs_policies = pytest.mark.skipif(RetryAction is None, reason="Airflow has retry policies from 3.3 on")
MINUTE, HOUR = timedelta(seconds=75), timedelta(hours=1)


def decided(error: BaseException, try_number: int = 1) -> RetryDecision:
    """Ask the policy as Airflow's task runner does."""
    from airflow.sdk.execution_time.task_runner import _evaluate_retry_policy

    ti: Any = SimpleNamespace(
        task=SimpleNamespace(retry_policy=retry.TIKTOK_RETRY_POLICY),
        try_number=try_number,
        _ti_context_from_server=SimpleNamespace(max_tries=9),
    )
    decision = _evaluate_retry_policy(ti, error, SimpleNamespace(info=lambda *_, **__: None))  # type: ignore[arg-type]
    assert decision is not None
    return decision


@needs_policies
class TestPolicy:
    @pytest.mark.parametrize(
        ("code", "delay"),
        [
            ("rate_limit_exceeded", MINUTE),
            ("spam_risk_too_many_posts", HOUR),
            ("spam_risk_too_many_pending_share", HOUR),
            ("internal_error", timedelta(minutes=1)),
            ("video_pull_failed", timedelta(minutes=1)),
            ("access_token_invalid", timedelta(minutes=1)),
        ],
    )
    def test_waits_as_long_as_it_takes(self, code: str, delay: timedelta) -> None:
        decision = decided(answer_error("video init", code))
        assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, delay)
        assert CODES[code].helps in str(decision.reason)

    def test_backs_off_from_tiktoks_own_trouble(self) -> None:
        error = answer_error("video init", "internal_error", http_status=500)
        delays = [decided(error, try_number).retry_delay for try_number in range(1, 8)]
        assert delays == [timedelta(minutes=each) for each in (1, 2, 4, 8, 16, 30, 30)]

    def test_a_limits_wait_does_not_grow(self) -> None:
        error = answer_error("video init", "rate_limit_exceeded", http_status=429)
        assert {decided(error, try_number).retry_delay for try_number in (1, 2, 8)} == {MINUTE}

    @pytest.mark.parametrize(
        "error",
        [
            answer_error("video init", "scope_not_authorized"),
            answer_error("token", "invalid_grant"),
            answer_error("video init", "a code that TikTok adds tomorrow", http_status=400),
            TikTokMediaError("no video"),
            TikTokUnconfirmedError("posted or not"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_fails_where_nothing_helps(self, error: TikTokError) -> None:
        assert decided(error).action is RetryAction.FAIL
        assert isinstance(error, AirflowFailException), "so does Airflow without any policy"

    @pytest.mark.parametrize(
        "kind", [TikTokNothingSentError, TikTokStoreError, TikTokUnfinishedError, TikTokMediaReadError]
    )
    def test_retries_what_has_no_code(self, kind: type[TikTokError]) -> None:
        decision = decided(kind("?"), 2)
        assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(minutes=2))

    @pytest.mark.parametrize("error", [ValueError("a bug"), AirflowException("somebody else's")])
    def test_leaves_other_errors_to_airflow(self, error: Exception) -> None:
        assert decided(error).action is RetryAction.DEFAULT

    @pytest.mark.parametrize("code", CODES)
    def test_does_for_each_code_what_the_table_says(self, code: str) -> None:
        decision = decided(answer_error("x", code))
        fails = CODES[code].helps is Helps.NOTHING
        assert decision.action is (RetryAction.FAIL if fails else RetryAction.RETRY)

    def test_is_one_object(self) -> None:
        """A DAG of a thousand tasks builds it once."""
        assert retry.TIKTOK_RETRY_POLICY is retry.TIKTOK_RETRY_POLICY

    def test_its_rules_can_be_taken_into_another(self) -> None:
        from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryRule

        mine = RetryRule(TikTokConsentError, RetryAction.RETRY, timedelta(days=1))
        policy = ExceptionRetryPolicy([mine, *retry.TIKTOK_RETRY_POLICY.rules])
        assert policy.evaluate(answer_error("x", "invalid_grant"), 1, 1).retry_delay == timedelta(days=1)
        assert policy.evaluate(answer_error("x", "rate_limit_exceeded"), 1, 1).retry_delay == MINUTE

    def test_can_be_serialised(self) -> None:
        from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy

        assert isinstance(retry.TIKTOK_RETRY_POLICY, ExceptionRetryPolicy)
        for rule in retry.TIKTOK_RETRY_POLICY.rules:
            assert type(rule).deserialize(rule.serialize()).serialize() == rule.serialize()


@pytest.mark.skipif(RetryAction is not None, reason="this Airflow has retry policies")
def test_below_3_3_the_import_says_what_is_missing() -> None:
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3"):
        from airflow_provider_tiktok.retry import TIKTOK_RETRY_POLICY  # noqa: F401


def test_without_retry_policies_the_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an older Airflow, also where there is a newer one."""
    from airflow.providers.common.compat import sdk

    retry._policy.cache_clear()
    monkeypatch.setattr(sdk, "__getattr__", _older, raising=False)
    for name in ("ExceptionRetryPolicy", "RetryAction", "RetryRule"):
        monkeypatch.delitem(vars(sdk), name, raising=False)
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3"):
        from airflow_provider_tiktok.retry import TIKTOK_RETRY_POLICY  # noqa: F401


def _older(name: str) -> Any:
    raise AttributeError(name)


def test_no_other_name_is_made_up() -> None:
    with pytest.raises(AttributeError):
        retry.TIKTOK_RETRY_POLICIES  # noqa: B018


def test_one_class_needs_one_remedy() -> None:
    """The rules are by class, and the table by code."""
    by_class: dict[type, set[Helps]] = {}
    for row in CODES.values():
        by_class.setdefault(row.error, set()).add(row.helps)
    assert all(len(helps) == 1 for helps in by_class.values())
    assert {kind for kind, helps in by_class.items() if helps == {Helps.NOTHING}} == {
        kind for kind in by_class if issubclass(kind, AirflowFailException)
    }
