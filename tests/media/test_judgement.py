"""What of a video is refused before anything is sent: every fault at once, and nothing that TikTok takes."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.header import VideoFacts, read_facts
from airflow_provider_tiktok.media.judgement import check_facts
from airflow_provider_tiktok.sandbox.media import video_fault
from tests.media.clips import Bytes, clip

GOOD = VideoFacts("MP4", "h264", 1080, 1920, 30.0, False, 12.0, 29.9)


def changed(**changes: object) -> VideoFacts:
    return dataclasses.replace(GOOD, **changes)


def refusal(facts: VideoFacts, longest: int | None = None) -> str:
    with pytest.raises(TikTokMediaError) as caught:
        check_facts("clip.mp4", facts, longest=longest)
    return str(caught.value)


@pytest.mark.parametrize(
    "facts",
    [
        GOOD,
        *(changed(codec=codec) for codec in ("hevc", "vp8", "vp9", "")),
        changed(width=360, height=4096),
        changed(width=4096, height=360),
        changed(width=0, height=0),
        *(changed(frame_rate=rate) for rate in (23.0, 24000 / 1001, 22.98, 60.0, 60.02, 60.067, 60.24, None)),
        changed(duration=600.0),
        changed(duration=0.04),
        changed(duration=None),
    ],
    ids=str,
)
def test_what_tiktok_takes_or_the_header_does_not_tell(facts: VideoFacts, caplog) -> None:
    check_facts("clip.mp4", facts)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("facts", "measured", "limit", "cure"),
    [
        (changed(codec="mpeg4"), "mpeg4", "H.264, H.265, VP8, VP9", "-c:v libx264"),
        (changed(codec="av1"), "av1", "H.264, H.265, VP8, VP9", "-c:v libx264"),
        (changed(width=359, height=640), "359x640 px", "360 to 4096 px", "-vf"),
        (changed(height=4097), "1080x4097 px", "360 to 4096 px", "-vf"),
        (changed(width=200, height=4000), "200x4000 px", "360 to 4096 px", "crop or pad it"),
        (changed(frame_rate=22.97), "22.97 frames", "23 to 60", "-r 30"),
        (changed(frame_rate=60.25), "60.25 frames", "23 to 60", "-r 60"),
        (changed(frame_rate=60.3), "60.3 frames", "23 to 60", "-r 60"),
        (
            changed(frame_rate=15.0, is_variable_frame_rate=True),
            "15 frames a second on average",
            "23",
            "-r 30",
        ),
        (changed(duration=600.001), "600.001 s", "at most 600 s", "-t 599.9"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_fault_is_named_with_its_measure_its_limit_and_its_cure(
    facts: VideoFacts, measured: str, limit: str, cure: str
) -> None:
    said = refusal(facts)
    assert said.startswith("clip.mp4: TikTok would refuse this video")
    assert measured in said
    assert limit in said
    assert cure in said.partition("What to do: ")[2]


def test_all_faults_are_named_in_one_error() -> None:
    """Otherwise the next one is only found after the first is mended."""
    facts = changed(codec="mpeg4", width=320, height=240, frame_rate=120.0, duration=301.5)
    said = refusal(facts, longest=300)
    for measured in ("mpeg4", "320x240", "120 frames", "301.5 s"):
        assert measured in said
    command = shlex.split(said.partition("What to do: ")[2])
    assert command[0] == "ffmpeg"
    assert {"-vf", "-r", "-t", "-c:v"} <= set(command)


@pytest.mark.parametrize(
    ("longest", "limit", "who"),
    [
        (None, 600, "a developer"),
        (0, 600, "a developer"),
        (180, 180, "this creator"),
        (600, 600, "this creator"),
        (3600, 600, "a developer"),
    ],
)
def test_a_video_may_last_as_long_as_creator_and_developer_may_send(
    longest: int | None, limit: int, who: str
) -> None:
    check_facts("clip.mp4", changed(duration=float(limit)), longest=longest)
    assert f"{who} may send at most {limit} s" in refusal(changed(duration=limit + 0.01), longest)


def test_a_variable_rate_is_judged_by_its_average_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check_facts("clip.mp4", changed(is_variable_frame_rate=True, fastest_frame_rate=100.0))
    assert "clip.mp4: some frames come at 100 a second, on average at 30" in caplog.text


def test_the_jitter_of_a_phone_is_common(caplog: pytest.LogCaptureFixture) -> None:
    check_facts("clip.mp4", changed(is_variable_frame_rate=True, fastest_frame_rate=66.7))
    assert caplog.text == ""


SIZES = ((360, 360), (358, 640), (640, 360), (320, 240), (64, 64), (4098, 360))
RATES = (
    22,
    Fraction(24000, 1001),
    25,
    30,
    Fraction(60000, 1001),
    60,
    Fraction(6002, 100),
    Fraction(603, 10),
    120,
)
ENCODERS = ("libx264", "libx265", "mpeg4", "libvpx-vp9")


@settings(deadline=None, max_examples=40)
@given(
    container=st.sampled_from(("mp4", "mov")),
    encoder=st.sampled_from(ENCODERS),
    size=st.sampled_from(SIZES),
    rate=st.sampled_from(RATES),
    longest=st.sampled_from((1, 600)),
    gaps=st.none() | st.lists(st.integers(8, 60), min_size=7, max_size=7),
)
def test_what_passes_here_the_sandbox_takes(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory,
    container: str,
    encoder: str,
    size: tuple[int, int],
    rate: Fraction | int,
    longest: int,
    gaps: list[int] | None,
) -> None:
    """Two judges who share no code: the other reads the boxes itself, of MOV as far as it can."""
    pytest.importorskip("av")
    if container == "mov" and encoder == "libvpx-vp9":
        container = "mp4"  # FFmpeg writes none into MOV
    times = (0, *itertools.accumulate(gaps)) if gaps else None
    data = clip(container, encoder, size=size, rate=rate, times=times, scale=1000 if times else None)
    facts = read_facts(Bytes(data))
    assert facts is not None
    path = Path(tmp_path_factory.getbasetemp()) / f"judged.{container}"
    path.write_bytes(data)
    try:
        check_facts("clip", facts, longest=longest)
    except TikTokMediaError:
        return
    assert video_fault(path, "full", longest) == ""


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ("", {}),
        ("", {"rate": 60}),
        ("", {"rate": Fraction(24000, 1001)}),
        ("file_format_check_failed", {"codec": "mpeg4"}),
        ("picture_size_check_failed", {"size": (320, 240)}),
        ("frame_rate_check_failed", {"rate": 120}),
        ("frame_rate_check_failed", {"rate": 15}),
        ("duration_check_failed", {"frames": 40}),
    ],
)
def test_the_sandbox_refuses_the_same(tmp_path: Path, fault: str, made: dict) -> None:
    pytest.importorskip("av")
    data = clip(**made)
    (tmp_path / "clip.mp4").write_bytes(data)
    assert video_fault(tmp_path / "clip.mp4", "full", 1) == fault
    facts = read_facts(Bytes(data))
    assert facts is not None
    if fault:
        refusal(facts, longest=1)
    else:
        check_facts("clip", facts, longest=1)


def test_of_several_picture_streams_the_first_counts_here_and_in_the_sandbox(tmp_path: Path) -> None:
    """As of cameras that add a track of small previews."""
    pytest.importorskip("av")
    data = _with_track_of(clip(), clip(size=(160, 120)))
    facts = read_facts(Bytes(data))
    assert facts is not None
    assert (facts.width, facts.picture_streams) == (360, 2)
    (tmp_path / "clip.mp4").write_bytes(data)
    assert video_fault(tmp_path / "clip.mp4", "full", 600) == ""


def _with_track_of(data: bytes, other: bytes) -> bytes:
    """Give a video whose header, at its end, lists another one's track as well."""
    header, track = data.rindex(b"moov") - 4, other.rindex(b"trak") - 4
    length = int.from_bytes(other[track : track + 4], "big")
    body = data[header + 8 :] + other[track : track + length]
    return data[:header] + (len(body) + 8).to_bytes(4, "big") + b"moov" + body
