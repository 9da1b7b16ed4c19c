"""
The chunked upload of a video: sequential, resumable, and careful about its end.

TikTok posts a video when the last range is in. So before the last range was begun a lost upload is just lost;
**from then on nothing that TikTok answers proves that it was not posted**, and every doubt is settled by
asking for the status. The upload URL is a secret: who has it may upload. Sources: Media Transfer Guide and
Direct Post reference, 2026-09-11.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from enum import Enum, auto
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.chunks import ChunkPlan
from airflow_provider_tiktok.api.endpoints import API_HOST
from airflow_provider_tiktok.api.pieces import Meter, Readable, ReadAhead
from airflow_provider_tiktok.api.transport import Answer, Request, Transport
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokProtocolError,
    TikTokTransportError,
    TikTokUploadError,
    TikTokUploadGoneError,
)

log = logging.getLogger(__name__)

#: A range may take this long, plus its bytes at the slowest rate that is still worth waiting for.
RANGE_SECONDS, SLOWEST_RATE = 30.0, 128 * 1024
TRIES = 6
LONGEST_PAUSE = 15.0

_DEFAULT_PORTS = {"https": 443, "http": 80}
_CONTENT_RANGE = re.compile(r"bytes\s+0-(\d{1,19})/(?:\d+|\*)", re.ASCII)
_TIKTOKS_HOST = re.compile(r"(?:[a-z0-9-]+\.)+tiktokapis\.com", re.ASCII)


class UploadEnd(Enum):
    """How an upload ended."""

    DONE = auto()
    """TikTok has said that it has everything."""
    ASK_STATUS = auto()
    """The last range was begun, and only the status can tell whether it arrived."""


class _Verdict(Enum):
    DONE = auto()
    NEXT = auto()
    RESYNC = auto()
    AGAIN = auto()
    ASK = auto()
    GONE = auto()
    REFUSED = auto()


#: What an answer means before the last range was begun, and after.
_BEFORE = {
    200: _Verdict.DONE,
    201: _Verdict.DONE,
    206: _Verdict.NEXT,
    403: _Verdict.GONE,
    404: _Verdict.GONE,
    416: _Verdict.RESYNC,
    429: _Verdict.AGAIN,
}
_AFTER = {200: _Verdict.DONE, 201: _Verdict.DONE, 206: _Verdict.NEXT, 429: _Verdict.AGAIN}


def _verdict(result: Answer | TikTokError, *, sealed: bool) -> _Verdict:
    if isinstance(result, TikTokNothingSentError):
        return _Verdict.AGAIN
    if isinstance(result, TikTokError):
        return _Verdict.ASK if sealed else _Verdict.AGAIN
    if sealed:
        return _AFTER.get(result.status, _Verdict.ASK)
    return _BEFORE.get(result.status, _Verdict.AGAIN if result.status >= 500 else _Verdict.REFUSED)


def check_upload_url(url: str, base_url: str) -> None:
    """
    See that bytes go to TikTok and nowhere else.

    :param url: from an init
    :param base_url: of the API; where it is not TikTok's own, the upload must go to the same origin
    :raises TikTokConfigError: they would not
    """
    origin, base = _origin(url), _origin(base_url)
    if base == _origin(API_HOST):
        scheme, host, port = origin or ("", "", 0)
        good = (scheme, port) == ("https", 443) and bool(_TIKTOKS_HOST.fullmatch(host))
        wanted = "https under .tiktokapis.com"
    else:
        good, wanted = origin is not None and origin == base, base_url
    if not good:
        raise TikTokConfigError(
            f"The upload address that the init answered with is not {wanted}, so nothing was uploaded. "
            "Check the Connection's host."
        )


def _origin(url: str) -> tuple[str, str, int] | None:
    """Give scheme, host and port; None for a URL with credentials, or that parsers may read differently."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if port is None:
        port = _DEFAULT_PORTS.get(parts.scheme, 0)
    return None if "@" in parts.netloc else (parts.scheme, parts.hostname or "", port)


