"""
Opening a picture with Pillow, whatever the file is: a picture, or an error that says what is wrong with it.

Imports Pillow: import this module where a picture is worked on, not before.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError

log = logging.getLogger(__name__)

#: Pillow's own limit, where another library has taken it away.
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3

_HEAD = 512

#: What only some workers' Pillows open -> how such files begin, and what is said where they cannot be opened.
_RARE = {
    "HEIF": (
        re.compile(rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL),
        "is a HEIC picture, which needs pillow-heif: install airflow-provider-tiktok[heif]",
    ),
    "AVIF": (
        re.compile(rb"....ftypavi[fs]", re.DOTALL),
        "is an AVIF picture that this worker's Pillow cannot open: Pillow 11.3 can",
    ),
}

#: How files begin that Pillow does not open; the first that matches speaks.
_LOOKS = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), what)
    for pattern, what in (
        (rb"\Z", "is empty"),
        (rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1|avi[fs])", "is broken or cut short"),
        (rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", "is a video, not a picture"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM|II\*\x00|MM\x00\*", "is a broken picture: no header"),
        (rb"%PDF", "is a PDF document, not a picture"),
        (rb"PK\x03\x04|\x1f\x8b", "is an archive, not a picture"),
        (rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml.*<svg)", "is an SVG drawing: render it to PNG first"),
        (
            rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)",
            "is an HTML page, as a server's error or login page",
        ),
        (rb"(?:\xef\xbb\xbf)?\s*<", "is XML, as a storage server's error answer"),
        (rb"(?:\xef\xbb\xbf)?[\t\n\r\x20-\x7e]+\Z", "is text, not a picture"),
    )
]

#: What Pillow's errors say -> what is wrong.
_SAYS = [
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (r"ghostscript", "is PostScript, which needs Ghostscript, and that is not on this worker"),
        (r"truncated|end of file|unexpected end|not enough|incomplete|only got", "is cut short"),
        (r"cannot find loader|cannot load this image", "is of a kind that Pillow cannot decode here"),
    )
]

_ready = threading.Lock()


def make_ready() -> None:
    """
    Load Pillow's plugins, and pillow-heif where it is installed. May be called often.

    Done before threads begin: two that open their first picture at once would take a rare format for none.
    Pillow warns of what is odd in a file, line by line and for the whole process; what matters of it is an
    error here. The filter comes last in the list, so that any filter somebody has chosen wins over it.
    """
    with _ready:
        warnings.filterwarnings("ignore", module=r"PIL\.", append=True)
        Image.init()
        if "HEIF" not in Image.OPEN:
            _add_heif()


def _add_heif() -> None:
    with suppress(ImportError):  # an extra
        import_module("pillow_heif").register_heif_opener()


@contextmanager
def opened(path: Path, name: str) -> Iterator[Image.Image]:
    """
    Open a picture; decoding it is up to the caller, in the ``with`` block.

    :param path: the file
    :param name: of the picture, for errors
    :raises TikTokMediaError: what is in the file cannot be decoded, here or in the block
    """
    kind = ""
    try:
        with Image.open(path) as image:
            kind = image.format or ""
            _see_size(image, name)
            yield image
    except TikTokError:
        raise
    except Exception as error:  # hostile files make codecs raise almost anything
        log.debug("%s: decoding it failed", name, exc_info=error)
        raise TikTokMediaError(f"{name} {_reason(error, path, kind)}.") from None


def _see_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    limit = Image.MAX_IMAGE_PIXELS or MAX_PIXELS
    if image.format in ("JPEG", "MPO") and not image.info.get("progressive"):
        limit *= 2  # decoded to a part of its size, for little memory; above this Pillow itself refuses
    if width < 1 or height < 1:
        raise TikTokMediaError(f"{name} has no pixels: it is {width}x{height}.")
    if width * height > limit:
        raise TikTokMediaError(f"{name} {_too_large(width * height, limit)} ({width}x{height}).")


def _too_large(pixels: int, limit: int) -> str:
    return f"has {pixels} pixels, and more than {limit} are not decoded: make it smaller"


def _is_opened(kind: str) -> bool:
    """Tell whether this worker's Pillow opens such files at all; it registers AVIF even where it does not."""
    return kind in Image.OPEN and (kind != "AVIF" or "avif" in features.get_supported_modules())


def _reason(error: Exception, path: Path, kind: str) -> str:
    if isinstance(error, UnidentifiedImageError):
        with path.open("rb") as file:
            head = file.read(_HEAD)
        rows = [row for kind, row in _RARE.items() if not _is_opened(kind)] + _LOOKS
        looks = next((what for look, what in rows if look.match(head)), "is no picture that Pillow knows")
        return f"{looks} (it begins with {head[:8]!r})"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        counted = re.search(r"\((\d+) pixels\)", str(error))
        limit = Image.MAX_IMAGE_PIXELS or MAX_PIXELS
        return _too_large(int(counted[1]), limit) if counted else f"has more than {limit} pixels"
    if isinstance(error, MemoryError):
        return "needs more memory to be decoded than this worker has"
    says = next(
        (what for look, what in _SAYS if look.search(str(error))),
        "is broken, or of a kind that Pillow does not decode",
    )
    return f"{says} ({', '.join(filter(None, [kind, type(error).__name__]))})"
