"""What a video is: told from its bytes and not its name, and from its header alone, however large it is."""

from __future__ import annotations

import builtins
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.local import LocalFile
from airflow_provider_tiktok.media.readable import MediaSource, within
from airflow_provider_tiktok.media.video import content_type, duration_seconds

EXAMPLES = Path(__file__).parents[2] / "example_dags" / "media"
SAMPLE = EXAMPLES / "sample.mp4"


class Bytes(MediaSource):
    """Bytes in memory, which can fail and which count what is read of them."""

    def __init__(self, data: bytes, fails_at: int | None = None) -> None:
        self.name, self.size, self.data, self.fails_at, self.taken = "clip", len(data), data, fails_at, 0

    def read(self, start: int, length: int) -> bytes:
        within(self, start, length)
        if self.fails_at is not None and start + length > self.fails_at:
            raise TikTokMediaReadError("clip: the network is gone")
        self.taken += length
        return self.data[start : start + length]

    def close(self) -> None:
        pass


class Counted(MediaSource):
    """A local file that counts what is read of it."""

    def __init__(self, path: Path, *, front_to_back: bool = False) -> None:
        self.file, self.taken, self.front_to_back = LocalFile(str(path)), 0, front_to_back
        self.name, self.size = self.file.name, self.file.size

    def read(self, start: int, length: int) -> bytes:
        self.taken += length
        return self.file.read(start, length)

    def close(self) -> None:
        self.file.close()


