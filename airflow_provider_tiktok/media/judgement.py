"""What TikTok refuses of a video, found before anything is sent; limits and their tolerances are data."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.header import VideoFacts

log = logging.getLogger(__name__)

#: "MP4 (recommended), WebM, MOV; H.264 (recommended), H.265, VP8, VP9" (Media Transfer Guide, 2026-09-11),
#: as FFmpeg calls them, and as people do.
CODECS = {"h264": "H.264", "hevc": "H.265", "vp8": "VP8", "vp9": "VP9"}
#: Pixels of each side (the same page).
SMALLEST_SIDE, LARGEST_SIDE = 360, 4096
#: Frames a second (the same page).
SLOWEST, FASTEST = 23, 60
#: What is let through beyond: below, as far as NTSC's rates lie from whole ones; above, what rounded time
#: scales (60.02) and the jitter of short clips make of 60. TikTok has refused 60.3.
SLOWEST_TAKEN, FASTEST_TAKEN = SLOWEST * 1000 / 1001, 60.24
#: By which factor single frames may come faster before that is worth a warning: phones' clocks jitter so.
JITTER = 1.2
#: Seconds that a developer may send at most (the same page). No tolerance: TikTok documents none, and a
#: header tells its duration to the millisecond or better.
LONGEST_SECONDS = 600

#: Wider pictures leave the limits on the one side when they are scaled well into them on the other.
_WIDEST_RATIO = 5
_SCALE_UP = "-vf \"scale='if(gt(iw,ih),-2,720)':'if(gt(iw,ih),720,-2)'\""
_SCALE_DOWN = "-vf \"scale='if(gt(iw,ih),1920,-2)':'if(gt(iw,ih),-2,1920)'\""
_PAD = f"crop or pad it until no side is more than {_WIDEST_RATIO} times the other, then"
#: Seconds by which sound, which comes in frames of its own, may outlast what ``-t`` says.
_LAST_SOUND = 0.1
_ENCODE = "ffmpeg -i INPUT {options}-c:v libx264 -pix_fmt yuv420p -c:a aac OUTPUT.mp4"


@dataclass(frozen=True)
class _Fault:
    """What is wrong, the options of ``ffmpeg`` that mend it, and what must be done beside them."""

    what: str
    options: str = ""
    before: str = ""


def check_facts(name: str, facts: VideoFacts, *, longest: int | None = None) -> None:
    """
    See that TikTok will take a video, as far as its header tells (Media Transfer Guide, 2026-09-11).

    Codec, pixels of both sides, frame rate and duration are judged; what the header does not tell is left to
    TikTok. A frame rate may lie a little beyond 23 and 60 (22.977 to 60.24): TikTok has refused 60.3. A
    variable one is judged by its average, and warned of where frames come faster than 72 a second, 60 and
    their jitter. A duration has no tolerance. Of several picture streams the first counts.

    :param name: of the video
    :param facts: what its header tells
    :param longest: seconds that its creator may post at most (creator_info,
        ``max_video_post_duration_sec``); None or 0 = not known, as for drafts. 600 in any case
    :raises TikTokMediaError: TikTok would refuse it; names every reason
    """
    found = (_codec(facts), _size(facts), _rate(facts), _duration(facts, longest))
    faults = [fault for fault in found if fault]
    if faults:
        raise TikTokMediaError(
            f"{name}: TikTok would refuse this video (Media Transfer Guide). {_told(faults)}"
        )
    if facts.is_variable_frame_rate and (facts.fastest_frame_rate or 0) > FASTEST * JITTER:
        log.warning(
            "%s: some frames come at %.6g a second, on average at %.6g. TikTok takes %d to %d and may judge "
            "a variable frame rate by its fastest frames; ffmpeg's option -r makes it constant.",
            name,
            facts.fastest_frame_rate,
            facts.frame_rate or 0,
            SLOWEST,
            FASTEST,
        )


def _codec(facts: VideoFacts) -> _Fault | None:
    if not facts.codec or facts.codec in CODECS:
        return None
    return _Fault(f"Its codec is {facts.codec}; TikTok takes {', '.join(CODECS.values())}.")


def _size(facts: VideoFacts) -> _Fault | None:
    short, long = sorted((facts.width, facts.height))
    if not short or (short >= SMALLEST_SIDE and long <= LARGEST_SIDE):
        return None
    sides = f"{SMALLEST_SIDE} to {LARGEST_SIDE} px"
    what = f"It has {facts.width}x{facts.height} px; TikTok takes {sides} on each side."
    if long > short * _WIDEST_RATIO:
        return _Fault(what, before=_PAD)
    return _Fault(what, _SCALE_UP if short < SMALLEST_SIDE else _SCALE_DOWN)


def _rate(facts: VideoFacts) -> _Fault | None:
    rate = facts.frame_rate
    if not rate or SLOWEST_TAKEN <= rate <= FASTEST_TAKEN:
        return None
    average = " on average" if facts.is_variable_frame_rate else ""
    what = f"It has {rate:.6g} frames a second{average}; TikTok takes {SLOWEST} to {FASTEST}."
    return _Fault(what, "-r 60" if rate > FASTEST else "-r 30")


def _duration(facts: VideoFacts, longest: int | None) -> _Fault | None:
    limit = min(longest or LONGEST_SECONDS, LONGEST_SECONDS)
    if facts.duration is None or facts.duration <= limit:
        return None
    who = "this creator" if longest and longest <= LONGEST_SECONDS else "a developer"
    what = f"It lasts {facts.duration:.7g} s; {who} may send at most {limit} s."
    return _Fault(what, f"-t {limit - _LAST_SOUND}")


def _told(faults: list[_Fault]) -> str:
    options = "".join(f"{fault.options} " for fault in faults if fault.options)
    before = "".join(f"{fault.before} " for fault in faults if fault.before)
    return f"{' '.join(fault.what for fault in faults)} What to do: {before}{_ENCODE.format(options=options)}"
