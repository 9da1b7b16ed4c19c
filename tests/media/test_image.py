"""What may be asked of pictures, and that asking costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_tiktok.exceptions import TikTokInputError
from airflow_provider_tiktok.media.image import Fit, PictureStyle


@pytest.mark.parametrize("ratio", [None, 0, -1, float("nan"), float("inf"), "9:16"])
@pytest.mark.parametrize("fit", [Fit.PAD, Fit.CROP])
def test_pad_and_crop_need_a_ratio(fit: Fit, ratio: float) -> None:
    with pytest.raises(TikTokInputError, match="aspect_ratio"):
        PictureStyle(fit, ratio)


def test_a_ratio_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(TikTokInputError, match="contain"):
        PictureStyle(aspect_ratio=1.0)


def test_fit_may_be_a_plain_string_but_no_unknown_one() -> None:
    assert PictureStyle("crop", 1.0).fit == Fit.CROP  # type: ignore[arg-type]
    with pytest.raises(TikTokInputError, match="contain, pad, crop"):
        PictureStyle("stretch", 1.0)  # type: ignore[arg-type]


def test_pillow_is_not_loaded_before_there_is_a_picture() -> None:
    """An operator imports these modules in every DAG file's parse."""
    script = (
        "import sys; import airflow_provider_tiktok.media.carousel, airflow_provider_tiktok.media.image;"
        "sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
