"""
What TikTok checks of the bytes themselves (Media transfer guide, 2026-09-11), as far as it can be told here.

Video: the container by its first bytes; of MP4 and MOV also codec, pixel size, frame rate and duration, where
the header is readable. Photos: JPEG or WebP that Pillow opens, pixels and bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_PHOTO_BYTES, MAX_PHOTO_BYTES_NARROW = 20 * 1024**2, 20_000_000
MAX_VIDEO_SECONDS = 600
SHORT_SIDE, LONG_SIDE = 1080, 1920
VIDEO_SIDE = range(360, 4096 + 1)
# NTSC rates and rounded time scales lie a little beside the whole numbers.
SLOWEST, FASTEST = 22.97, 60.25
CODECS = {b"avc1", b"avc3", b"hvc1", b"hev1", b"vp08", b"vp09"}

FORMAT, DURATION, FRAME_RATE, PICTURE_SIZE = (
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
)

_MOOV_LIMIT = 64 * 1024**2
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


def video_type(head: bytes) -> str:
    """
    The media type of a video's first bytes; empty if TikTok does not take it.

    :param head: at least 12 bytes.
    """
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "video/quicktime"
    return "video/webm" if head[:4] == b"\x1a\x45\xdf\xa3" else ""


def picture_type(head: bytes) -> str:
    """
    The media type of a picture's first bytes; empty if TikTok does not take it.

    :param head: at least 12 bytes.
    """
    if head[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def media_type(path: Path) -> str:
    """
    The media type of a stored file.

    :param path: which.
    """
    with path.open("rb") as file:
        head = file.read(16)
    return video_type(head) or picture_type(head) or "application/octet-stream"


@dataclass
class VideoHeader:
    """What an MP4 or MOV header tells of its picture; zeros where it does not."""

    seconds: float = 0.0
    codec: bytes = b""
    width: int = 0
    height: int = 0
    frames_per_second: float = 0.0


def video_fault(path: Path, check: str, longest: int) -> str:
    """
    The ``fail_reason`` of a video; empty if it is fine.

    :param path: the file.
    :param check: the knob ``media_check``.
    :param longest: seconds this creator may post.
    """
    if check == "off":
        return ""
    with path.open("rb") as file:
        kind = video_type(file.read(16))
        if not kind:
            return FORMAT
        header = None if kind == "video/webm" else read_header(file)
    if header is None:
        return FORMAT if check == "full" and kind != "video/webm" else ""
    return _header_fault(header, longest)


def _header_fault(header: VideoHeader, longest: int) -> str:
    rate = header.frames_per_second
    verdicts = (
        (FORMAT, header.codec not in CODECS),
        (DURATION, header.seconds > min(longest, MAX_VIDEO_SECONDS)),
        (PICTURE_SIZE, header.width not in VIDEO_SIDE or header.height not in VIDEO_SIDE),
        (FRAME_RATE, bool(rate) and not SLOWEST <= rate <= FASTEST),
    )
    return next((reason for reason, bad in verdicts if bad), "")


def read_header(file: BinaryIO) -> VideoHeader | None:
    """
    The facts in a file's ``moov`` box; None if there is none, or none with a video track.

    :param file: seekable.
    """
    moov = _find_moov(file)
    if moov is None:
        return None
    header, seconds = VideoHeader(), 0.0
    try:
        for name, body in _boxes(moov):
            if name == b"mvhd":
                seconds = _duration(body)
            elif name == b"trak":
                header = header if header.codec else _read_track(body)
    except struct.error:
        return None
    header.seconds = seconds
    return header if header.codec else None


def _find_moov(file: BinaryIO) -> bytes | None:
    file.seek(0)
    while len(head := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        begin = 8
        if size == 1:
            size, begin = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0], 16
        if size < begin:
            return None
        if name == b"moov":
            body = file.read(min(size - begin, _MOOV_LIMIT))
            return body if len(body) == size - begin else None
        file.seek(size - begin, 1)
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, data[at + 8 : at + size]
        at += size


def _duration(body: bytes) -> float:
    """Seconds of an ``mvhd`` or ``mdhd`` box."""
    scale, length = (
        struct.unpack_from(">IQ", body, 20) if body[:1] == b"\1" else struct.unpack_from(">II", body, 12)
    )
    return float(length) / float(scale) if scale else 0.0


def _read_track(trak: bytes) -> VideoHeader:
    found: dict[bytes, bytes] = {}
    pending = [trak]
    while pending:
        for name, body in _boxes(pending.pop()):
            if name in _CONTAINERS:
                pending.append(body)
            else:
                # the first: a MOV has a second hdlr, in minf, that tells of its data
                found.setdefault(name, body)
    if found.get(b"hdlr", b"")[8:12] != b"vide" or b"stsd" not in found or b"tkhd" not in found:
        return VideoHeader()
    width, height = struct.unpack(">II", found[b"tkhd"][-8:])
    stts = found.get(b"stts", b"\0" * 8)
    frames = sum(struct.unpack_from(">I", stts, at)[0] for at in range(8, len(stts) - 7, 8))
    seconds = _duration(found[b"mdhd"]) if b"mdhd" in found else 0.0
    return VideoHeader(
        codec=found[b"stsd"][12:16],
        width=width >> 16,
        height=height >> 16,
        frames_per_second=frames / seconds if seconds else 0.0,
    )


def photo_fault(path: Path, check: str, most_bytes: int) -> str:
    """
    The ``fail_reason`` of a photo; empty if it is fine.

    :param path: the file.
    :param check: the knob ``media_check``; ``off`` checks nothing.
    :param most_bytes: how large it may be.
    """
    if check == "off":
        return ""
    from PIL import Image, UnidentifiedImageError

    with path.open("rb") as file:
        if not picture_type(file.read(16)) or path.stat().st_size > most_bytes:
            return FORMAT
    try:
        with Image.open(path) as image:
            short, long = sorted(image.size)
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return FORMAT
    return "" if short <= SHORT_SIDE and long <= LONG_SIDE else PICTURE_SIZE
