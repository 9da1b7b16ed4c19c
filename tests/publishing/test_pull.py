"""What TikTok could pull from."""

from __future__ import annotations

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.publishing.pull import check_pull_url


class TestPullUrls:
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
