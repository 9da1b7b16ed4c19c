"""Sizes: within TikTok's limits, never larger than they were, and of the asked ratio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.media.framing import Frame, framed, middle
from airflow_provider_tiktok.media.image import LONG_SIDE, SHORT_SIDE, Fit, PictureStyle

SIDES = st.one_of(st.integers(1, 4000), st.integers(1, 200_000))
RATIOS = st.floats(1e-6, 1e6)
STYLES = st.one_of(
    st.just(PictureStyle()), st.builds(PictureStyle, st.sampled_from([Fit.PAD, Fit.CROP]), RATIOS)
)


@given(width=SIDES, height=SIDES, style=STYLES)
def test_every_plan_is_within_the_limits_and_can_be_carried_out(
    width: int, height: int, style: PictureStyle
) -> None:
    """No side is lost, the part lies in the source, the scaled part on the canvas, and nothing grows."""
    frame = framed(width, height, style)
    assert min(frame.canvas) <= SHORT_SIDE
    assert max(frame.canvas) <= LONG_SIDE
    for part, scaled, canvas, source in zip(
        frame.part, frame.scaled, frame.canvas, (width, height), strict=True
    ):
        assert 1 <= scaled <= part <= source
        assert scaled <= canvas


@given(width=SIDES, height=SIDES)
def test_a_contained_picture_keeps_all_of_itself(width: int, height: int) -> None:
    frame = framed(width, height, PictureStyle())
    assert frame.part == (width, height)
    assert frame.scaled == frame.canvas
    if min(width, height) <= SHORT_SIDE and max(width, height) <= LONG_SIDE:
        assert frame.canvas == (width, height)
    else:  # not smaller than it has to be
        assert frame.canvas[0] in (SHORT_SIDE, LONG_SIDE) or frame.canvas[1] in (SHORT_SIDE, LONG_SIDE)


@given(width=st.integers(50, 5000), height=st.integers(50, 5000), fit=st.sampled_from([Fit.PAD, Fit.CROP]))
@pytest.mark.parametrize("ratio", [9 / 16, 3 / 4, 1.0, 16 / 9])
def test_the_canvas_gets_the_ratio(width: int, height: int, fit: Fit, ratio: float) -> None:
    across, down = framed(width, height, PictureStyle(fit, ratio)).canvas
    assert abs(across - down * ratio) <= 1 + ratio or abs(down - across / ratio) <= 1 + 1 / ratio


@pytest.mark.parametrize(
    ("size", "style", "frame"),
    [
        ((4000, 3000), PictureStyle(), Frame((4000, 3000), (1440, 1080), (1440, 1080))),
        ((1254, 1254), PictureStyle(), Frame((1254, 1254), (1080, 1080), (1080, 1080))),
        ((1086, 1448), PictureStyle(), Frame((1086, 1448), (1080, 1440), (1080, 1440))),
        ((941, 1672), PictureStyle(), Frame((941, 1672), (941, 1672), (941, 1672))),
        ((5000, 1), PictureStyle(), Frame((5000, 1), (1920, 1), (1920, 1))),
        ((100, 100), PictureStyle(Fit.PAD, 2.0), Frame((100, 100), (100, 100), (200, 100))),
        ((100, 100), PictureStyle(Fit.CROP, 2.0), Frame((100, 50), (100, 50), (100, 50))),
        ((4000, 3000), PictureStyle(Fit.CROP, 9 / 16), Frame((1688, 3000), (1080, 1920), (1080, 1920))),
        ((4000, 3000), PictureStyle(Fit.PAD, 9 / 16), Frame((4000, 3000), (1080, 810), (1080, 1920))),
        ((1080, 1919), PictureStyle(Fit.PAD, 9 / 16), Frame((1080, 1919), (1080, 1919), (1080, 1919))),
    ],
)
def test_sizes(size: tuple[int, int], style: PictureStyle, frame: Frame) -> None:
    """Those of the reports (1254 px, 1086x1448), of phones, and of both ratios."""
    assert framed(*size, style) == frame


def test_the_middle_is_in_the_middle() -> None:
    assert middle((100, 50), (40, 50)) == (30, 0, 70, 50)
