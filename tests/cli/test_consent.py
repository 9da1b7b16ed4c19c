"""Waiting for the creator: the address is shown, the answer arrives by itself or is pasted."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.api.oauth import Authorization, Consent, authorization
from airflow_provider_tiktok.cli import consent
from airflow_provider_tiktok.cli.listener import Listener
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokConsentError

WEB = "https://airflow.example.com/tiktok/"


class Keyboard:
    """A stdin to write into."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def isatty(self) -> bool:
        return False

    def type(self, text: str) -> None:
        os.write(self._write, text.encode())

    def hang_up(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def close(self) -> None:
        self.hang_up()
        os.close(self._read)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard)
    yield keyboard
    keyboard.close()


def ask(question: Authorization, listener: Listener | None = None, **options: Any) -> Consent:
    given = {"base_url": "http://127.0.0.1:1", "opens": False, "timeout": 10.0, **options}
    return consent.obtain(Terminal(StringIO()), question, listener, **given)


def pasted(question: Authorization, code: str = "c") -> str:
    return f"{question.redirect_uri}?code={code}&scopes=a&state={question.state}\n"


def test_a_web_apps_answer_is_pasted(keyboard: Keyboard, capsys: pytest.CaptureFixture[str]) -> None:
    question = authorization("key", ("a",), WEB)
    keyboard.type(pasted(question))

    assert ask(question) == Consent("c", ("a",))
    shown = capsys.readouterr().err
    assert question.url("http://127.0.0.1:1") in shown
    assert f"ends on {WEB}?code=" in shown


def test_what_is_no_answer_is_explained_and_waited_on(
    keyboard: Keyboard, capsys: pytest.CaptureFixture[str]
) -> None:
    question = authorization("key", ("a",), WEB)
    keyboard.type(f"hello\n\n{WEB}?code=x&state=other\n" + pasted(question)[:40])
    threading.Timer(0.2, keyboard.type, [pasted(question)[40:]]).start()

    assert ask(question).code == "c"
    shown = capsys.readouterr().err
    assert "This is not the address" in shown
    assert "answers another login" in shown


def test_the_last_line_needs_no_enter(keyboard: Keyboard) -> None:
    question = authorization("key", ("a",), WEB)
    keyboard.type(pasted(question).strip())
    keyboard.hang_up()

    assert ask(question).code == "c"


def test_a_desktop_apps_answer_may_be_pasted_too(keyboard: Keyboard) -> None:
    """The browser of a headless server is elsewhere, and cannot reach its loopback."""
    listener = Listener()
    question = authorization("key", ("a",), listener.redirect_uri)
    keyboard.type(pasted(question))

    assert ask(question, listener).code == "c"


def test_a_closed_keyboard_does_not_end_what_arrives_by_itself(keyboard: Keyboard) -> None:
    keyboard.hang_up()
    listener = Listener()
    question = authorization("key", ("a",), listener.redirect_uri)
    threading.Timer(0.3, httpx.get, [pasted(question).strip()]).start()

    assert ask(question, listener).code == "c"


@pytest.mark.parametrize("stdin", [None, SimpleNamespace()], ids=["none", "closed"])
def test_without_any_way_to_answer_it_says_so(stdin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)

    with pytest.raises(TikTokConfigError, match="stdin is closed"):
        ask(authorization("key", ("a",), WEB))


def test_a_keyboard_that_hangs_up_says_so(keyboard: Keyboard) -> None:
    keyboard.hang_up()

    with pytest.raises(TikTokConfigError, match="stdin is closed"):
        ask(authorization("key", ("a",), WEB))


def test_a_pasted_cancel_ends_it(keyboard: Keyboard) -> None:
    question = authorization("key", ("a",), WEB)
    keyboard.type(f"{WEB}?error=access_denied&state={question.state}\n")

    with pytest.raises(TikTokConsentError):
        ask(question)


def test_nobody_comes(keyboard: Keyboard) -> None:
    with pytest.raises(TikTokConfigError, match=r"within 1 s.*--timeout"):
        ask(authorization("key", ("a",), WEB), timeout=0.6)


@pytest.mark.parametrize(
    ("environment", "opens", "opened"),
    [({"DISPLAY": ":0"}, True, 1), ({}, True, 0), ({"DISPLAY": ":0"}, False, 0)],
    ids=["screen", "no screen", "not wanted"],
)
def test_a_browser_is_opened_only_where_it_can_be_seen(
    environment: dict[str, str],
    opens: bool,
    opened: int,
    keyboard: Keyboard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: urls.append(url) or True)
    for name in consent._SCREENS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    question = authorization("key", ("a",), WEB)
    keyboard.type(pasted(question))

    ask(question, opens=opens)

    assert len(urls) == opened


def test_a_browser_that_fails_is_no_failure(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fail)
    question = authorization("key", ("a",), WEB)
    keyboard.type(pasted(question))

    assert ask(question, opens=True).code == "c"


@pytest.mark.parametrize(
    ("redirect_uri", "listens"),
    [
        (None, True),
        ("http://localhost:{port}/somewhere", True),
        ("https://127.0.0.1:{port}/", False),
        (WEB, False),
    ],
)
def test_who_is_listened_for(redirect_uri: str | None, listens: bool) -> None:
    free = Listener()
    port = int(free.redirect_uri.split(":")[2].split("/")[0])
    free._server.server_close()

    listener = consent.listener_for(redirect_uri and redirect_uri.format(port=port), 0)

    assert (listener is not None) == listens
    if listener is not None:
        listener._server.server_close()
