"""
Making one file a picture that TikTok takes, with as little change as that needs.

Imports Pillow: import this module where a picture is worked on, not before.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.colour import (
    Gamut,
    eight_bits,
    flattened,
    is_deep,
    is_opaque,
    read_profile,
    scalable,
    to_srgb,
)
from airflow_provider_tiktok.media.decode import opened
from airflow_provider_tiktok.media.framing import Frame, Size, framed, middle
from airflow_provider_tiktok.media.image import JPEG, MAX_PICTURE_BYTES, WEBP, PictureStyle
from airflow_provider_tiktok.media.metadata import strip_metadata

#: Lends memory for a picture's pixels, in bytes, for as long as they are worked on.
Room = Callable[[int], AbstractContextManager[None]]

#: What a JPEG is encoded with, best first, until it is small enough.
QUALITIES = (95, 90, 80, 65, 50)

#: A JPEG decodes to 1/2, 1/4 or 1/8 for a fraction of time and memory, if this much is left to scale down. A
#: photo shows no difference: 12 megapixels then need a quarter of the memory.
_DRAFT_GAP = 1.2
#: A large picture is first averaged to this many times its later size: not to be told from doing without.
_REDUCING_GAP = 3.0

#: A file that is right holds little besides its picture; a larger one is encoded anew, not taken apart.
_MOST_TO_STRIP = 4 * MAX_PICTURE_BYTES

_TYPES = {"JPEG": JPEG, "MPO": JPEG, "WEBP": WEBP}

#: Bytes of a pixel, with the copy that some modes need before they can be scaled.
_PIXEL_BYTES = {"1": 2, "L": 1, "RGB": 4, "CMYK": 4, "YCbCr": 4, "P": 5, "I;16": 10, "I;16B": 10, "F": 12}
_OTHER_PIXEL_BYTES = 12
#: What else is held of each pixel, by format or entry of Pillow's ``info``: coefficients of all scans;
#: canvases; samples of 32 bits; copies in which one colour is transparent, and in which it fades.
_MORE_BYTES = {
    "progressive": 6,
    "transparency": 8,
    "AVIF": 8,
    "HEIF": 8,
    "JPEG2000": 16,
    "WEBP": 12,
}
#: Of each row: Pillow's pointers to it, in a picture and a copy. Much, if a row is one pixel.
_ROW_BYTES = 16

_ORIENTATION = 0x0112
#: EXIF's orientation -> what makes the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = {5, 6, 7, 8}


@dataclass(frozen=True)
class Converted:
    """
    What a file became.

    :param data: the new file; None = the one that was there
    :param content_type: ``image/jpeg`` or ``image/webp``
    :param size: width and height in pixels
    :param changes: what was done, for the log
    """

    data: bytes | None
    content_type: str
    size: Size
    changes: tuple[str, ...] = ()


def convert(path: Path, name: str, style: PictureStyle, room: Room) -> Converted:
    """
    Decode a file to its end, and make it a picture that TikTok takes if it is none.

    :param path: the file
    :param name: of the picture, for errors and the log
    :param style: how it shall look
    :param room: lends memory
    :raises TikTokMediaError: it cannot be decoded; says why
    """
    with opened(path, name) as image:
        stored = image.size
        drafted = _draft(image, style)
        with room(_cost(image, stored) + path.stat().st_size):
            image.load()
            work = _Work(image, name, style, stored if drafted else image.size)
            return work.untouched(path) or work.converted()


def _draft(image: Image.Image, style: PictureStyle) -> bool:
    """Have a JPEG that is much too large decoded to a part of its size."""
    if image.format not in ("JPEG", "MPO"):
        return False
    frame = _frame(image.size, _orientation(image), style)
    least = [
        full * scaled / part * _DRAFT_GAP
        for full, scaled, part in zip(image.size, frame.scaled, frame.part, strict=True)
    ]
    before = image.size
    image.draft(None, (max(1, int(least[0])), max(1, int(least[1]))))
    return image.size != before


def _cost(image: Image.Image, stored: Size) -> int:
    pixels, all_pixels = image.width * image.height, stored[0] * stored[1]
    own = _PIXEL_BYTES.get(image.mode, _OTHER_PIXEL_BYTES)
    more = sum(bytes_ for key, bytes_ in _MORE_BYTES.items() if key == image.format or key in image.info)
    return pixels * own + all_pixels * more + stored[1] * _ROW_BYTES


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF is a TIFF of its own, and may be as broken as one
        return 1
    return found if found in _UPRIGHT else 1


def _frame(size: Size, orientation: int, style: PictureStyle) -> Frame:
    """Plan the upright picture, and give the plan for the one that lies as it is stored."""
    if orientation in _ON_ITS_SIDE:
        return framed(size[1], size[0], style).turned()
    return framed(*size, style)


class _Work:
    """
    One decoded picture.

    :param image: decoded, perhaps to a part of its size
    :param name: for the log
    :param style: how it shall look
    :param stored: its full size
    """

    def __init__(self, image: Image.Image, name: str, style: PictureStyle, stored: Size) -> None:
        self.image = image
        self.name = name
        self.style = style
        self.stored = stored
        self.orientation = _orientation(image)  # again: some formats apply or learn it while they decode
        self.frame = _frame(stored, self.orientation, style)
        self.profile = read_profile(image, name)

    def untouched(self, path: Path) -> Converted | None:
        """Give the file as it is, or only without its metadata, if that is all that it needs."""
        image = self.image
        content_type = _TYPES.get(image.format or "")
        right = (
            content_type
            and self.orientation == 1
            and self.frame.canvas == self.stored == image.size
            and self.profile.gamut is not Gamut.OTHER
            and image.mode in ("L", "RGB", "RGBA")
            and is_opaque(image)
            and path.stat().st_size <= _MOST_TO_STRIP
        )
        if not right or not content_type:
            return None
        # A JPEG's profile comes in parts: where some are missing, there is none, and the others go.
        keep_profile = bool(image.info.get("icc_profile")) and self.profile.gamut is not Gamut.BROKEN
        stripped = strip_metadata(path.read_bytes(), keep_profile=keep_profile)
        if stripped is None or len(stripped.data) > MAX_PICTURE_BYTES:
            return None
        if not stripped.removed:
            return Converted(None, content_type, image.size)
        return Converted(
            stripped.data, content_type, image.size, tuple(f"{each} removed" for each in stripped.removed)
        )

    def converted(self) -> Converted:
        """Give a JPEG of the picture."""
        image = eight_bits(self._scaled())
        if self.orientation != 1:
            image = image.transpose(_UPRIGHT[self.orientation])
        image = to_srgb(image, self.profile)
        opaque = is_opaque(image)
        canvas = self._upright(self.frame).canvas
        image = flattened(image, canvas, self.style.background)
        image.info = {}  # Pillow would write a comment of the source
        data, quality = _encoded(image, self.name)
        return Converted(data, JPEG, canvas, (*self._changes(opaque=opaque), f"JPEG quality {quality}"))

    def _scaled(self) -> Image.Image:
        """Give the part that is kept, in the size that it shall have."""
        image, frame = scalable(self.image), self.frame
        across, down = image.width / self.stored[0], image.height / self.stored[1]
        left, top, right, bottom = middle(self.stored, frame.part)
        if frame.scaled == frame.part == self.stored:
            return image
        box = (left * across, top * down, right * across, bottom * down)
        return image.resize(frame.scaled, Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)

    def _upright(self, frame: Frame) -> Frame:
        return frame.turned() if self.orientation in _ON_ITS_SIDE else frame

    def _changes(self, *, opaque: bool) -> list[str]:
        """Say what was done."""
        image, frame = self.image, self._upright(self.frame)
        kind = image.format or "picture"
        width, height = self.stored[::-1] if self.orientation in _ON_ITS_SIDE else self.stored
        canvas_width, canvas_height = frame.canvas
        table = (
            (f"{kind} -> JPEG", kind not in ("JPEG", "MPO")),
            (f"turned upright (EXIF orientation {self.orientation})", self.orientation != 1),
            ("cropped", frame.part != (width, height)),
            ("padded", frame.scaled != frame.canvas),
            (f"{width}x{height} -> {canvas_width}x{canvas_height}", (width, height) != frame.canvas),
            ("scaled to 8 bits", is_deep(image)),
            ("CMYK -> RGB", image.mode == "CMYK"),
            ("colours converted to sRGB", self.profile.gamut is Gamut.OTHER),
            (f"laid on {self.style.background}", not opaque),
        )
        return [what for what, done in table if done]


def _encoded(image: Image.Image, name: str) -> tuple[bytes, int]:
    """Give a JPEG within TikTok's limit, and its quality. Colours keep their full resolution, for text."""
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= MAX_PICTURE_BYTES:
            return file.getvalue(), quality
    raise TikTokMediaError(f"{name} stays above {MAX_PICTURE_BYTES} bytes as a JPEG of any quality.")
