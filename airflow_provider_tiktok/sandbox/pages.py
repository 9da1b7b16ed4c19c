"""The frame of the sandbox's pages: one style, no external resource, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

#: Nothing may be loaded from anywhere else, and no text that somebody posted may run.
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _asset(name: str) -> str:
    return (files("airflow_provider_tiktok.sandbox") / name).read_text("utf-8")


@cache
def _script_digest() -> str:
    return base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()


def page(title: str, body: str, *, status: int = 200, live: bool = False) -> Response:
    """
    A whole page.

    :param title: of the window; escaped here.
    :param body: HTML, escaped by whoever made it.
    :param status: HTTP status.
    :param live: whether it keeps itself up to date.
    """
    script = f"<script>{_asset('page.js')}</script>" if live else ""
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{_asset('page.css')}</style></head><body>{body}{script}</body></html>"
    )
    headers = {
        "content-security-policy": _POLICY.format(digest=_script_digest()),
        "x-content-type-options": "nosniff",
        # not no-referrer: a browser would send the authorize page's own form with Origin: null
        "referrer-policy": "same-origin",
        "cache-control": "no-store",
    }
    return HTMLResponse(html, status, headers)


def hue(name: str) -> int:
    """
    A colour for a name, always the same.

    :param name: a username.
    """
    return hashlib.sha256(name.encode()).digest()[0] * 360 // 256


def avatar(name: str) -> str:
    """
    A round picture of a creator, as HTML.

    :param name: username.
    """
    return (
        f'<span class="avatar" style="--hue:{hue(name)}" aria-hidden="true">{escape(name[:1].upper())}</span>'
    )


def avatar_svg(name: str) -> str:
    """
    The same as an image of its own, for API answers.

    :param name: username.
    """
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><circle cx="50" cy="50" r="50" '
        f'fill="hsl({hue(name)} 55% 45%)"/><text x="50" y="66" font-size="46" font-family="sans-serif" '
        f'text-anchor="middle" fill="#fff">{escape(name[:1].upper())}</text></svg>'
    )
