"""Pictures of every kind, from a file to what TikTok takes."""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from airflow_provider_tiktok.exceptions import TikTokInputError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media import carousel, convert, decode
from airflow_provider_tiktok.media.carousel import Budget, prepare_pictures
from airflow_provider_tiktok.media.image import Fit, Picture, PictureStyle
from airflow_provider_tiktok.media.local import LocalFile
from airflow_provider_tiktok.media.readable import MediaSource
from airflow_provider_tiktok.sandbox.media import photo_fault
from tests.media.pictures import (
    BAD,
    BLACK_AND_WHITE,
    COLOURS,
    GPS_SECRET,
    HALF_CLEAR,
    QUARTERED,
    QUARTERS,
    RIGHT,
    TAKEN,
    TALKATIVE,
    exif,
    grey_profile,
    half_clear,
    made,
    noisy,
    png,
    profile,
    sample,
    saved,
    with_segment,
)

LIMIT = 20_000_000


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Picture]:
    """Prepare one picture, and see that the sandbox takes it."""

    def run(data: bytes, style: PictureStyle = PictureStyle()) -> Picture:  # noqa: B008
        source, folder = tmp_path / "source", tmp_path / "prepared"
        source.write_bytes(data)
        folder.mkdir(exist_ok=True)
        [picture] = prepare_pictures([str(source)], LocalFile, folder, style)
        assert photo_fault(picture.path, "full", LIMIT) == ""
        assert picture.name == str(source)
        assert picture.size == picture.path.stat().st_size
        with Image.open(picture.path) as image:
            assert image.size == (picture.width, picture.height)
            assert Image.MIME[image.format or ""] == picture.content_type
        assert [each.name for each in folder.iterdir()] == [picture.path.name], "only the result is left"
        return picture

    return run


def shown(picture: Picture) -> Image.Image:
    with Image.open(picture.path) as image:
        return image.convert("RGB")


def at(image: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    """The mean colour around a place, given as parts of the sides."""
    left, top = int(image.width * x), int(image.height * y)
    part = image.crop((left - 4, top - 4, left + 4, top + 4))
    red, green, blue = ImageStat.Stat(part).mean
    return round(red), round(green), round(blue)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", [*RIGHT])
def test_a_picture_that_is_right_stays_as_it_is(name: str, prepare: Callable[..., Picture]) -> None:
    picture = prepare(made(name))
    assert picture.path.read_bytes() == made(name)
    assert picture.changes == ()


@pytest.mark.parametrize("name", [*TALKATIVE])
def test_a_picture_that_only_tells_too_much_keeps_its_pixels(
    name: str, prepare: Callable[..., Picture]
) -> None:
    picture = prepare(made(name))
    data = picture.path.read_bytes()
    assert GPS_SECRET not in data
    assert b"no profile" not in data
    assert picture.changes
    assert all(change.endswith("removed") for change in picture.changes)
    with Image.open(io.BytesIO(made(name))) as image:
        assert ImageChops.difference(image.convert("RGB"), shown(picture)).getbbox() is None


@pytest.mark.parametrize("name", [*QUARTERED])
def test_what_is_shown_stays_the_same_and_upright(name: str, prepare: Callable[..., Picture]) -> None:
    """Orientation, CMYK, palettes, 16 bits, first frames: all of them show the same four quarters."""
    picture = prepare(made(name))
    image = shown(picture)
    assert picture.content_type == "image/jpeg"
    for corner, (x, y) in zip(
        QUARTERS, [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)], strict=True
    ):
        wanted = COLOURS[QUARTERS[corner]]
        assert near(at(image, x, y), wanted), f"{corner}: {at(image, x, y)}, not {wanted}"
    assert GPS_SECRET not in picture.path.read_bytes()


@pytest.mark.parametrize("name", [*BLACK_AND_WHITE])
def test_black_stays_black_and_white_white(name: str, prepare: Callable[..., Picture]) -> None:
    """16 bits and floats are scaled, not clipped."""
    image = shown(prepare(made(name)))
    assert near(at(image, 0.25, 0.5), (0, 0, 0), 3)
    assert near(at(image, 0.75, 0.5), (255, 255, 255), 3)


