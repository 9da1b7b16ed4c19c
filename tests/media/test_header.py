"""What a video's header tells: read from a little of it however large it is, and whatever its bytes are."""

from __future__ import annotations

import builtins
import logging
import random
import struct
from collections.abc import Iterator
from enum import Flag, IntFlag
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.header import VideoFacts, _is_still, read_facts
from airflow_provider_tiktok.media.header_file import HeaderFile, first_pictures
from airflow_provider_tiktok.media.s3 import AwsLogin, S3Object
from tests.media.clips import Bytes, Counted, Store, clip, sound_alone, ten_minutes, with_hole

pytest.importorskip("av")

FASTSTART = (("movflags", "faststart"),)
FRAGMENTS = (("movflags", "frag_every_frame+empty_moov"),)
GB = 1024**3


def facts_of(data: bytes) -> VideoFacts:
    facts = read_facts(Bytes(data))
    assert facts is not None
    return facts


def printed(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What PyAV and FFmpeg print; our own log goes to stdout with Airflow 2."""
    out, err = capfd.readouterr()
    return [line for line in f"{out}{err}".splitlines() if "{header.py:" not in line]


class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("container", "encoder", "told"),
        [
            ("mp4", "libx264", ("MP4", "h264")),
            ("mov", "libx264", ("MOV", "h264")),
            ("mp4", "libx265", ("MP4", "hevc")),
            ("webm", "libvpx", ("WebM", "vp8")),
            ("webm", "libvpx-vp9", ("WebM", "vp9")),
            ("mp4", "libvpx-vp9", ("MP4", "vp9")),
            ("mp4", "mpeg4", ("MP4", "mpeg4")),
            ("mov", "prores_ks", ("MOV", "prores")),
            ("mp4", "libsvtav1", ("MP4", "av1")),
        ],
    )
    def test_container_codec_size_rate_and_duration(
        self, container: str, encoder: str, told: tuple[str, str]
    ) -> None:
        """The codec is named, not the decoder that this FFmpeg happens to have (libdav1d)."""
        facts = facts_of(clip(container, encoder))
        assert (facts.container, facts.codec) == told
        assert (facts.width, facts.height, facts.frame_rate) == (360, 640, 30.0)
        assert facts.duration == pytest.approx(8 / 30, abs=0.002)

    @pytest.mark.parametrize("rate", [Fraction(24000, 1001), 25, 30, Fraction(60000, 1001), 60, 120])
    def test_a_constant_frame_rate(self, rate: Fraction | int) -> None:
        facts = facts_of(clip(rate=rate, size=(64, 64)))
        assert facts.frame_rate == pytest.approx(float(rate))
        assert facts.is_variable_frame_rate is False

    def test_rounded_times_are_no_variable_frame_rate(self) -> None:
        """A scale of milliseconds makes 16, 17 and 17 ms of 60 frames a second: that is no jitter."""
        times = [round(index * 1000 / 60) for index in range(60)]
        facts = facts_of(clip(size=(64, 64), times=tuple(times), scale=1000))
        assert facts.is_variable_frame_rate is False
        assert facts.frame_rate == pytest.approx(60, abs=1)

    def test_a_variable_frame_rate(self) -> None:
        times = (*range(0, 320, 40), *range(320, 400, 10))
        facts = facts_of(clip(size=(64, 64), times=times, scale=1000))
        assert facts.is_variable_frame_rate is True
        assert facts.fastest_frame_rate == pytest.approx(100, rel=0.11)
        assert facts.frame_rate is not None
        assert 25 < facts.frame_rate < 60

    def test_a_table_of_too_many_frames_is_not_listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A flipped bit in it names sixteen million frames, which took seconds and a gigabyte."""
        monkeypatch.setattr("airflow_provider_tiktok.media.header._MOST_FRAMES", 7)
        facts = facts_of(clip())
        assert (facts.is_variable_frame_rate, facts.fastest_frame_rate, facts.frame_rate) == (
            None,
            None,
            30.0,
        )

    def test_cover_art_is_not_the_video(self) -> None:
        facts = facts_of(clip(cover=True))
        assert (facts.codec, facts.width, facts.picture_streams) == ("h264", 360, 1)

    def test_sound_beside_it_makes_it_longer(self) -> None:
        assert facts_of(clip(sound=True)).duration == pytest.approx(48 * 1024 / 48000, abs=0.05)

    def test_sound_alone_is_no_video(self) -> None:
        with pytest.raises(TikTokMediaError, match=r"clip: its header names no picture.*TikTok takes"):
            read_facts(Bytes(sound_alone()))

    def test_a_live_recording_does_not_tell_its_duration(self) -> None:
        facts = facts_of(clip("webm", "libvpx", options=(("live", "1"),)))
        assert (facts.codec, facts.duration) == ("vp8", None)

    def test_a_rate_that_webm_does_not_tell_is_not_guessed(self) -> None:
        """As of a browser's recorder: FFmpeg would take the milliseconds of its time scale for a rate."""
        data = clip("webm", "libvpx", options=(("live", "1"),))
        default_duration = data.index(b"\x23\xe3\x83\x84")
        void = data[:default_duration] + b"\xec\x86" + data[default_duration + 2 :]
        assert facts_of(void).frame_rate is None

    def test_a_frame_per_millisecond_is_no_rate_of_a_webm(self) -> None:
        """As FFmpeg writes it for a browser's recording that it copies: the clock's, not the frames'."""
        facts = facts_of(clip("webm", "libvpx", rate=1000, times=tuple(range(0, 1000, 33)), scale=1000))
        assert facts.frame_rate is None

    def test_fragments_without_an_index_are_summed_up(self) -> None:
        facts = facts_of(clip(options=FRAGMENTS, frames=32))
        assert facts.duration == pytest.approx(32 / 30, abs=0.01)
        assert facts.frame_rate == pytest.approx(30)

    def test_a_codec_that_ffmpeg_does_not_know_is_not_told(self) -> None:
        data = clip()
        facts = facts_of(data.replace(b"avc1", b"zzz1", 2))
        assert (facts.codec, facts.frame_rate) == ("", 30.0)

    @pytest.mark.parametrize("kind", [Flag, IntFlag])
    def test_a_still_is_told_whatever_pyav_calls_it(self, kind: type[Flag]) -> None:
        """A plain flag up to PyAV 17, which is no number; nothing at all in 12."""
        disposition = kind("Disposition", {"default": 1, "attached_pic": 0x400})
        assert _is_still(SimpleNamespace(disposition=disposition(0x401)))
        assert not _is_still(SimpleNamespace(disposition=disposition(1)))
        assert not _is_still(SimpleNamespace())

    def test_a_title_in_another_encoding_is_no_fault(self) -> None:
        path_to_title = clip().replace(b"Lavf", b"\xff\xfe\xe4\xf6")
        assert facts_of(path_to_title).codec == "h264"


@pytest.fixture(scope="module")
def four_gb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ten minutes at 60 frames a second in a sparse file of 4 GB, with the header at its end."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    with_hole(ten_minutes(), path, 4 * GB)
    yield path
    path.unlink()


class TestHowLittleIsRead:
    def test_four_gb_in_s3_with_the_header_at_the_end(self, four_gb: Path) -> None:
        """Through boto3 and HTTP, from a server on loopback that counts what it sends."""
        pytest.importorskip("boto3")
        header = ten_minutes()
        header_bytes = len(header) - header.rindex(b"moov") + 4
        with Store(four_gb).serving() as store:
            login = AwsLogin("key", "secret", endpoint_url=store.url, region_name="us-east-1")
            with S3Object("videos", "large.mp4", login) as source:
                assert source.size == 4 * GB
                facts = read_facts(source)
        assert facts is not None
        assert (facts.codec, facts.frame_rate) == ("h264", 60.0)
        assert facts.duration == pytest.approx(600, abs=0.05)
        assert store.sent < header_bytes + 100_000 < 1_100_000
        assert store.requests < 16

    @pytest.mark.parametrize("options", [(), FASTSTART])
    @pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
    def test_large_pictures_are_not_read_whole(self, codec: str, options: tuple) -> None:
        """FFmpeg wants the first picture: a megabyte of a 4K video."""
        data = clip("mp4", codec, size=(1280, 720), frames=2, noise=True, options=options)
        source = Bytes(data)
        facts = read_facts(source)
        assert len(data) > 1_000_000
        assert facts is not None
        assert (facts.width, facts.frame_rate) == (1280, 30.0)
        assert source.taken < 120_000

    def test_nor_in_webm(self) -> None:
        data = clip("webm", "libvpx", size=(1280, 720), frames=2, noise=True)
        source = Bytes(data)
        facts = read_facts(source)
        assert len(data) > 500_000
        assert facts is not None
        assert (facts.codec, facts.width, facts.frame_rate) == ("vp8", 1280, 30.0)
        assert facts.duration == pytest.approx(2 / 30, abs=0.002)
        assert source.taken < 280_000

    def test_a_header_at_the_start_is_read_once(self) -> None:
        """The pieces grow while FFmpeg reads on, and end where the pictures begin."""
        data = ten_minutes()
        header, mdat = data.rindex(b"moov") - 4, data.index(b"mdat") - 4
        source = Bytes(data[: mdat - 8] + data[header:] + data[mdat:header])
        assert facts_of(source.data).duration == pytest.approx(600, abs=0.05)
        assert read_facts(source)
        assert source.taken < len(data) - header + 100_000

    def test_does_not_download_a_whole_video_to_see_its_end(
        self, four_gb: Path, capfd, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Counted(four_gb, front_to_back=True) as source:
            assert read_facts(source) is None
            assert source.taken < 100_000
        assert "too far behind the beginning" in caplog.text
        assert printed(capfd) == []  # PyAV prints what a read raises

    def test_fragments_beyond_the_limit_leave_the_duration_untold(self, monkeypatch) -> None:
        """What was not read to its end is not judged: the sum of some fragments would be too short."""
        data = clip(options=FRAGMENTS, frames=32, size=(640, 360), noise=True)
        monkeypatch.setattr(HeaderFile, "MOST_READS", 12)
        facts = facts_of(data)
        assert (facts.codec, facts.width) == ("h264", 640)
        assert (facts.duration, facts.frame_rate) == (None, None)

    def test_a_header_beyond_the_limit_is_not_read(self, monkeypatch, caplog) -> None:
        monkeypatch.setattr(HeaderFile, "MOST", 100_000)
        source = Bytes(ten_minutes())
        assert read_facts(source) is None
        assert source.taken < 200_000
        assert "too far behind the beginning" in caplog.text


class TestFailures:
    @pytest.mark.parametrize("left", [1, 1000])
    def test_a_failing_read_is_not_taken_for_a_broken_video(self, left: int, capfd) -> None:
        """One is worth a retry, the other is not."""
        data = clip(frames=32, noise=True)
        with pytest.raises(TikTokMediaReadError, match="network is gone"):
            read_facts(Bytes(data, len(data) - left))
        assert printed(capfd) == []

    def test_a_playlist_never_makes_ffmpeg_open_other_files(self) -> None:
        with pytest.raises(TikTokMediaError, match="playlist"):
            read_facts(Bytes(b"#EXTM3U\nfile:///etc/passwd\n"))

    def test_a_header_that_is_cut_is_not_guessed_from(self) -> None:
        """FFmpeg would divide the file's size by the bit rate that some box names, and call it a duration."""
        data = clip()
        assert facts_of(data[: data.rindex(b"stco")]).duration is None

    def test_a_video_that_ends_too_soon_is_warned_of(self, caplog: pytest.LogCaptureFixture) -> None:
        """With its header in front it can be read, and looks right."""
        whole = clip(options=FASTSTART)
        assert facts_of(whole[:-200])
        assert f"would end at byte {len(whole)}, and it has {len(whole) - 200}" in caplog.text

    @pytest.mark.parametrize("length", [40, 600])
    def test_a_broken_header_is_warned_of(self, length: int, caplog: pytest.LogCaptureFixture, capfd) -> None:
        """FFmpeg's opinion is no reason to refuse what TikTok may take; and FFmpeg itself prints nothing."""
        assert read_facts(Bytes(clip()[:length])) is None
        assert [each.levelname for each in caplog.records] == ["WARNING"]
        assert "clip: its header cannot be read" in caplog.text
        assert printed(capfd) == []

    def test_a_good_header_leaves_the_log_alone(self, caplog: pytest.LogCaptureFixture, capfd) -> None:
        caplog.set_level(logging.DEBUG)
        facts_of(clip())
        assert caplog.text == ""
        assert printed(capfd) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: clip(size=(64, 64), sound=True), id="mp4"),
        pytest.param(lambda: clip("mov", size=(64, 64), options=FASTSTART), id="mov"),
        pytest.param(lambda: clip(size=(64, 64), options=FRAGMENTS), id="fragments"),
        pytest.param(lambda: clip("webm", "libvpx", size=(64, 64)), id="webm"),
    ],
)
def test_hostile_headers_give_an_answer(data) -> None:
    """Whatever is in them: facts that can be judged, None with a warning, or an error of ours."""
    good = data()
    begin = good.rindex(b"moov") if b"moov" in good else 0
    end = min(len(good), begin + 2000)

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(
        flips=st.lists(st.tuples(st.integers(begin, end - 1), st.integers(0, 255)), min_size=1, max_size=12),
        cut=st.integers(end // 2, len(good)) | st.none(),
    )
    def judged(flips: list[tuple[int, int]], cut: int | None) -> None:
        hostile = bytearray(good)
        for place, value in flips:
            hostile[place] = value
        source = Bytes(bytes(hostile[:cut]))
        try:
            facts = read_facts(source)
        except (TikTokMediaError, TikTokMediaReadError):
            return
        assert source.taken <= HeaderFile.MOST
        for number in (facts.duration, facts.frame_rate, facts.fastest_frame_rate) if facts else ():
            assert number is None or 0 < number < float("inf")

    judged()


def test_any_read_of_the_file_is_exact() -> None:
    """Seeks and reads of any kind give the bytes that lie there, and only a piece ends them early."""
    data = random.Random(7).randbytes(3_000_000)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.tuples(st.integers(0, len(data) + 10), st.integers(1, 700_000)), max_size=20))
    def exact(steps: list[tuple[int, int]]) -> None:
        file = HeaderFile(Bytes(data))
        for position, size in steps:
            assert file.seek(position) == file.tell() == position
            got = file.read(size)
            assert got == data[position : position + len(got)]
            assert got or position >= len(data)

    exact()


