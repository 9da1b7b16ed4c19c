"""Trying a Connection: what is said, and that no refresh token is spent on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs

import httpx
import pytest

from airflow_provider_tiktok.api import client as client_module
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.auth import trial
from airflow_provider_tiktok.auth.account import Account, Seed
from airflow_provider_tiktok.exceptions import (
    TikTokAppError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokRateLimitError,
    TikTokServerError,
    TikTokTokenError,
)

ACCOUNT = Account("c", "ck", "cs", seed=Seed("rft.0"))
Answer = Callable[[], httpx.Response] | Exception


class TikTok:
    """Answers user info and the client token with what it is given."""

    def __init__(self) -> None:
        self.user: Answer = lambda: envelope("ok", {"user": {"open_id": "o", "display_name": "Ann"}})
        self.app: Answer = lambda: httpx.Response(200, json={"access_token": "clt.1", "expires_in": 7200})
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/user/info/":
            self.asked.append("user info")
            answer = self.user
        else:
            self.asked.append(parse_qs(request.content.decode())["grant_type"][0])
            answer = self.app
        if isinstance(answer, Exception):
            raise answer
        return answer()


def envelope(code: str, data: object = None, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"data": data or {}, "error": {"code": code, "log_id": "L"}})


def oauth(error: str, status: int = 200) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, json={"error": error, "error_description": "d", "log_id": "L"})


@pytest.fixture
def tiktok(monkeypatch: pytest.MonkeyPatch) -> TikTok:
    fake = TikTok()
    real = client_module.Client
    monkeypatch.setattr(
        trial, "Client", lambda policy, tokens: real(policy, tokens, Transport(httpx.MockTransport(fake)))
    )
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    return fake


@pytest.fixture(autouse=True)
def nothing_refreshed(tiktok: TikTok) -> object:
    yield
    assert "refresh_token" not in tiktok.asked


LIVING = replace(ACCOUNT, seed=Seed("rft.0", "act.0", time.time() + 3600))


def test_a_token_that_may_not_say_whose_it_is_works_all_the_same(tiktok: TikTok) -> None:
    """A draft needs ``video.upload`` and nothing else."""
    tiktok.user = lambda: envelope("scope_not_authorized", status=401)
    assert "user.info.basic" in trial.try_account(LIVING)


def test_nothing_is_repeated(tiktok: TikTok) -> None:
    """Somebody sits before the page and waits."""
    tiktok.user = httpx.ConnectError("no route")
    with pytest.raises(TikTokError):
        trial.try_account(LIVING)
    assert len(tiktok.asked) == 1


@pytest.mark.parametrize("seed", [LIVING.seed, Seed("rft.0", "act.0"), Seed("", "act.0")])
def test_living_access_token_is_tried(tiktok: TikTok, seed: Seed) -> None:
    assert trial.try_account(replace(ACCOUNT, seed=seed)) == "TikTok answers for Ann."
    assert tiktok.asked == ["user info"]


def test_creator_without_a_name(tiktok: TikTok) -> None:
    tiktok.user = lambda: envelope("ok", {})
    assert trial.try_account(LIVING) == "TikTok answers for this creator."


@pytest.mark.parametrize("seed", [Seed("rft.0"), Seed("rft.0", "act.0", time.time() - 1)])
def test_without_one_the_app_is_tried(tiktok: TikTok, seed: Seed) -> None:
    said = trial.try_account(replace(ACCOUNT, seed=seed))
    assert "knows the app" in said
    assert "refresh token was not tried" in said
    assert tiktok.asked == ["client_credentials"]


@pytest.mark.parametrize("seed", [Seed(), Seed("", "act.0", time.time() - 1)])
def test_missing_grant_is_said(tiktok: TikTok, seed: Seed) -> None:
    """The app is right, but no task will get a token out of this Connection."""
    said = trial.try_account(replace(ACCOUNT, seed=seed))
    assert "knows the app" in said
    assert "holds no refresh_token" in said


def test_dead_access_token_beside_a_refresh_token(tiktok: TikTok) -> None:
    tiktok.user = lambda: envelope("access_token_invalid", status=401)
    assert "refresh token was not tried" in trial.try_account(LIVING)
    assert tiktok.asked[-1] == "client_credentials"


def test_dead_access_token_alone(tiktok: TikTok) -> None:
    tiktok.user = lambda: envelope("access_token_invalid", status=401)
    with pytest.raises(TikTokTokenError):
        trial.try_account(replace(ACCOUNT, seed=Seed("", "act.0")))


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (oauth("invalid_client"), TikTokAppError),
        (oauth("invalid_client", 401), TikTokAppError),
        (oauth("server_error"), TikTokServerError),
        (lambda: httpx.Response(503), TikTokServerError),
        (lambda: httpx.Response(429), TikTokRateLimitError),
        (httpx.ReadTimeout("x"), TikTokNoAnswerError),
        (lambda: httpx.Response(200, text="<html>"), TikTokError),
    ],
)
def test_what_proves_nothing_is_no_success(tiktok: TikTok, app: Answer, error: type[TikTokError]) -> None:
    tiktok.app = app
    with pytest.raises(error):
        trial.try_account(ACCOUNT)


@pytest.mark.parametrize("code", ["unauthorized_client", "unsupported_grant_type", "invalid_scope"])
def test_app_without_that_kind_of_token_is_known_all_the_same(tiktok: TikTok, code: str) -> None:
    """Key and secret were found right before the grant was refused."""
    tiktok.app = oauth(code)
    assert "knows the app" in trial.try_account(ACCOUNT)
