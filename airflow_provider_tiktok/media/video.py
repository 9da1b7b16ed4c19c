"""What kind of video it is, told from its first bytes; what its header tells is in :mod:`.header`."""

from __future__ import annotations

import logging
import re
from pathlib import PurePosixPath

from airflow_provider_tiktok.exceptions import TikTokMediaError
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

#: What a message about a file that is no such video ends with.
TAKES = "TikTok takes MP4, MOV and WebM with H.264, H.265, VP8 or VP9 (Media Transfer Guide)."


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
    return TikTokMediaError(f"{source.name} looks like {what}. {TAKES}")