def test_sixteen_bits_are_scaled_not_clipped(prepare: Callable[..., Picture]) -> None:
    image = shown(prepare(saved(Image.new("I;16", (32, 32), 0x8000), "PNG")))
    assert near(at(image, 0.5, 0.5), (128, 128, 128), 2)


@pytest.mark.parametrize("name", [name for name in HALF_CLEAR if "deep" not in name])
@pytest.mark.parametrize(("background", "colour"), [("white", (255, 255, 255)), ("#00f", (0, 0, 255))])
def test_the_transparent_shows_the_background(
    name: str, background: str, colour: tuple[int, ...], prepare: Callable[..., Picture]
) -> None:
    image = shown(prepare(made(name), PictureStyle(background=background)))
    assert near(at(image, 0.25, 0.5), (255, 0, 0))
    assert near(at(image, 0.75, 0.5), colour)


def test_half_of_a_transparency_is_half_of_the_background(prepare: Callable[..., Picture]) -> None:
    image = shown(prepare(saved(Image.new("RGBA", (32, 32), (0, 0, 0, 128)), "PNG")))
    assert near(at(image, 0.5, 0.5), (127, 127, 127), 3)


@pytest.mark.parametrize("name", [*TAKEN])
def test_everything_is_taken_in_every_fit(name: str, prepare: Callable[..., Picture]) -> None:
    """No kind of picture fails, and each canvas gets its ratio."""
    for fit in (Fit.PAD, Fit.CROP):
        picture = prepare(made(name), PictureStyle(fit, 9 / 16))
        if min(picture.width, picture.height) > 9:
            assert abs(picture.width / picture.height - 9 / 16) < 0.02
        picture.path.unlink()


def test_padding_is_the_background_and_cropping_takes_the_middle(prepare: Callable[..., Picture]) -> None:
    image = shown(prepare(made("rgb.png"), PictureStyle(Fit.PAD, 0.5, "magenta")))
    assert image.size == (64, 128)
    assert near(at(image, 0.5, 0.1), (255, 0, 255))
    assert near(at(image, 0.25, 0.4), COLOURS["red"])
    image = shown(prepare(made("turned 6.jpg"), PictureStyle(Fit.CROP, 0.5)))
    assert image.size == (24, 48)
    assert near(at(image, 0.25, 0.25), COLOURS["red"], 40)
    assert near(at(image, 0.75, 0.75), COLOURS["yellow"], 40)


def test_a_wide_gamut_is_brought_to_srgb(prepare: Callable[..., Picture]) -> None:
    """Display P3's (200, 100, 60) is a more saturated colour than sRGB's; lcms is not asked here."""
    picture = prepare(
        saved(Image.new("RGB", (32, 32), (200, 100, 60)), "JPEG", icc_profile=profile(), quality=100)
    )
    assert near(at(shown(picture), 0.5, 0.5), (216, 93, 43), 4)
    assert "colours converted to sRGB" in picture.changes
    with Image.open(picture.path) as image:
        assert "icc_profile" not in image.info


def test_a_profile_that_differs_from_srgb_in_the_darks_only_is_applied(
    prepare: Callable[..., Picture],
) -> None:
    """A gamma of 2.2 is nearly sRGB's curve: by 9 of 255 darker at 13, by 3 at most above 51."""
    dark = Image.new("RGB", (32, 32), (20, 20, 20))
    picture = prepare(saved(dark, "PNG", icc_profile=profile("sRGB", 2.2)))
    assert near(at(shown(picture), 0.5, 0.5), (12, 12, 12), 1)


def test_a_grey_profile_is_applied(prepare: Callable[..., Picture]) -> None:
    picture = prepare(saved(Image.new("L", (32, 32), 64), "PNG", icc_profile=grey_profile(1.0)))
    assert near(at(shown(picture), 0.5, 0.5), (137, 137, 137), 3)


def test_transparency_outlives_the_profile(prepare: Callable[..., Picture]) -> None:
    image = shown(prepare(saved(half_clear(), "PNG", icc_profile=profile())))
    assert near(at(image, 0.75, 0.5), (255, 255, 255))


