"""The listener on loopback: it takes TikTok's answer to the login that waits, and nothing else."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from airflow_provider_tiktok.api.oauth import Authorization, Consent, TikTokRedirectError, authorization
from airflow_provider_tiktok.cli.listener import Listener, _Handler
from airflow_provider_tiktok.cli.pages import Page
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokConsentError


@pytest.fixture
def listener() -> Iterator[Listener]:
    waiting = Listener()
    with waiting.expect(authorization("key", ("video.publish",), waiting.redirect_uri)):
        yield waiting


@pytest.fixture
def question(listener: Listener) -> Authorization:
    assert listener._authorization is not None
    return listener._authorization


def get(listener: Listener, **fields: str) -> httpx.Response:
    return httpx.get(listener.redirect_uri, params=fields)


def test_takes_the_answer(listener: Listener, question: Authorization) -> None:
    page = get(listener, code="c*0!1", scopes="video.publish", state=question.state)

    assert listener.outcomes.get(timeout=1) == Consent("c*0!1", ("video.publish",))
    assert page.status_code == 200
    assert "may close this window" in page.text
    assert "c*0" not in page.text
    assert question.state not in page.text


def test_the_page_loads_nothing_and_passes_nothing_on(listener: Listener, question: Authorization) -> None:
    headers = get(listener, code="c", state=question.state).headers

    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_a_page_that_is_loaded_again_is_no_second_answer(listener: Listener, question: Authorization) -> None:
    for _ in range(3):
        assert get(listener, code="c", state=question.state).status_code == 200

    assert listener.outcomes.qsize() == 1


def test_a_wrong_state_is_refused_and_ends_nothing(listener: Listener, question: Authorization) -> None:
    assert get(listener, code="forged", state="x").status_code == 400
    assert isinstance(listener.outcomes.get(timeout=1), TikTokRedirectError)

    get(listener, code="right", state=question.state)
    assert listener.outcomes.get(timeout=1) == Consent("right")


def test_cancel_is_told_kindly(listener: Listener, question: Authorization) -> None:
    page = get(listener, error="access_denied", error_description="The user denied", state=question.state)

    assert page.status_code == 200
    assert "Nothing was changed" in page.text
    assert isinstance(listener.outcomes.get(timeout=1), TikTokConsentError)


def test_the_page_is_out_before_the_login_goes_on(
    listener: Listener, question: Authorization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that was not allowed ends at once: the creator was left with a page that never came."""
    told: list[bool] = []
    show = _Handler._show

    def slow(handler: _Handler, page: Page) -> None:
        time.sleep(0.3)
        told.append(not listener.outcomes.empty())
        show(handler, page)

    monkeypatch.setattr(_Handler, "_show", slow)

    assert get(listener, error="access_denied", state=question.state).status_code == 200
    assert told == [False]
    assert isinstance(listener.outcomes.get(timeout=1), TikTokConsentError)


def test_a_browser_that_is_gone_has_answered_all_the_same(
    listener: Listener, question: Authorization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(handler: _Handler, page: Page) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(_Handler, "_show", gone)

    with pytest.raises(httpx.RemoteProtocolError):
        get(listener, code="c", state=question.state)
    assert listener.outcomes.get(timeout=1) == Consent("c")


@pytest.mark.parametrize("path", ["/", "/callback", "/callback/x", "/favicon.ico"])
def test_other_paths_are_not_there(listener: Listener, question: Authorization, path: str) -> None:
    origin = listener.redirect_uri.removesuffix("/callback/")

    answer = httpx.get(f"{origin}{path}", params={"code": "c", "state": question.state})

    assert answer.status_code == 404
    assert listener.outcomes.empty()


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_not_there(listener: Listener, question: Authorization, method: str) -> None:
    answer = httpx.request(method, listener.redirect_uri, params={"code": "c", "state": question.state})

    assert answer.status_code == 404
    assert listener.outcomes.empty()


def test_a_silent_connection_holds_nobody(listener: Listener, question: Authorization) -> None:
    """Browsers open connections in advance."""
    port = urlsplit(listener.redirect_uri).port
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    began = time.monotonic()

    assert get(listener, code="c", state=question.state).status_code == 200
    assert time.monotonic() - began < 2
    for each in silent:
        each.close()


def test_listens_on_loopback_only(listener: Listener) -> None:
    assert listener._server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TikTokConfigError, match=rf"Port {port} .*--port"):
            Listener(port)


def test_the_port_is_free_again_afterwards() -> None:
    with Listener() as first:
        port = urlsplit(first.redirect_uri).port or 0
    with Listener(port) as again:
        assert again.redirect_uri == first.redirect_uri


def test_logs_nothing(
    listener: Listener,
    question: Authorization,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    port = urlsplit(listener.redirect_uri).port or 0
    for state in (question.state, "x"):
        # a client that logs nothing itself
        client = HTTPConnection("127.0.0.1", port)
        client.request("GET", f"/callback/?{urlencode({'code': 'a-code', 'state': state})}")
        client.getresponse().read()
        client.close()
    socket.create_connection(("127.0.0.1", port)).close()
    time.sleep(0.1)

    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
