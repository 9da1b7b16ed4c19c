"""What kind of video it is: told from its bytes and not its name."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.video import content_type
from tests.media.clips import Bytes

EXAMPLES = Path(__file__).parents[2] / "example_dags" / "media"
SAMPLE = EXAMPLES / "sample.mp4"


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
