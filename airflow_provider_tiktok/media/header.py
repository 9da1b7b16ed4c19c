"""What a video's header tells, read with PyAV where that is installed (extra ``video``)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.header_file import HeaderFile, first_pictures
from airflow_provider_tiktok.media.readable import MediaSource
from airflow_provider_tiktok.media.video import MP4, QUICKTIME, TAKES, WEBM, content_type

log = logging.getLogger(__name__)

#: Media type -> what people call it, and FFmpeg's reader for it. Named, never guessed: FFmpeg would take
#: a text file for a playlist and open the files it lists.
_FORMATS = {MP4: ("MP4", "mov"), QUICKTIME: ("MOV", "mov"), WEBM: ("WebM", "matroska")}

#: The header tells what is asked here, so FFmpeg need not look at more than the first picture.
_FFMPEG_OPTIONS = {"probesize": "32", "analyzeduration": "1"}
#: Bytes of pictures that are read at most; in WebM, where the header has no end of its own, of everything.
_MOST_PICTURES, _MOST_WEBM = 64 * 1024, 256 * 1024

#: Frames whose distances are looked at: a broken table can name a thousand million.
_MOST_FRAMES = 1_000_000

#: FFmpeg's dispositions of streams that hold a still: attached_pic and timed_thumbnails.
_STILL = 0x400 | 0x800

_WITHOUT_PYAV = (
    "%s: codec, size, frame rate and duration are not checked before it is sent: PyAV is not installed. "
    'To have them checked, pip install "airflow-provider-tiktok[video]"'
)

_CUT_SHORT = (
    "%s: its pictures would end at byte %d, and it has %d: it was not written or copied to its end, so "
    "TikTok may refuse it."
)


@dataclass(frozen=True)
class VideoFacts:
    """
    What a video's header tells. What it does not tell is empty, 0 or None.

    :param container: ``MP4``, ``MOV`` or ``WebM``
    :param codec: as FFmpeg calls it: ``h264``, ``hevc``, ``vp8``, ``vp9``, ``mpeg4``, ``av1``, ``prores`` ...
    :param width: pixels as stored. A rotation to be applied on showing would swap the sides, which have the
        same limits, and is therefore not read
    :param height: pixels as stored
    :param frame_rate: average frames a second
    :param is_variable_frame_rate: whether the distances of the frames differ by more than a tenth, one tick
        of the time scale being rounding; told by MP4 and MOV only
    :param fastest_frame_rate: frames a second where they follow each other fastest; told by the same
    :param duration: seconds, of the longest stream
    :param picture_streams: how many there are, cover art not counted; the first one is described
    """

    container: str
    codec: str
    width: int
    height: int
    frame_rate: float | None
    is_variable_frame_rate: bool | None
    duration: float | None
    fastest_frame_rate: float | None = None
    picture_streams: int = 1


def read_facts(source: MediaSource, kind: str = "") -> VideoFacts | None:
    """
    Read what a video's header tells, and little else: some hundred KB of a video of any size.

    :param source: the video
    :param kind: its media type; empty = to be told from its first bytes
    :return: None where PyAV (extra ``video``) is not installed, or the header cannot be read, or is too far
        into something that can only be read from front to back: the log says which, and TikTok judges
    :raises TikTokMediaError: it holds no picture, or is no video at all
    :raises TikTokMediaReadError: it could not be read
    """
    try:
        import av  # large, and an extra
    except ImportError:
        log.info(_WITHOUT_PYAV, source.name)
        return None
    container, reader = _FORMATS[kind or content_type(source)]
    file = HeaderFile(source)
    pictures, most = range(source.size), _MOST_WEBM
    if reader == "mov":
        pictures, most = first_pictures(file), _MOST_PICTURES
    file.spare(pictures, most)
    facts, broken = None, ""
    try:
        with av.open(file, "r", format=reader, options=_FFMPEG_OPTIONS, **_titles(av)) as opened:
            facts = _told(opened, container, whole=not file.too_far)
            broken = "" if opened.streams else "it is empty"
    except (av.error.FFmpegError, ValueError, ArithmeticError, LookupError) as error:
        broken = type(error).__name__
    if file.failure:
        raise file.failure
    if facts is None and (file.too_far or broken):
        why = "it lies too far behind the beginning" if file.too_far else broken
        log.warning("%s: its header cannot be read (%s), so only TikTok will judge it.", source.name, why)
    elif facts is None:
        raise TikTokMediaError(f"{source.name}: its header names no picture. {TAKES}")
    elif pictures.stop > source.size:
        log.warning(_CUT_SHORT, source.name, pictures.stop, source.size)
    return facts


def _titles(av: Any) -> dict[str, Any]:
    """Have PyAV bear a title in another encoding, which says nothing about the video, as 19 always does."""
    return {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}


def _told(opened: Any, container: str, *, whole: bool) -> VideoFacts | None:
    """Tell what FFmpeg has read; None if no picture."""
    pictures = [each for each in opened.streams.video if not _is_still(each)]
    if not pictures:
        return None
    stream = pictures[0]
    codec = stream.codec_context  # None for a codec that FFmpeg does not know
    shortest, longest = _gaps(stream)
    return VideoFacts(
        container=container,
        codec=_codec_name(codec),
        width=codec.width if codec else 0,
        height=codec.height if codec else 0,
        frame_rate=_rate(container, stream) if whole else None,
        is_variable_frame_rate=longest - 1 > shortest * 1.1 if shortest else None,
        duration=None if not whole or _guessed(container, stream) else _seconds(opened.duration),
        fastest_frame_rate=1 / float(shortest * stream.time_base) if shortest else None,
        picture_streams=len(pictures),
    )


def _is_still(stream: Any) -> bool:
    """Tell cover art, which mostly comes last: PyAV 12 tells no dispositions, and up to 17 no numbers."""
    disposition = getattr(stream, "disposition", 0)
    return bool(getattr(disposition, "value", disposition) & _STILL)


def _guessed(container: str, stream: Any) -> bool:
    """Tell whether FFmpeg has no table of frames, where it guesses a duration by file size and bit rate."""
    return container != "WebM" and not len(getattr(stream, "index_entries", "unknown"))  # PyAV 12 has none


def _rate(container: str, stream: Any) -> float | None:
    """Give the average rate; in WebM a frame per tick is none: FFmpeg writes that where it knows no other."""
    rate = stream.average_rate
    unknown = not rate or (container == "WebM" and rate * stream.time_base >= 1)
    return None if unknown else float(rate)


def _seconds(millionths: int | None) -> float | None:
    return millionths / 1_000_000 if millionths and millionths > 0 else None


def _codec_name(codec: Any) -> str:
    """Name the codec and not its decoder, which PyAV 12 cannot tell apart."""
    return str(getattr(codec.codec, "canonical_name", "") or codec.name) if codec else ""


def _gaps(stream: Any) -> tuple[int, int]:
    """Give the shortest and longest distance of two frames in ticks; zeros where not every frame is known."""
    entries = getattr(stream, "index_entries", ())  # PyAV 12 has none
    if len(entries) != stream.frames or len(entries) > _MOST_FRAMES:
        return 0, 0
    times = [each.timestamp for each in entries]
    gaps = [after - before for before, after in pairwise(times) if after > before]
    return (min(gaps), max(gaps)) if gaps else (0, 0)
