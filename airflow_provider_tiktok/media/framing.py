"""How large a picture becomes, and which part of it is kept: numbers only."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_tiktok.media.image import LONG_SIDE, SHORT_SIDE, Fit, PictureStyle

Size = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """
    What becomes of a picture's pixels. All sizes are (width, height), at least 1 px a side.

    :param part: the middle of the source that is kept
    :param scaled: what that part is scaled to
    :param canvas: the finished picture, with ``scaled`` in its middle
    """

    part: Size
    scaled: Size
    canvas: Size

    def turned(self) -> Frame:
        """Give the same frame for a picture that lies on its side."""
        return Frame(self.part[::-1], self.scaled[::-1], self.canvas[::-1])


def framed(width: int, height: int, style: PictureStyle) -> Frame:
    """
    Plan a picture: never larger than it is, and within TikTok's limits.

    A picture whose sides are within 1 px of the asked ratio has that ratio.

    :param width: pixels of the upright picture
    :param height: likewise
    :param style: what is asked of it
    """
    part: tuple[float, float] = (width, height)
    canvas = part
    ratio = style.aspect_ratio
    if ratio is not None and not _has_ratio(width, height, ratio):
        if style.fit == Fit.CROP:
            part = canvas = (min(width, height * ratio), min(height, width / ratio))
        else:
            canvas = (max(width, height * ratio), max(height, width / ratio))
    scale = min(1.0, SHORT_SIDE / min(canvas), LONG_SIDE / max(canvas))
    return Frame(
        part=_at_least_a_pixel(*part),
        scaled=_at_least_a_pixel(part[0] * scale, part[1] * scale),
        canvas=_at_least_a_pixel(canvas[0] * scale, canvas[1] * scale),
    )


def _has_ratio(width: int, height: int, ratio: float) -> bool:
    return abs(width - height * ratio) <= 1 or abs(height - width / ratio) <= 1


def _at_least_a_pixel(width: float, height: float) -> Size:
    return max(1, round(width)), max(1, round(height))


def middle(outer: Size, inner: Size) -> tuple[int, int, int, int]:
    """
    Place a size in the middle of a larger one.

    :return: left, top, right and bottom of ``inner``
    """
    left, top = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    return left, top, left + inner[0], top + inner[1]
