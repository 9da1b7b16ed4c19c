"""
Bringing a picture's colours to what TikTok shows: 8 bits of red, green and blue, in sRGB, not transparent.

Imports Pillow: import this module where a picture is worked on, not before.
"""

from __future__ import annotations

import io
import logging
import math
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product

from PIL import Image, ImageChops, ImageCms

log = logging.getLogger(__name__)

_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_GREYS = {"1", "L", "LA", "La", *_DEEP_MODES}
#: What a mode that cannot be scaled as it is becomes first.
_SCALABLE = {"1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "HSV": "RGB"}

#: A file's white where the mode does not tell, from dark to bright.
_WHITES = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}
#: Formats whose integers are always 16 bits.
_SIXTEEN_BITS = {"PNG", "PPM", "JPEG2000"}
_BITS_PER_SAMPLE = 258  # TIFF's tag

#: A picture's kind -> an ICC profile's colour space -> the mode that the profile speaks of.
_PROFILED = {
    "grey": {"GRAY": "L", "RGB ": "RGB"},
    "colour": {"RGB ": "RGB"},
    "CMYK": {"CMYK": "CMYK"},
}
#: sRGB profiles differ by rounding; the eye does not see this much of 255.
_SAME = 4
#: The levels of red, green and blue that are compared; close in the darks, where gammas differ most.
_LEVELS = (0, 8, 16, 24, 32, 51, 102, 153, 204, 255)


def is_deep(image: Image.Image) -> bool:
    """
    Tell whether a picture has more than 8 bits.

    :param image: decoded
    """
    return image.mode in _DEEP_MODES


def scalable(image: Image.Image) -> Image.Image:
    """
    Give a picture in a mode that can be scaled without loss.

    Palettes become colours; 16-bit and float samples become a float between 0 and 255, still with their
    fractions and, after scaling, overshoots: see :func:`eight_bits`.

    :param image: decoded, in any mode
    """
    if is_deep(image):
        low, high = _span(image)
        image.info.pop("transparency", None)  # Pillow cannot key a colour out of these
        scale = 255 / ((high - low) or 1)
        floats = image.convert("F")
        return floats.point(lambda value: value * scale - low * scale)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if image.mode in ("1", "L", "P", "RGB") and image.has_transparency_data:
        return image.convert("RGBA")
    mode = _SCALABLE.get(image.mode, image.mode)
    return image if mode == image.mode else image.convert(mode)


def eight_bits(image: Image.Image) -> Image.Image:
    """
    Give a picture in 8 bits a sample.

    :param image: what :func:`scalable` gave, scaled or not
    """
    return image.point(lambda value: value + 0.5).convert("L") if image.mode == "F" else image


def _span(image: Image.Image) -> tuple[float, float]:
    """
    Give the values that mean black and white.

    Where neither mode nor format tells, white is the lowest usual one that the picture stays below and comes
    near to; failing that, its own darkest and brightest are black and white.
    """
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
        return 0.0, float(2 ** (bits if 8 < bits < 16 else 16) - 1)
    if image.mode == "I" and image.format in _SIXTEEN_BITS:
        return 0.0, 65535.0
    low, high = (float(each) for each in image.getextrema())  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    white = next((each for each in _WHITES[image.mode] if high <= each), math.inf)
    first = white == _WHITES[image.mode][0]
    return (0.0, white) if low >= 0 and (first or high > white / 16) else (low, high)


class Gamut(Enum):
    """What a picture's ICC profile asks for."""

    #: Nothing: there is none, or it is sRGB's.
    SRGB = auto()
    #: To be forgotten: it cannot be used.
    BROKEN = auto()
    #: A conversion.
    OTHER = auto()


@dataclass(frozen=True)
class Profile:
    """
    A picture's ICC profile, judged.

    :param gamut: what it asks for
    :param mode: of the pictures that it describes: ``L``, ``RGB`` or ``CMYK``
    :param transform: to sRGB, if that is another one
    """

    gamut: Gamut = Gamut.SRGB
    mode: str = ""
    transform: ImageCms.ImageCmsTransform | None = None


def read_profile(image: Image.Image, name: str) -> Profile:
    """
    Judge a picture's ICC profile by what it does to colours, whatever it is called.

    One that is broken, or of another kind of picture, is left aside, with a warning.

    :param image: as it was opened
    :param name: of the picture, for the log
    """
    data = image.info.get("icc_profile")
    if not data:
        return Profile()
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(data))
        mode = _described(source.profile.xcolor_space, image.mode)
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        same = mode != "CMYK" and _changes_nothing(transform, mode)
    except Exception as error:  # a profile is a small program; much can be wrong with it
        log.warning(
            "%s: its ICC profile cannot be used (%s); its colours are taken for sRGB.",
            name,
            type(error).__name__,
        )
        return Profile(Gamut.BROKEN)
    return Profile(Gamut.SRGB) if same else Profile(Gamut.OTHER, mode, transform)


def _described(colour_space: str, mode: str) -> str:
    """Give the mode that a profile speaks of; KeyError if it is not for pictures of this one."""
    kind = "CMYK" if mode == "CMYK" else "grey" if mode in _GREYS else "colour"
    return _PROFILED[kind][colour_space]


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    probe = _probe().convert(mode)
    shown = ImageCms.applyTransform(probe, transform)
    if shown is None:
        return False
    difference = ImageChops.difference(probe.convert("RGB"), shown)
    return max(difference.tobytes()) <= _SAME


def _probe() -> Image.Image:
    """Give a picture with colours from all of the RGB cube."""
    colours = [bytes(colour) for colour in product(_LEVELS, repeat=3)]
    return Image.frombytes("RGB", (len(colours), 1), b"".join(colours))


def to_srgb(image: Image.Image, profile: Profile) -> Image.Image:
    """
    Give a picture in sRGB's red, green and blue, its transparency kept.

    :param image: in 8 bits
    :param profile: its own
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if profile.transform is None:
        colours = image.convert("RGB")
    else:
        colours = ImageCms.applyTransform(image.convert(profile.mode), profile.transform) or image
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def is_opaque(image: Image.Image) -> bool:
    """
    Tell whether nothing of a picture is transparent.

    :param image: decoded
    """
    if image.mode in ("LA", "RGBA"):
        return image.getchannel("A").getextrema()[0] == 255
    return not image.has_transparency_data


def flattened(image: Image.Image, size: tuple[int, int], background: str) -> Image.Image:
    """
    Lay a picture in the middle of a plain one.

    :param image: RGB or RGBA, not larger than ``size``
    :param size: of the finished picture, in pixels
    :param background: the plain picture's colour
    """
    if image.mode == "RGB" and image.size == size:
        return image
    canvas = Image.new("RGB", size, background)
    left, top = (size[0] - image.width) // 2, (size[1] - image.height) // 2
    canvas.paste(image, (left, top), image.getchannel("A") if image.mode == "RGBA" else None)
    return canvas
