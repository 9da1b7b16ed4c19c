"""Metadata goes, pixels stay."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_tiktok.media.metadata import strip_metadata
from tests.media import pictures
from tests.media.pictures import (
    GPS_SECRET,
    RIGHT,
    TALKATIVE,
    exif,
    made,
    profile,
    sample,
    saved,
    with_segment,
)

STRIPPED = {
    "gps.jpg": ("EXIF",),
    "comment.jpg": ("comment",),
    "xmp.jpg": ("XMP",),
    "iptc.jpg": ("IPTC",),
    "motion photo.jpg": ("31 bytes after the picture",),
    "gps.webp": ("EXIF",),
    "xmp.webp": ("XMP",),
}


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA").tobytes()


@pytest.mark.parametrize("name", [*TALKATIVE])
def test_nothing_private_is_left_and_no_pixel_changes(name: str) -> None:
    stripped = strip_metadata(made(name))
    assert stripped is not None
    assert stripped.removed == STRIPPED.get(name, stripped.removed)
    assert GPS_SECRET not in stripped.data
    assert b"Exif" not in stripped.data
    assert pixels(stripped.data) == pixels(made(name))
    with Image.open(io.BytesIO(stripped.data)) as image:
        image.load()
        assert not image.getexif()


@pytest.mark.parametrize("name", [*RIGHT])
def test_a_file_without_metadata_is_given_back(name: str) -> None:
    stripped = strip_metadata(made(name))
    assert stripped is not None
    assert stripped.data == made(name)
    assert not stripped.removed


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_profile_stays_unless_it_shall_go(kind: str) -> None:
    data = saved(sample(), kind, exif=exif(), icc_profile=profile("sRGB"))
    kept, dropped = strip_metadata(data), strip_metadata(data, keep_profile=False)
    assert kept is not None
    assert dropped is not None
    assert Image.open(io.BytesIO(kept.data)).info["icc_profile"] == profile("sRGB")
    assert "icc_profile" not in Image.open(io.BytesIO(dropped.data)).info


def test_what_a_decoder_needs_of_a_jpeg_stays() -> None:
    """Without Adobe's segment a JPEG of red, green and blue would be shown as YCbCr."""
    data = with_segment(saved(sample(), "JPEG", keep_rgb=True), 0xEC, b"Ducky" + GPS_SECRET)
    assert b"Adobe" in data
    stripped = strip_metadata(data)
    assert stripped is not None
    assert stripped.removed == ("APP12",)
    assert pixels(stripped.data) == pixels(data)


def test_a_thumbnail_in_the_jfif_segment_goes() -> None:
    """It may show what was there before the picture was cropped."""
    jpeg = saved(sample(), "JPEG")
    header = jpeg[6:20]
    thumbnail = header[:12] + b"\x02\x01" + b"SECRET"
    data = jpeg[:2] + b"\xff\xe0" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + jpeg[20:]
    stripped = strip_metadata(data)
    assert stripped is not None
    assert stripped.removed == ("thumbnail",)
    assert stripped.data == jpeg


def test_fill_bytes_between_segments_are_understood() -> None:
    jpeg = saved(sample(), "JPEG", exif=exif())
    assert strip_metadata(jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        saved(sample(), "PNG"),
        saved(sample(), "JPEG")[:-2],
        saved(sample(), "JPEG")[:200],
        made("animated.webp"),
        made("plain.webp")[:-4],
        saved(sample(), "JPEG").replace(b"\xff\xc0", b"\xff\xc9"),
    ],
)
def test_what_has_to_be_encoded_anew(data: bytes) -> None:
    """Other formats, what is cut short, animations and arithmetic coding."""
    assert strip_metadata(data) is None


def test_a_webp_says_no_longer_that_it_has_metadata() -> None:
    """A decoder that believes the flags would take a stripped file for a broken one."""
    stripped = strip_metadata(saved(sample(), "WEBP", exif=exif(), xmp=b"<x/>", icc_profile=profile()))
    assert stripped is not None
    assert stripped.data[12:16] == b"VP8X"
    assert stripped.data[20] == 0x20
    assert int.from_bytes(stripped.data[4:8], "little") == len(stripped.data) - 8


@given(data=st.data())
@pytest.mark.parametrize("name", ["gps.jpg", "xmp.webp"])
def test_a_damaged_file_is_stripped_or_left(name: str, data: st.DataObject) -> None:
    """Neither an exception nor a file that has grown, wherever a byte is wrong or the file ends."""
    damaged = bytearray(made(name))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(4, len(damaged)))])
    stripped = strip_metadata(cut)
    assert stripped is None or len(stripped.data) <= len(cut)
    if stripped is not None:
        again = strip_metadata(stripped.data)
        assert again is not None
        assert again.data == stripped.data


def test_the_samples_hold_what_they_are_to_lose() -> None:
    """Otherwise the tests above would prove nothing."""
    assert all(
        pictures.GPS_SECRET in made(name) for name in TALKATIVE if "profile" not in name or "gps" in name
    )