class Upload:
    """
    One upload of one video.

    ``sealed`` tells whether its last range was begun: from then on it may be posted.

    :param transport: sends the ranges
    :param url: from the init; checked by :func:`check_upload_url`
    :param plan: the ranges as the init declared them
    :param source: the video
    :param content_type: ``video/mp4``, ``video/quicktime`` or ``video/webm``
    :param progress: asks TikTok how many bytes it has, for when an answer does not tell
    :param seal: called before the last range is begun; where it raises, that is not begun
    :param sealed: the last range may have been sent already, by whomever
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        plan: ChunkPlan,
        source: Readable,
        *,
        content_type: str,
        progress: Callable[[], int | None] = lambda: None,
        seal: Callable[[], None] = lambda: None,
        sealed: bool = False,
    ) -> None:
        self.plan = plan
        self._transport = transport
        self._url = url
        self._source = source
        self._content_type = content_type
        self._progress = progress
        self._seal = seal
        self.sealed = self._in_doubt = sealed

    def send(self, index: int = 0) -> UploadEnd:
        """
        Send the ranges that are missing.

        :param index: the first range to send; the last one where the last was already begun
        :raises TikTokUploadGoneError: TikTok has forgotten the upload before the last range was begun
        :raises TikTokUploadError: the bytes did not get through; the last range was never begun
        :raises TikTokMediaReadError: the media could not be read; the last range is neither in nor in doubt
        """
        end = self._send(index) if index < self.plan.count else UploadEnd.ASK_STATUS
        if end is UploadEnd.ASK_STATUS:
            self.sealed = self._in_doubt = True
        return end

    def _send(self, index: int) -> UploadEnd:
        pieces: ReadAhead | None = None
        meter = Meter(self.plan)
        failures = 0
        try:
            for _ in range(3 * self.plan.count + TRIES):
                pieces = pieces or ReadAhead(self._source, self.plan, index)
                self._seal_before(index)
                result = self._put(index, pieces, meter)
                verdict = _verdict(result, sealed=self.sealed)
                if verdict is _Verdict.ASK:
                    return UploadEnd.ASK_STATUS
                if verdict in _FAILURES:
                    raise self._failure(verdict, result)
                following = self._following(verdict, index, self._told(verdict, result))
                if following >= self.plan.count:
                    # a range in the middle cannot complete an upload: a gateway's 200 looks like that
                    done = verdict is _Verdict.DONE and index == self.plan.last
                    return UploadEnd.DONE if done else UploadEnd.ASK_STATUS
                failures = 0 if following > index else failures + 1
                if failures >= TRIES:
                    break
                if following <= index:
                    time.sleep(min(LONGEST_PAUSE, 0.5 * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311
                index = following
                if pieces.index != index:  # what was read ahead is not what is to be sent
                    pieces.close()
                    pieces = None
        finally:
            if pieces:
                pieces.close()
        if self.sealed:
            return UploadEnd.ASK_STATUS
        first, stop = self.plan.bounds(index)
        raise TikTokUploadError(
            f"Upload: TikTok did not take bytes {first}-{stop - 1} after {TRIES} tries ({_brief(result)}). "
            "The upload was never completed, so nothing was posted."
        )

    def _seal_before(self, index: int) -> None:
        if index == self.plan.last and not self.sealed:
            self._seal()
            self.sealed = True

    def _put(self, index: int, pieces: ReadAhead, meter: Meter) -> Answer | TikTokError:
        first, stop = self.plan.bounds(index)
        headers = {
            "Content-Type": self._content_type,
            "Content-Length": str(stop - first),
            "Content-Range": f"bytes {first}-{stop - 1}/{self.plan.size}",
        }
        deadline = RANGE_SECONDS + (stop - first) / SLOWEST_RATE
        body = meter.counted(first, pieces.range(index))
        try:
            return self._transport.send(Request("TikTok: upload", "PUT", self._url, headers, body, deadline))
        except (TikTokTransportError, TikTokProtocolError) as error:
            return error
        except Exception as error:  # the media's; to raise it would say that nothing was posted
            if not self._in_doubt:
                raise
            log.warning("The last range may have arrived, but could not be read to be sent again: %s", error)
            return TikTokNoAnswerError("the media could not be read")

    def _told(self, verdict: _Verdict, result: Answer | TikTokError) -> int | None:
        if not isinstance(result, Answer):
            return None
        if found := _CONTENT_RANGE.fullmatch(result.headers.get("content-range", "").strip()):
            return int(found[1])
        return self._progress() if verdict is _Verdict.RESYNC else None

    def _following(self, verdict: _Verdict, index: int, told: int | None) -> int:
        """Give the range to send next; the plan's count if none is left."""
        if verdict is _Verdict.AGAIN:
            return index
        if verdict is _Verdict.DONE and (self.sealed or told is None):
            return self.plan.count
        if told is not None:
            return self.plan.next_after(told)
        if verdict is _Verdict.RESYNC:
            return index
        return index + 1

    def _failure(self, verdict: _Verdict, result: Answer | TikTokError) -> TikTokUploadError:
        if verdict is _Verdict.GONE:
            return TikTokUploadGoneError(
                f"Upload: TikTok does not know this upload any more ({_brief(result)}): its address lives "
                "one hour. It was never completed, so nothing was posted; a new publish is needed."
            )
        return TikTokUploadError(
            f"Upload: TikTok refused a range ({_brief(result)}). "
            "It was never completed, so nothing was posted."
        )


_FAILURES = {_Verdict.GONE, _Verdict.REFUSED}


def _brief(result: Answer | TikTokError) -> str:
    return f"HTTP {result.status}" if isinstance(result, Answer) else type(result).__name__
