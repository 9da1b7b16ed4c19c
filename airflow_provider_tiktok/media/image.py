"""What TikTok takes of a picture, and what a post may ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from airflow_provider_tiktok.exceptions import TikTokInputError

#: "1080p" (Media Transfer Guide, 2026-09-11): creators' reports show that it is the shorter side that counts.
SHORT_SIDE, LONG_SIDE = 1080, 1920
#: "Maximum of 20MB for each image" (Media Transfer Guide, 2026-09-11), taken at its narrower.
MAX_PICTURE_BYTES = 20_000_000

JPEG, WEBP = "image/jpeg", "image/webp"


class Fit(StrEnum):
    """How a picture is brought to a ratio of width and height."""

    #: Keep the picture's own.
    CONTAIN = "contain"
    #: Add to it, in the background's colour.
    PAD = "pad"
    #: Take its middle.
    CROP = "crop"


@dataclass(frozen=True)
class PictureStyle:
    """
    How the pictures of a post shall look.

    :param fit: how they get their ratio
    :param aspect_ratio: width divided by height, such as ``9 / 16``; needed by ``pad`` and ``crop``, None
        with ``contain``
    :param background: any colour that Pillow knows (``white``, ``#1a2b3c``, ``hsl(0,100%,50%)``): under what
        is transparent, and around a padded picture
    :raises TikTokInputError: the ratio is missing, or there is one too many, or it is no positive number
    """

    fit: Fit = Fit.CONTAIN
    aspect_ratio: float | None = None
    background: str = "white"

    def __post_init__(self) -> None:
        if self.fit not in list(Fit):
            raise TikTokInputError(f"fit is {self.fit!r}; it has to be one of {', '.join(Fit)}.")
        if self.fit == Fit.CONTAIN and self.aspect_ratio is not None:
            raise TikTokInputError(
                f"aspect_ratio is {self.aspect_ratio}, but fit='contain' keeps each picture's own ratio: "
                "choose fit='pad' or 'crop', or leave the ratio out."
            )
        if self.fit != Fit.CONTAIN and not _is_ratio(self.aspect_ratio):
            raise TikTokInputError(
                f"fit={str(self.fit)!r} needs an aspect_ratio, width divided by height, such as 9 / 16; "
                f"it is {self.aspect_ratio!r}."
            )


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


@dataclass(frozen=True)
class Picture:
    """
    A picture that TikTok takes.

    :param name: of what it was made from; may be shown
    :param path: the file that is to be staged
    :param content_type: ``image/jpeg`` or ``image/webp``
    :param width: pixels
    :param height: pixels
    :param size: bytes
    :param changes: what was done to it, for the log; empty = nothing: the file is the source, byte for byte
    """

    name: str
    path: Path
    content_type: str
    width: int
    height: int
    size: int
    changes: tuple[str, ...] = ()