def _ftyp(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x02\x00isommp42" + bytes(40)


def _ebml(doctype: bytes) -> bytes:
    return (
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82" + bytes([0x80 | len(doctype)]) + doctype + bytes(40)
    )


class TestContentType:
    @pytest.mark.parametrize(
        ("head", "expected"),
        [
            *(
                (_ftyp(brand), "video/mp4")
                for brand in (b"isom", b"mp42", b"M4V ", b"avc1", b"iso5", b"dash")
            ),
            (_ftyp(b"qt  "), "video/quicktime"),
            *(
                (b"\0\0\0\x08" + atom + bytes(40), "video/quicktime")
                for atom in (b"moov", b"mdat", b"wide", b"free")
            ),
            (_ebml(b"webm"), "video/webm"),
            (_ebml(b"webm\0\0"), "video/webm"),
        ],
    )
    def test_what_tiktok_takes(self, head: bytes, expected: str) -> None:
        assert content_type(Bytes(head)) == expected

    @pytest.mark.parametrize(
        ("head", "what"),
        [
            (_ebml(b"matroska"), "Matroska"),
            (_ftyp(b"M4A "), "M4A audio"),
            (_ftyp(b"heic"), "HEIC"),
            (_ftyp(b"avif"), "AVIF"),
            (_ftyp(b"mif1"), "HEIF"),
            (b"RIFF\1\2\3\4AVI LIST", "AVI"),
            (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture"),
            (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG picture"),
            (b"GIF89a" + bytes(20), "a GIF picture"),
            (b"FLV\x01" + bytes(20), "Flash"),
            (b"ID3\x04" + bytes(20), "MP3"),
            (b"\x47" + bytes(187) + b"\x47" + bytes(20), "transport stream"),
            (b"\n<!DOCTYPE html><html>", "an HTML page"),
            (b'<?xml version="1.0"?><Error>', "XML"),
            (b"#EXTM3U\n#EXT-X-VERSION:3", "playlist"),
            (b"version https://git-lfs.github.com/spec/v1\n", "text"),
            (b'{"error": "not found"}', "text"),
            (bytes(100), "nothing but zero bytes"),
            (b"\x01", "no known video"),
            (b"\x93\x82 whatever \xfe\x01", "no known video"),
        ],
    )
    def test_anything_else_is_named(self, head: bytes, what: str) -> None:
        """TikTok itself would only answer, hours later, that the format check failed."""
        with pytest.raises(TikTokMediaError, match=f"clip looks like .*{what}.*TikTok takes MP4"):
            content_type(Bytes(head))

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("clip.mp4", "video/mp4"),
            ("CLIP.MOV", "video/quicktime"),
            ("https://host/a/clip.webm", "video/webm"),
        ],
    )
    def test_unknown_bytes_go_by_their_name(self, name: str, expected: str) -> None:
        """What cannot be told is TikTok's to judge; what is surely something else never is."""
        unknown, picture = Bytes(b"\x93\x82 whatever \xfe\x01"), Bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
        unknown.name = picture.name = name
        assert content_type(unknown) == expected
        with pytest.raises(TikTokMediaError, match="a PNG picture"):
            content_type(picture)


class TestDuration:
    @pytest.fixture(autouse=True)
    def _pyav(self) -> None:
        pytest.importorskip("av")

    def test_of_the_sample(self) -> None:
        with Counted(SAMPLE) as source:
            assert duration_seconds(source) == pytest.approx(5.0)

    @pytest.fixture
    def header_last(self, tmp_path: Path) -> bytes:
        import av

        plain = tmp_path / "plain.mp4"
        with av.open(str(SAMPLE)) as old, av.open(str(plain), "w") as new:
            streams = {each.index: new.add_stream_from_template(each) for each in old.streams}
            for packet in old.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    new.mux(packet)
        return plain.read_bytes()

    @pytest.fixture
    def large(self, tmp_path: Path, header_last: bytes) -> Path:
        """A video with 300 MB between its pictures and the header at its end."""
        data, header = header_last, header_last.rindex(b"moov") - 4
        assert header > data.index(b"mdat")
        path, gap = tmp_path / "large.mp4", 300_000_000
        with path.open("wb") as file:
            file.write(data[:header] + gap.to_bytes(4, "big") + b"free")
            file.seek(gap - 8, 1)
            file.write(data[header:])
        return path

    def test_reads_the_header_alone(self, large: Path) -> None:
        with Counted(large) as source:
            assert source.size > 300_000_000
            assert duration_seconds(source) == pytest.approx(5.0, abs=0.1)
            assert source.taken < 600_000

    def test_does_not_download_a_whole_video_to_see_its_end(self, large: Path, capfd) -> None:
        with Counted(large, front_to_back=True) as source:
            assert duration_seconds(source) is None
            assert source.taken < 600_000
        assert capfd.readouterr() == ("", "")  # PyAV prints what a read raises

    @pytest.mark.parametrize(("container", "codec"), [("webm", "libvpx"), ("mov", "libx264")])
    def test_of_other_containers(self, tmp_path: Path, container: str, codec: str) -> None:
        path = _video(tmp_path, container, codec, {})
        with Counted(path) as source:
            assert duration_seconds(source) == pytest.approx(2.0, abs=0.1)

    def test_a_live_recording_does_not_say(self, tmp_path: Path) -> None:
        with Counted(_video(tmp_path, "webm", "libvpx", {"live": "1"})) as source:
            assert duration_seconds(source) is None

    @pytest.mark.parametrize("length", [40, 2000, 6000])
    def test_a_broken_header_is_warned_of(self, length: int, caplog: pytest.LogCaptureFixture) -> None:
        """FFmpeg's opinion is no reason to refuse what TikTok may take."""
        assert duration_seconds(Bytes(SAMPLE.read_bytes()[:length])) is None
        assert "header cannot be read" in caplog.text

    def test_a_title_in_another_encoding_is_no_fault(self) -> None:
        data = SAMPLE.read_bytes()
        title = data.index(b"airflow-provider-tiktok: sample")
        source = Bytes(data[:title] + b"\xff\xfe\xe4" + data[title + 3 :])
        assert duration_seconds(source) in (None, pytest.approx(5.0))  # as PyAV's version has it

    def test_a_playlist_never_makes_ffmpeg_open_other_files(self) -> None:
        with pytest.raises(TikTokMediaError, match="playlist"):
            duration_seconds(Bytes(b"#EXTM3U\nfile:///etc/passwd\n"))

    @pytest.mark.parametrize("left", [1, 300_000])
    def test_a_failing_read_is_not_taken_for_a_broken_video(self, header_last: bytes, left: int) -> None:
        """One is worth a retry, the other is not."""
        with pytest.raises(TikTokMediaReadError, match="network is gone"):
            duration_seconds(Bytes(header_last, len(header_last) - left))

    def test_sound_alone_is_no_video(self, tmp_path: Path) -> None:
        import av

        path = tmp_path / "sound.mp4"
        with av.open(str(SAMPLE)) as old, av.open(str(path), "w") as new:
            stream = new.add_stream_from_template(old.streams.audio[0])
            for packet in old.demux(old.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
        with Counted(path) as source, pytest.raises(TikTokMediaError, match="names no picture"):
            duration_seconds(source)


def test_without_pyav_the_duration_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "av":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert duration_seconds(Bytes(SAMPLE.read_bytes())) is None


def _video(folder: Path, container: str, codec: str, options: dict[str, str]) -> Path:
    import av

    path = folder / f"clip.{container}"
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=30, options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 36, 64, "yuv420p"
        for index in range(60):
            frame = av.VideoFrame(36, 64, "yuv420p")
            frame.pts = index
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


class TestSample:
    """The video of the examples is one that TikTok takes and every browser plays."""

    def test_keeps_tiktoks_rules(self) -> None:
        av = pytest.importorskip("av")
        with av.open(str(SAMPLE)) as container:
            picture, sound = container.streams.video[0], container.streams.audio[0]
            codec = picture.codec_context
            told = SimpleNamespace(
                codec=(codec.name, codec.codec_tag, codec.pix_fmt, sound.codec_context.name),
                size=(codec.width, codec.height),
                rate=picture.average_rate,
                profile=codec.profile,
            )
            shown = sum(1 for _ in container.decode(video=0))
        assert told.codec == ("h264", "avc1", "yuv420p", "aac")
        assert told.size == (720, 1280)
        assert (told.rate, shown) == (30, 150)
        assert told.profile in ("Main", "Constrained Baseline", "Baseline")

    def test_is_small_and_begins_with_its_header(self) -> None:
        data = SAMPLE.read_bytes()
        assert len(data) < 400_000
        assert data.index(b"moov") < data.index(b"mdat")

    def test_is_made_by_the_script_beside_it(self) -> None:
        pytest.importorskip("av")
        script = runpy.run_path(str(EXAMPLES / "make_sample.py"), run_name="make_sample")
        assert script["SECONDS"] * script["FRAMES_PER_SECOND"] == 150
        assert script["frame"](75).size == (720, 1280)
