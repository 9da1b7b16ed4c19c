"""What a video is: told from its first bytes, and, where PyAV is installed, from its header."""

from __future__ import annotations

import io
import logging
import re
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import MediaSource

log = logging.getLogger(__name__)

MP4, QUICKTIME, WEBM = "video/mp4", "video/quicktime", "video/webm"

_HEAD = 512
_QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}

#: How videos are called, for those that cannot be told by their bytes.
_NAMED = {".mp4": MP4, ".m4v": MP4, ".mov": QUICKTIME, ".webm": WEBM}

#: Brands of the MP4 family that are no video.
_NO_VIDEO = {
    b"M4A ": "M4A audio",
    b"M4B ": "an M4B audiobook",
    b"M4P ": "protected M4P audio",
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture sequence",
    b"crx ": "a Canon raw picture",
    b"heic": "a HEIC picture",
    b"heim": "a HEIC picture",
    b"heis": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"hevc": "a HEIC picture sequence",
    b"hevx": "a HEIC picture sequence",
    b"mif1": "a HEIF picture",
    b"msf1": "a HEIF picture sequence",
}

#: How other files begin; the first that matches speaks.
_OTHERS = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), what)
    for pattern, what in (
        (rb"\x1a\x45\xdf\xa3", "Matroska (.mkv)"),
        (rb"RIFF....AVI ", "AVI"),
        (rb"RIFF....WAVE", "WAV audio"),
        (rb"RIFF....WEBP", "a WebP picture"),
        (rb"FLV\x01", "Flash video (.flv)"),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (.wmv)"),
        (rb"OggS", "Ogg"),
        (rb"\x00\x00\x01[\xb3\xba]", "MPEG-1 or MPEG-2 (.mpg)"),
        (rb"\x47.{187}\x47", "an MPEG transport stream (.ts)"),
        (rb"\x00\x00\x00?\x01[\x09\x27\x40\x42\x67]", "bare H.264 or H.265 without a container"),
        (rb"\x89PNG", "a PNG picture"),
        (rb"\xff\xd8\xff", "a JPEG picture"),
        (rb"GIF8", "a GIF picture"),
        (rb"ID3|\xff[\xf2-\xfb]", "MP3 audio"),
        (rb"fLaC", "FLAC audio"),
        (rb"%PDF", "a PDF document"),
        (rb"PK\x03\x04", "a ZIP archive"),
        (rb"\x1f\x8b", "a gzip archive"),
        (rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)", "an HTML page, as a server's error or login page"),
        (rb"(?:\xef\xbb\xbf)?\s*<", "XML, as a storage server's error answer"),
        (rb"\s*#EXTM3U", "an HLS playlist, which only points to a video"),
        (rb"(?:\xef\xbb\xbf)?[\t\n\r\x20-\x7e]+\Z", "text"),
        (rb"\x00+\Z", "nothing but zero bytes"),
    )
]

_TAKES = "TikTok takes MP4, MOV and WebM with H.264, H.265, VP8 or VP9 (Media Transfer Guide)."


def content_type(source: MediaSource) -> str:
    """
    Tell a video's media type from its first bytes, whatever it is called.

    Bytes that begin like nothing known are left to TikTok's judgement, with a warning, if the name ends like
    a video's.

    :param source: the video
    :return: ``video/mp4``, ``video/quicktime`` or ``video/webm``: what an upload's ``Content-Type`` may be
        (Media Transfer Guide, 2026-09-11)
    :raises TikTokMediaError: it is none of them; says what it looks like
    :raises TikTokMediaReadError: it could not be read
    """
    head = source.read(0, min(_HEAD, source.size))
    atom, brand = head[4:8], head[8:12]
    if atom == b"ftyp":
        if what := _NO_VIDEO.get(brand):
            raise _no_video(source, what)
        return QUICKTIME if brand == b"qt  " else MP4
    if atom in _QUICKTIME_ATOMS:
        return QUICKTIME
    if head.startswith(b"\x1a\x45\xdf\xa3") and _doctype(head) == b"webm":
        return WEBM
    what = next((what for look, what in _OTHERS if look.match(head)), "")
    named = _NAMED.get(PurePosixPath(source.name).suffix.lower())
    if what or named is None:
        raise _no_video(source, what or "no known video")
    log.warning("%s: its first bytes are no known video's; sent as %s, as its name says.", source.name, named)
    return named


