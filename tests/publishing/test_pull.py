"""A pull: what is known after its init, and what is staged for it and taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api.models import PublishInit
from airflow_provider_tiktok.exceptions import TikTokError, answer_error
from airflow_provider_tiktok.publishing.pull import check_pull_url, start_pull


def raising(error: BaseException) -> Callable[[], PublishInit]:
    def init() -> PublishInit:
        raise error

    return init


class TestPull:
    @pytest.mark.parametrize(
        "error",
        [
            errors.TikTokNoAnswerError("lost"),
            errors.TikTokProtocolError("garbage"),
            answer_error("video init", "internal_error", http_status=500),
            answer_error("video init", "", http_status=502),
            AirflowTaskTimeout("execution_timeout"),
        ],
        ids=repr,
    )
    def test_tiktok_may_have_acted(self, error: BaseException) -> None:
        with pytest.raises(errors.TikTokUnconfirmedError) as caught:
            start_pull(raising(error), "this video")
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(
        "error",
        [
            errors.TikTokNothingSentError("refused"),
            errors.TikTokStoreError("no database"),
            answer_error("video init", "rate_limit_exceeded", http_status=429),
            answer_error("video init", "spam_risk_too_many_posts", http_status=403),
            answer_error("video init", "access_token_invalid", http_status=401),
        ],
        ids=repr,
    )
    def test_tiktok_has_not_acted(self, error: TikTokError) -> None:
        """A retry is safe."""
        with pytest.raises(type(error)) as caught:
            start_pull(raising(error), "this video")
        assert not isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(
        "url",
        [
            "https://media.example.com/a.mp4",
            "HTTPS://MEDIA.example.com/a.mp4?Signature=x%2F&b=c",
            "https://media.example.com:8443/a%20b.mp4",
            "https://bücher.example/a.mp4",
        ],
    )
    def test_urls(self, url: str) -> None:
        check_pull_url(url, is_local=False)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8765/a.mp4", "http://localhost/a.mp4", "http://[::1]/a.mp4"]
    )
    def test_urls_of_a_local_tiktok(self, url: str) -> None:
        check_pull_url(url, is_local=True)
        with pytest.raises(errors.TikTokInputError):
            check_pull_url(url, is_local=False)
