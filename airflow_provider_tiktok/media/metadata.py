"""
Taking what is no picture out of a JPEG or WebP file, without touching a pixel.

A phone writes into a photo where it was taken, by which device and when, often with a small copy of what
was there before it was cropped, sometimes with a video behind it. What decoding needs stays, all else goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APPS = range(0xE0, 0xF0)
_COMMENT = 0xFE

#: Frames of 8 bits that every decoder knows (baseline, extended, progressive), tables, intervals, scans.
_PICTURE = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SOS}

_JFIF, _ICC, _ADOBE = b"JFIF\x00", b"ICC_PROFILE\x00", b"Adobe"
_JFIF_BYTES = 14

#: What a segment that goes is called: marker, how it begins, name. The first row that matches speaks.
_SEGMENTS = (
    (0xE1, b"Exif\x00", "EXIF"),
    (0xE1, b"http://ns.adobe.com/", "XMP"),
    (0xE2, _ICC, "colour profile"),
    (0xE2, b"MPF\x00", "index of further pictures"),
    (0xED, b"", "IPTC"),
    (_COMMENT, b"", "comment"),
)

#: The end of a scan: a marker that is neither a stuffed byte nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_CHUNKS = {b"EXIF": "EXIF", b"XMP ": "XMP", b"ICCP": "colour profile"}
_WEBP_PICTURE = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH"}
_ANIMATION = {b"ANIM", b"ANMF"}
_FLAG_ICC, _FLAG_EXIF, _FLAG_XMP = 0x20, 0x08, 0x04


@dataclass(frozen=True)
class Stripped:
    """
    A file without its metadata.

    :param data: its bytes; those that were given if nothing had to go
    :param removed: what went, such as ``EXIF``
    """

    data: bytes
    removed: tuple[str, ...] = ()


def strip_metadata(data: bytes, *, keep_profile: bool = True) -> Stripped | None:
    """
    Take the metadata out of a JPEG or WebP file.

    The decoder's bytes stay as they are. Of a JPEG, JFIF, ICC and Adobe segments stay, of a WebP the profile.

    :param data: the file
    :param keep_profile: whether the ICC profile stays
    :return: None if it is neither, or not built as every decoder expects it (cut short, animated, arithmetic
        coding ...): it has to be encoded anew
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _strip_jpeg(data, keep_profile=keep_profile)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _strip_webp(data, keep_profile=keep_profile)
    return None


class _Malformed(Exception):  # noqa: N818 - never seen outside
    """The file does not follow its format."""


def _strip_jpeg(data: bytes, *, keep_profile: bool) -> Stripped | None:
    kept, removed, end = [data[:2]], [], 2
    try:
        for marker, start, body, end in _segments(data):
            segment = _kept_segment(marker, data[start:end], data[body:end], keep_profile=keep_profile)
            kept.append(segment)
            if len(segment) < end - start:
                removed.append(_segment_name(marker, data[body:end]))
    except _Malformed:
        return None
    if end < len(data):
        removed.append(f"{len(data) - end} bytes after the picture")
    return Stripped(b"".join(kept), tuple(dict.fromkeys(removed))) if removed else Stripped(data)


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Give each segment's marker, its start, its content's start and its end; a scan counts to its own."""
    at, marker = 2, 0
    while marker != _EOI:
        start = at
        while data[at : at + 1] == b"\xff":  # a marker may be led by any number of them
            at += 1
        if at == start or at >= len(data):
            raise _Malformed
        marker, at = data[at], at + 1
        body = at
        if marker != _EOI:
            at, body = _segment_end(data, at, marker), at + 2
        yield marker, start, body, at


def _segment_end(data: bytes, at: int, marker: int) -> int:
    if marker not in _PICTURE and marker not in _APPS and marker != _COMMENT:
        raise _Malformed
    length = int.from_bytes(data[at : at + 2], "big")
    end = at + length
    if length < 2 or end > len(data):
        raise _Malformed
    if marker != _SOS:
        return end
    found = _NEXT_MARKER.search(data, end)
    if not found:
        raise _Malformed
    return found.start()


def _kept_segment(marker: int, segment: bytes, content: bytes, *, keep_profile: bool) -> bytes:
    if marker == 0xE0 and content.startswith(_JFIF) and len(content) >= _JFIF_BYTES:
        return _without_thumbnail(segment, content)
    needed = (
        marker in _PICTURE
        or marker == _EOI
        or (marker == 0xE2 and keep_profile and content.startswith(_ICC))
        or (marker == 0xEE and content.startswith(_ADOBE))
    )
    return segment if needed else b""


def _without_thumbnail(segment: bytes, content: bytes) -> bytes:
    """Give a JFIF segment without the small picture that it may hold."""
    if len(content) == _JFIF_BYTES:
        return segment
    return b"\xff\xe0" + (_JFIF_BYTES + 2).to_bytes(2, "big") + content[: _JFIF_BYTES - 2] + b"\x00\x00"


def _segment_name(marker: int, content: bytes) -> str:
    for each, begin, name in _SEGMENTS:
        if marker == each and content.startswith(begin):
            return name
    return "thumbnail" if marker == 0xE0 else f"APP{marker - _APPS.start}"


def _strip_webp(data: bytes, *, keep_profile: bool) -> Stripped | None:
    end = 8 + int.from_bytes(data[4:8], "little")
    try:
        chunks = list(_chunks(data, end))
    except _Malformed:
        return None
    if any(name in _ANIMATION for name, _ in chunks):
        return None
    needed = _WEBP_PICTURE | ({b"ICCP"} if keep_profile else set())
    removed = [_CHUNKS.get(name, name.decode("latin-1").strip()) for name, _ in chunks if name not in needed]
    if end < len(data):
        removed.append(f"{len(data) - end} bytes after the picture")
    if not removed:
        return Stripped(data)
    dropped_flags = _FLAG_EXIF | _FLAG_XMP | (0 if keep_profile else _FLAG_ICC)
    body = b"WEBP" + b"".join(
        _with_flags(chunk, dropped_flags) if name == b"VP8X" else chunk
        for name, chunk in chunks
        if name in needed
    )
    return Stripped(b"RIFF" + len(body).to_bytes(4, "little") + body, tuple(dict.fromkeys(removed)))


def _chunks(data: bytes, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Give each chunk's name, and the chunk with its header and padding."""
    at = 12
    if end > len(data):
        raise _Malformed
    while at < end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + length + length % 2
        if after > end:
            raise _Malformed
        yield data[at : at + 4], data[at:after]
        at = after


def _with_flags(chunk: bytes, dropped: int) -> bytes:
    return chunk[:8] + bytes([chunk[8] & ~dropped]) + chunk[9:]