@pytest.mark.parametrize(
    ("mdat", "found"),
    [
        (struct.pack(">I4s", 100, b"mdat"), range(24, 124)),
        (struct.pack(">I4sQ", 1, b"mdat", 2**33), range(24, 24 + 2**33)),
        (struct.pack(">I4s", 0, b"mdat"), range(24, 324)),
        (struct.pack(">I4s", 3, b"free"), range(0)),
        (struct.pack(">I4s", 300, b"moov"), range(0)),
    ],
)
def test_the_first_pictures_are_found(mdat: bytes, found: range) -> None:
    """By lengths of 32 and 64 bits, and to the end of the file; broken boxes end the search."""
    file = HeaderFile(Bytes((struct.pack(">I4s", 24, b"ftyp") + bytes(16) + mdat).ljust(324, b"\0")))
    assert first_pictures(file) == found
    assert file.tell() == 0


def _without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "av":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)


def test_without_pyav_one_line_tells_what_is_not_checked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line a video: each task has a log of its own, and each must tell."""
    data = clip()
    _without_pyav(monkeypatch)
    caplog.set_level(logging.INFO)
    assert read_facts(Bytes(data)) is None
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert "codec, size, frame rate and duration are not checked" in said
    assert 'pip install "airflow-provider-tiktok[video]"' in said
