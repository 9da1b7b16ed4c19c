"""
Whether TikTok can pull media from a URL: what the URL tells, and what its server answers.

Rules of the Media Transfer Guide (2026-09-11): https, a host name and no address, no redirect at all, and a
domain or prefix that is verified with TikTok, which TikTok alone can tell. An API on this machine (a sandbox)
pulls from this machine too, over plain http.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.transport import Streamed, Transport
from airflow_provider_tiktok.exceptions import (
    TikTokMediaError,
    TikTokMediaReadError,
    TikTokTransportError,
)
from airflow_provider_tiktok.media.address import Resolver, resolve
from airflow_provider_tiktok.media.readable import MAX_BYTES, MediaAccess, attempts
from airflow_provider_tiktok.media.session import Session

LOOK_SECONDS = 30.0
TRIES = 3
#: A server that does not know what it serves; TikTok then looks at the bytes.
UNDECLARED = frozenset({"", "application/octet-stream", "binary/octet-stream"})
#: Answers of servers that serve a GET and no HEAD; a signed URL, for one, is signed for GET alone.
_NO_HEAD = frozenset({400, 403, 405, 501})
_LATER = frozenset({408, 425, 429})
_TOTAL = re.compile(r"bytes\s+(?:\d+-\d+|\*)/(\d+)", re.ASCII | re.IGNORECASE)

_FIX = {
    401: "it wants a login. Let the public URL's server read the bucket",
    403: "it may not be read. Let the public URL's server (a CDN, or a bucket policy for "
    "this prefix) read the bucket; a signed URL may have expired",
    404: "it is not there. See that media_public_base_url shows what lies in the bucket",
}


@dataclass(frozen=True)
class Seen:
    """
    What a URL's server answered.

    :param size: bytes; -1 = not told
    :param content_type: without parameters, in lower case; empty = not told
    """

    size: int
    content_type: str


def url_fault(url: str, *, is_local: bool) -> str:
    """
    Tell which rule a URL breaks, before anybody looks at it; empty = none that can be told.

    :param url: where TikTok is to pull from
    :param is_local: the API is a sandbox on this machine
    """
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "it is no URL"
    is_address = ":" in host or host.rpartition(".")[2].isdecimal()
    rules = (
        (parts.scheme == "https" or (is_local and parts.scheme == "http"), "it is not https"),
        (bool(host), "it has no host"),
        ("@" not in parts.netloc, "it holds a user name or password"),
        (is_local or not is_address, "its host is an address, and TikTok wants a name"),
    )
    return next((fault for kept, fault in rules if not kept), "")


def look(
    url: str,
    access: MediaAccess,
    *,
    transports: Callable[[], Transport] = Transport,
    resolver: Resolver = resolve,
) -> Seen:
    """
    Ask for a URL as TikTok would: HEAD, or one byte of a GET where HEAD is refused; no redirect is followed.

    :param url: where TikTok is to pull from
    :param access: what is allowed
    :param transports: makes transports; tests give fakes
    :param resolver: gives a host's addresses; tests give fakes
    :raises TikTokMediaError: TikTok could not pull from there; says which rule is broken
    :raises TikTokMediaReadError: its server did not answer, or is in trouble
    """
    if fault := url_fault(url, is_local=access.allow_loopback):
        shown = url.partition("?")[0].rpartition("@")[2]
        raise TikTokMediaError(f"{shown}: TikTok cannot pull from this URL: {fault}.")
    with closing(Session(url, access, transports, resolver)) as session:
        reason = ""
        for _ in attempts(TRIES):
            try:
                return _looked(session)
            except _AgainError as error:
                reason = str(error)
            except TikTokTransportError as error:
                reason = str(error).partition(";")[0].removeprefix(f"{session.start.name}: ")
        raise TikTokMediaReadError(f"{session.start.name} could not be seen in {TRIES} tries: {reason}.")


def check_pullable(
    url: str,
    name: str,
    access: MediaAccess,
    *,
    kind: str,
    size: int | None = None,
    resolver: Resolver = resolve,
) -> None:
    """
    See that TikTok could pull a file from a URL.

    :param url: where TikTok is to pull from
    :param name: of the file, as it may be shown
    :param access: what is allowed
    :param kind: what the content type has to be, or to begin with where it ends with ``/``
    :param size: bytes that it has to have; None = any that TikTok takes
    :param resolver: gives a host's addresses
    :raises TikTokMediaError: TikTok could not; says which rule is broken, and by which file
    :raises TikTokMediaReadError: its server did not answer, or is in trouble
    """
    try:
        seen = look(url, access, resolver=resolver)
    except (TikTokMediaError, TikTokMediaReadError) as error:
        raise type(error)(f"{name}, for TikTok to pull: {error}") from None
    fits = seen.content_type.startswith(kind) if kind.endswith("/") else seen.content_type == kind
    faults = []
    if not fits and seen.content_type not in UNDECLARED:
        faults.append(f"its server calls it {seen.content_type}, and it has to be {kind.rstrip('/')}")
    if seen.size >= 0 and not (0 < seen.size <= MAX_BYTES if size is None else seen.size == size):
        faults.append(f"its server shows {seen.size} bytes, and {_wanted(size)}")
    if faults:
        shown = url.partition("?")[0]
        raise TikTokMediaError(
            f"{name}, for TikTok to pull: {shown}: {'; '.join(faults)}. Its server has to show it as it is."
        )


def _wanted(size: int | None) -> str:
    return f"TikTok takes 1 to {MAX_BYTES}" if size is None else f"it has {size}"


class _AgainError(Exception):
    """A try failed in a way that the next one may not."""


def _looked(session: Session) -> Seen:
    ask = partial(session.answer, deadline=LOOK_SECONDS, follow=False)
    with ask("HEAD", {}) as answer:
        if answer.status not in _NO_HEAD:
            return _seen(session.start.name, answer, answer.headers.get("content-length", ""))
    with ask("GET", {"Range": "bytes=0-0"}) as answer:
        if answer.status == 206:
            found = _TOTAL.fullmatch(answer.headers.get("content-range", "").strip())
            return _seen(session.start.name, answer, found[1] if found else "")
        return _seen(session.start.name, answer, answer.headers.get("content-length", ""))


def _seen(name: str, answer: Streamed, size: str) -> Seen:
    status = answer.status
    if status in _LATER or status >= 500:
        raise _AgainError(f"HTTP {status}")
    if 300 <= status < 400:
        raise TikTokMediaError(
            f"{name}: HTTP {status}: it redirects, and TikTok follows no redirect. Use the URL it ends at."
        )
    if status not in (200, 206):
        raise TikTokMediaError(f"{name}: HTTP {status}: {_FIX.get(status, 'check the URL')}.")
    declared = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Seen(int(size) if size.isdecimal() else -1, declared)
