"""Gets a creator's consent: shows the address, takes the answer from the listener or from the keyboard."""

from __future__ import annotations

import os
import select
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.oauth import LOOPBACK_NAMES, Authorization, Consent, TikTokRedirectError
from airflow_provider_tiktok.cli.listener import CALLBACK_PATH, Listener
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError

#: What tells that a browser opened on this machine can be seen by the person.
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER")
_READ_BYTES = 65536


def listener_for(redirect_uri: str | None, port: int) -> Listener | None:
    """
    Listen where TikTok's answer will arrive.

    :param redirect_uri: a registered one; None = our own
    :param port: for our own; 0 = a free one
    :return: None for an address that does not lead to this machine, or that wants a certificate
    :raises TikTokConfigError: the port cannot be had
    """
    if redirect_uri is None:
        return Listener(port, CALLBACK_PATH)
    parts = urlsplit(redirect_uri)
    if parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES and parts.port:
        return Listener(parts.port, parts.path or "/")
    return None


def obtain(
    terminal: Terminal,
    authorization: Authorization,
    listener: Listener | None,
    *,
    base_url: str,
    opens: bool,
    timeout: float,
) -> Consent:
    """
    Ask the creator.

    :param terminal: the person at it
    :param authorization: the question
    :param listener: where the answer arrives by itself; None = it has to be pasted
    :param base_url: of the API
    :param opens: whether a browser may be opened here
    :param timeout: seconds to wait
    :raises TikTokConsentError: the creator has not allowed the app
    :raises TikTokConfigError: no answer came
    """
    url = authorization.url(base_url)
    with listener.expect(authorization) if listener else nullcontext():
        opened = opens and has_screen(os.environ) and _open(url)
        terminal.say(_how(url, authorization.redirect_uri, opened=opened, arrives=listener is not None))
        return _wait(terminal, authorization, listener, timeout)


def has_screen(environment: Mapping[str, str]) -> bool:
    """
    Tell whether a browser can be shown here: a browser for terminals would take this one over.

    :param environment: of this process
    """
    return sys.platform == "darwin" or any(environment.get(name) for name in _SCREENS)


def _open(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except (webbrowser.Error, OSError):
        return False


def _how(url: str, redirect_uri: str, *, opened: bool, arrives: bool) -> str:
    lines = [
        "Your browser was opened at this address:" if opened else "Open this address in a browser:",
        f"\n  {url}\n",
        "Log in to TikTok there as the creator, and allow the app.",
    ]
    if not arrives:
        lines.append(f"The browser then ends on {redirect_uri}?code=... : paste that whole address here.")
    elif not opened:
        lines.append(
            f"If that browser runs on another machine than this, it ends on {redirect_uri}?code=... , which "
            "it cannot show: paste that whole address here."
        )
    return "\n".join([*lines, "Waiting for the answer (Ctrl-C ends this login) ..."])


def _wait(
    terminal: Terminal, authorization: Authorization, listener: Listener | None, timeout: float
) -> Consent:
    pasted = _Keyboard()
    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        watched: list[Any] = [listener.bell] if listener else []
        watched += [pasted.handle] if pasted.handle is not None else []
        if not watched:
            raise TikTokConfigError(
                "The address has to be pasted, but there is no keyboard: stdin is closed."
            )
        ready = select.select(watched, [], [], left)[0]
        outcomes = [
            *(_arrived(listener) if listener and listener.bell in ready else ()),
            *(_read(authorization, line) for line in (pasted.lines() if pasted.handle in ready else ())),
        ]
        for outcome in outcomes:
            if isinstance(outcome, Consent):
                return outcome
            if not isinstance(outcome, TikTokRedirectError):
                raise outcome
            terminal.say(f"{outcome} Still waiting ...")
    raise TikTokConfigError(
        f"No answer came within {timeout:.0f} s: log in again, or wait longer with --timeout."
    )


def _arrived(listener: Listener) -> Iterator[Consent | TikTokError]:
    listener.bell.recv(_READ_BYTES)
    while not listener.outcomes.empty():
        yield listener.outcomes.get()


def _read(authorization: Authorization, line: str) -> Consent | TikTokError:
    try:
        return authorization.consent(line)
    except TikTokError as error:
        return error


class _Keyboard:
    """What is typed or pasted, line by line, without waiting for it."""

    def __init__(self) -> None:
        self.handle: int | None = None
        self._begun = b""
        try:
            self.handle = sys.stdin.fileno()
        except (AttributeError, ValueError, OSError):  # there is no stdin, or it is closed
            return

    def lines(self) -> Iterator[str]:
        """Give the lines that are complete; call it only when the handle is ready."""
        if self.handle is None:
            return
        try:
            got = os.read(self.handle, _READ_BYTES)
        except OSError:  # the terminal is gone, or another job has it
            got = b""
        *complete, self._begun = (self._begun + (got or b"\n")).split(b"\n")
        if not got:
            self.handle = None
        for each in complete:
            if line := each.decode(errors="replace").strip():
                yield line
