"""A creator at a browser: opens the sandbox's authorize page, presses a button, and is led back."""

from __future__ import annotations

import html
import re
import threading
from typing import Any
from urllib.parse import urlencode

import httpx

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def decide(
    url: str, *, decision: str = "allow", creator: str = "creator1", without: tuple[str, ...] = ()
) -> str:
    """Press a button on the authorize page; gives the address that TikTok leads to."""
    origin, _, _ = url.partition("/v2/")
    page = httpx.get(url)
    if page.is_redirect:
        return page.headers["location"]
    assert page.status_code == 200, page.text
    form = [(name, html.unescape(value)) for name, value in _HIDDEN.findall(page.text)]
    scopes = [scope for scope in dict(form)["scope"].split(",") if scope not in without]
    form += [("granted", scope) for scope in scopes] + [("creator", creator), ("decision", decision)]
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": origin}
    answer = httpx.post(f"{origin}/v2/auth/authorize/", content=urlencode(form), headers=headers)
    assert answer.is_redirect, answer.text
    return answer.headers["location"]


class Browser:
    """
    Stands for ``webbrowser.open``: decides in a thread, as a person does while the command waits.

    ``how`` is given to :func:`decide`; ``pages`` are those that the listener showed.
    """

    def __init__(self, **how: Any) -> None:
        self.how = how
        self.urls: list[str] = []
        self.redirects: list[str] = []
        self.pages: list[httpx.Response] = []
        self._threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self.urls.append(url)
        thread = threading.Thread(target=self._visit, args=(url,))
        self._threads.append(thread)
        thread.start()
        return True

    def _visit(self, url: str) -> None:
        self.redirects.append(decide(url, **self.how))
        self.pages.append(httpx.get(self.redirects[-1]))

    def close(self) -> None:
        for thread in self._threads:
            thread.join(10)