def test_a_broken_profile_is_left_aside_with_a_warning(
    prepare: Callable[..., Picture], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prepare(saved(sample(), "PNG", icc_profile=b"nonsense" * 30))
    assert "its ICC profile cannot be used" in caplog.text


def test_parts_of_a_profile_that_is_not_all_there_go(prepare: Callable[..., Picture]) -> None:
    part = b"ICC_PROFILE\0\1\2" + GPS_SECRET
    picture = prepare(with_segment(saved(sample(), "JPEG"), 0xE2, part))
    assert picture.changes == ("colour profile removed",)
    assert GPS_SECRET not in picture.path.read_bytes()


def test_a_reduced_decode_shows_what_a_full_one_shows(
    prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 12-megapixel JPEG is decoded to a part of its size, and must not be shifted or blurred by it."""
    photo = noisy((250, 190)).resize((4000, 3000), Image.Resampling.BICUBIC)
    data = saved(photo, "JPEG", quality=95)
    sizes, resize = [], Image.Image.resize

    def seen(image: Image.Image, *args: Any, **kwargs: Any) -> Image.Image:
        sizes.append(image.size)
        return resize(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", seen)
    picture = prepare(data)
    assert sizes[0] == (2000, 1500)
    assert (picture.width, picture.height) == (1440, 1080)
    with Image.open(io.BytesIO(data)) as full:
        wanted = resize(full.convert("RGB"), (1440, 1080), Image.Resampling.LANCZOS)
    error = ImageStat.Stat(ImageChops.difference(wanted, shown(picture))).rms
    assert max(error) < 4, "3 of it is the JPEG's own; a shift by one pixel of the source makes 17"


def test_too_many_bytes_are_encoded_anew_with_less_quality(
    prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(noisy((500, 500)), "JPEG", quality=98)
    monkeypatch.setattr(convert, "MAX_PICTURE_BYTES", len(data) // 2)
    picture = prepare(data)
    assert picture.size <= len(data) // 2
    assert picture.changes[-1] in {f"JPEG quality {each}" for each in convert.QUALITIES[1:]}


def test_a_picture_that_stays_too_large_is_refused(
    prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "MAX_PICTURE_BYTES", 1000)
    with pytest.raises(TikTokMediaError, match="stays above 1000 bytes"):
        prepare(saved(noisy((500, 500)), "PNG"))


def test_the_worst_picture_is_within_tiktoks_bytes(prepare: Callable[..., Picture]) -> None:
    """Coloured noise of the largest size, from a PNG: nothing makes a larger JPEG."""
    assert prepare(saved(noisy((1080, 1920)), "PNG", compress_level=1)).size < LIMIT


@pytest.mark.parametrize("name", [*BAD])
def test_a_bad_file_is_named_with_its_reason(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(made(name) or b"")
    with pytest.raises(TikTokMediaError) as caught:
        prepare_pictures([str(tmp_path / name)], lambda _: Bytes(name, made(name)), tmp_path)
    assert f"picture 1: {name} " in str(caught.value)
    assert BAD[name][1] in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_postscript_needs_a_program(prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", False)
    with pytest.raises(TikTokMediaError, match="Ghostscript"):
        prepare(saved(sample(), "EPS"))


def test_heic_without_its_extra_says_what_to_install(
    prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [each for each in Image.ID if each != "HEIF"])
    monkeypatch.setattr(decode, "_add_heif", lambda: None)
    with pytest.raises(TikTokMediaError, match=r"airflow-provider-tiktok\[heif\]"):
        prepare(b"\0\0\0\x1cftypheic" + bytes(100))


@pytest.mark.parametrize(
    "error",
    [
        SyntaxError("x"),
        IndexError("x"),
        MemoryError(),
        RecursionError("x"),
        KeyError("x"),
        AssertionError(),
        Image.DecompressionBombError("x"),
        Image.DecompressionBombWarning("x"),
    ],
)
def test_whatever_a_codec_raises_names_the_file(
    error: Exception, prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another library's text is not repeated: it may hold the path of a temporary file, or worse."""

    def load(_: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(TikTokMediaError, match=r"picture 1: .*source (is|has|needs) "):
        prepare(made("plain.bmp"))


def test_pillows_limit_counts_where_it_is_set_and_where_it_is_not(
    prepare: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between once and twice the limit Pillow only warns; a limit taken away elsewhere is none of ours."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with pytest.raises(TikTokMediaError, match="has 3072 pixels, and more than 3000 are not decoded"):
        prepare(made("plain.bmp"))
    prepare(made("plain.jpg"))  # a phone's 108 megapixels: decoded to a part of its size
    with pytest.raises(TikTokMediaError, match="3072 pixels, and more than 3000"):
        prepare(made("progressive.jpg"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(TikTokMediaError, match="900000000 pixels"):
        prepare(made("bomb.png"))
    prepare(made("plain.bmp"))


def test_pillow_does_not_warn_into_the_log(prepare: Callable[..., Picture]) -> None:
    """Neither of bombs nor of broken EXIF; and a filter that somebody has chosen stays first."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        warnings.simplefilter("default", FutureWarning)
        prepare(made("no exif.jpg"))
        with pytest.raises(TikTokMediaError):
            prepare(png(10_000, 10_000, 8, 2, b""))
        assert warnings.filters[0][2] is FutureWarning
    assert [str(each.message) for each in seen] == []


class Bytes(MediaSource):
    """A source in memory, which may fail."""

    def __init__(self, name: str, data: bytes, error: Exception | None = None) -> None:
        self.name = name
        self.size = len(data)
        self.data = data
        self.error = error
        self.closed = False

    def read(self, start: int, length: int) -> bytes:
        if self.error:
            raise self.error
        assert length <= 1024 * 1024, "in pieces"
        return self.data[start : start + length]

    def close(self) -> None:
        self.closed = True


def opener(sources: dict[str, Bytes | Exception]) -> Callable[[str], MediaSource]:
    def run(uri: str) -> MediaSource:
        found = sources[uri]
        if isinstance(found, Exception):
            raise found
        return found

    return run


def failed(
    sources: dict[str, Bytes | Exception], folder: Path, uris: Sequence[str] = ()
) -> TikTokMediaError | TikTokMediaReadError:
    with pytest.raises((TikTokMediaError, TikTokMediaReadError)) as caught:
        prepare_pictures(uris or [*sources], opener(sources), folder)
    return caught.value


def test_every_bad_picture_is_named_in_one_error(tmp_path: Path) -> None:
    """Also the one that does not exist, twice where it occurs twice, and the one to be read later."""
    sources: dict[str, Bytes | Exception] = {
        "a": Bytes("a.jpg", made("plain.jpg")),
        "b": Bytes("b.jpg", made("short.jpg")),
        "c": TikTokMediaError("c.jpg does not exist."),
        "d": Bytes("d.jpg", b"x" * 100, TikTokMediaReadError("d.jpg could not be read.")),
        "e": Bytes("e.jpg", b"<html>"),
    }
    error = failed(sources, tmp_path, ["a", "b", "c", "d", "e", "b"])
    assert isinstance(error, TikTokMediaError)
    text = str(error)
    assert text.startswith("5 of 6 pictures")
    for line in (
        "picture 2: b.jpg is cut short",
        "picture 3: c.jpg does not exist.",
        "picture 4: d.jpg could not be read.",
        "picture 5: e.jpg is an HTML page",
        "picture 6: b.jpg is cut short",
    ):
        assert line in text
    assert "picture 1" not in text
    assert all(source.closed for source in sources.values() if isinstance(source, Bytes))


def test_what_a_retry_may_cure_is_retried(tmp_path: Path) -> None:
    sources: dict[str, Bytes | Exception] = {
        "a": Bytes("a.jpg", made("plain.jpg")),
        "b": TikTokMediaReadError("b.jpg did not answer."),
        "c": Bytes("c.jpg", b"x", TikTokMediaReadError("c.jpg broke off.")),
    }
    error = failed(sources, tmp_path)
    assert isinstance(error, TikTokMediaReadError)
    assert "picture 2: b.jpg did not answer." in str(error)
    assert "picture 3: c.jpg broke off." in str(error)


def test_a_full_disk_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    error = failed({"a": Bytes("a.jpg", made("plain.jpg"))}, tmp_path / "missing")
    assert isinstance(error, TikTokMediaReadError)
    assert "a.jpg could not be kept on the worker's disk" in str(error)
    assert str(tmp_path) not in str(error)


def test_a_mistake_of_our_own_is_not_dressed_up(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        prepare_pictures(["a"], opener({"a": ZeroDivisionError()}), tmp_path)


def test_a_file_that_is_far_too_large_is_not_fetched(tmp_path: Path) -> None:
    source = Bytes("a.png", b"x")
    source.size = carousel.MAX_SOURCE_BYTES + 1
    assert "is not fetched" in str(failed({"a": source}, tmp_path))


def test_an_unknown_background_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(TikTokInputError, match="blurple"):
        prepare_pictures(["a"], opener({}), tmp_path, PictureStyle(background="blurple"))


def test_the_order_stays_and_a_picture_may_occur_twice(tmp_path: Path) -> None:
    names = ["rgb.png", "plain.jpg", "large.jpg", "gps.webp", "plain.jpg", "alpha.png"]
    opened: list[str] = []

    def open_one(uri: str) -> MediaSource:
        opened.append(uri)
        return Bytes(uri, made(uri))

    found = prepare_pictures(names, open_one, tmp_path)
    assert [picture.name for picture in found] == names
    assert found[1] == found[4]
    assert sorted(opened) == sorted(set(names))
    assert len({picture.path for picture in found}) == 5


def test_no_pictures_are_no_work(tmp_path: Path) -> None:
    assert prepare_pictures([], opener({}), tmp_path) == []


def test_sources_are_opened_one_at_a_time_and_decoded_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3's default session is not made for threads; and no core is idle, or has two pictures."""
    decoding = Crowd(together=2)
    original, opened, workshops = convert.convert, carousel._Workshop._opened, []

    def open_one(uri: str) -> MediaSource:
        assert workshops[0]._opening.locked()
        return Bytes(uri, made("rgb.png"))

    def open_door(workshop: carousel._Workshop, uri: str) -> MediaSource:
        workshops.append(workshop)
        return opened(workshop, uri)

    def convert_one(*args: Any) -> convert.Converted:
        with decoding:
            return original(*args)

    monkeypatch.setattr(carousel, "_cores", lambda: 2)
    monkeypatch.setattr(convert, "convert", convert_one)
    monkeypatch.setattr(carousel._Workshop, "_opened", open_door)
    prepare_pictures([f"{number}.png" for number in range(8)], open_one, tmp_path)
    assert decoding.most == 2


class Crowd:
    """Counts how many threads are in a block at once; holds each back until so many are together."""

    def __init__(self, together: int) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.together = threading.Barrier(together, timeout=60)

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.together.wait()

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


def test_the_budget_lets_in_what_fits_and_a_giant_alone() -> None:
    budget = Budget(100)
    assert budget._fits(1000)
    with budget.room(60):
        assert budget._fits(40)
        assert not budget._fits(41)
        with budget.room(10):
            assert not budget._fits(31)
    with budget.room(1000):
        assert not budget._fits(0)
    assert budget._fits(1000)


def test_who_fails_gives_its_room_back() -> None:
    budget = Budget(100)
    with pytest.raises(ValueError, match="x"), budget.room(100):
        raise ValueError("x")
    with budget.room(100):
        pass


@pytest.mark.skipif("TIKTOK_PICTURES" not in os.environ, reason="TIKTOK_PICTURES names no folder of pictures")
def test_a_folder_of_pictures(tmp_path: Path) -> None:
    """Each file becomes what the sandbox takes, or a named error; what Pillow can load is always taken."""
    decode.make_ready()
    wrong = []
    for number, path in enumerate(sorted(Path(os.environ["TIKTOK_PICTURES"]).rglob("*"))):
        if not path.is_file() or not path.stat().st_size:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            [picture] = prepare_pictures([str(path)], LocalFile, folder)
            if fault := photo_fault(picture.path, "full", LIMIT):
                wrong.append(f"{path.name}: {fault}")
            picture.path.unlink()
        except TikTokMediaError as error:
            if str(path) not in str(error) or _loads(path):
                wrong.append(f"{path.name}: {error}")
    assert wrong == []


def _loads(path: Path) -> bool:
    """Tell whether Pillow loads a file within its limit."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            small = image.width * image.height <= decode.MAX_PIXELS
            image.load()
            return small
    except Exception:
        return False


def test_exif_is_in_the_samples() -> None:
    assert GPS_SECRET in exif()