def _doctype(head: bytes) -> bytes:
    """Read the DocType of an EBML header: element 4282, one byte of length, text that may end in zeros."""
    before, found, after = head.partition(b"\x42\x82")
    del before
    return after[1 : 1 + (after[0] & 0x7F)].rstrip(b"\x00") if found and after else b""


def _no_video(source: MediaSource, what: str) -> TikTokMediaError:
    return TikTokMediaError(f"{source.name} looks like {what}. {_TAKES}")


def duration_seconds(source: MediaSource) -> float | None:
    """
    Tell how long a video is, from its header alone.

    :param source: the video
    :return: seconds; None where PyAV (extra ``video``) is not installed, or the header cannot be read or does
        not say, or is too far into something that can only be read from front to back
    :raises TikTokMediaError: it holds no picture
    :raises TikTokMediaReadError: it could not be read
    """
    try:
        import av  # large, and an extra
    except ImportError:
        return None
    # Named, not guessed: FFmpeg would take a text file for a playlist and open the files it lists.
    container_format = "matroska" if content_type(source) == WEBM else "mov"
    file = _Header(source)
    duration, kinds, broken = None, set(), ""
    try:
        with av.open(file, "r", format=container_format, options=_FFMPEG_OPTIONS) as container:
            duration, kinds = container.duration, {stream.type for stream in container.streams}
    except UnicodeDecodeError:  # a title in another encoding says nothing about the video
        return None
    except (av.error.FFmpegError, ValueError) as error:
        broken = type(error).__name__
    if file.failure:
        raise file.failure
    if file.too_far:
        return None
    if broken or not kinds:
        log.warning(
            "%s: its header cannot be read (%s); TikTok may refuse the video.", source.name, broken or "empty"
        )
        return None
    if "video" not in kinds:
        raise TikTokMediaError(f"{source.name}: its header names no picture. {_TAKES}")
    return duration / av.time_base if duration and duration > 0 else None


#: What FFmpeg may read to learn about the streams beyond the header: the duration needs none of it.
_FFMPEG_OPTIONS = {"probesize": "65536", "analyzeduration": "0"}


class _Header(io.RawIOBase):
    """
    A source as the file that PyAV wants, with a small cache of blocks.

    PyAV prints an exception of a read into the log, and FFmpeg may take it for a broken video. So none is
    raised here: the file just ends, and ``failure`` and ``too_far`` tell why.

    :param source: the video
    """

    BLOCK = 64 * 1024
    KEPT = 16
    #: A header of a 10-minute video is below 1 MiB; one of 4 GiB in tiny frames below this.
    MOST = 32 * 1024 * 1024

    def __init__(self, source: MediaSource) -> None:
        super().__init__()
        self.failure: TikTokMediaReadError | TikTokMediaError | None = None
        self.too_far = False
        self._source = source
        self._position = 0
        self._read = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read on, to the end of a block at most."""
        view = memoryview(buffer).cast("B")
        index, offset = divmod(self._position, self.BLOCK)
        piece = self._block(index)[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _block(self, index: int) -> bytes:
        """Give a block; nothing at the end, and after a failure."""
        if index not in self._blocks:
            self._blocks[index] = self._fetched(index * self.BLOCK)
            if len(self._blocks) > self.KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def _fetched(self, start: int) -> bytes:
        length = min(self.BLOCK, self._source.size - start)
        self._read += self.BLOCK
        self.too_far |= self._read > self.MOST or (self._source.front_to_back and start >= self.MOST)
        if length <= 0 or self.failure or self.too_far:
            return b""
        try:
            return self._source.read(start, length)
        except (TikTokMediaReadError, TikTokMediaError) as error:
            self.failure = error
            return b""
