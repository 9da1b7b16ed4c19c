"""What one picture costs while it is worked on; what becomes of it is tested with whole posts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, features

from tests.media.pictures import saved

WIDTH = HEIGHT = 2600
MEGABYTE = 1024 * 1024
#: The finished picture and its encoder, which are no larger for a larger source.
FINISHED = 20 * MEGABYTE

#: Prints, for each file, the bytes lent for it and those by which a process grew for it at most.
SCRIPT = """
import os, re, sys
from contextlib import contextmanager
from pathlib import Path
from airflow_provider_tiktok.media import convert, decode
from airflow_provider_tiktok.media.image import PictureStyle

def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def measure(path):
    lent = []
    @contextmanager
    def room(size):
        lent.append(size)
        yield
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
    before = kilobytes("VmRSS")
    convert.convert(path, path.name, PictureStyle(), room)
    print(lent[0], (kilobytes("VmHWM") - before) * 1024, path.name, flush=True)

decode.make_ready()
for each in sorted(Path(sys.argv[1]).iterdir()):
    child = os.fork()  # a process keeps freed memory, and the next picture would seem to need none
    if not child:
        measure(each)
        os._exit(0)
    os.waitpid(child, 0)
"""


def colours() -> Image.Image:
    gradient = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    return Image.merge("RGB", [gradient, gradient.rotate(90), gradient.rotate(180)])


def half_clear() -> Image.Image:
    image = colours().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    return image


KINDS: dict[str, Callable[[], bytes]] = {
    "rgb.png": lambda: saved(colours(), "PNG", compress_level=1),
    "alpha.png": lambda: saved(half_clear(), "PNG", compress_level=1),
    "keyed.png": lambda: saved(colours(), "PNG", compress_level=1, transparency=(0, 0, 0)),
    "deep grey.png": lambda: saved(Image.new("I;16", (WIDTH, HEIGHT)), "PNG", compress_level=1),
    "plain.jpg": lambda: saved(colours(), "JPEG"),
    "cmyk progressive.jpg": lambda: saved(colours().convert("CMYK"), "JPEG", progressive=True),
    "plain.webp": lambda: saved(colours(), "WEBP", method=0),
    "alpha.webp": lambda: saved(half_clear(), "WEBP", method=0),
    "palette.gif": lambda: saved(colours().quantize(16), "GIF"),
    "clear.gif": lambda: saved(half_clear(), "GIF"),
    "frames.gif": lambda: saved(half_clear(), "GIF", save_all=True, append_images=[colours()]),
    "plain.tif": lambda: saved(colours(), "TIFF"),
    "lzw.tif": lambda: saved(colours(), "TIFF", compression="tiff_lzw"),
    "palette.bmp": lambda: saved(colours().quantize(16), "BMP"),
    "strip.png": lambda: saved(Image.new("RGB", (1, WIDTH * HEIGHT)), "PNG", compress_level=1),
    "strip.bmp": lambda: saved(Image.new("P", (1, WIDTH * HEIGHT)), "BMP"),
}
if features.check("jpg_2000"):
    KINDS["plain.jp2"] = lambda: saved(colours(), "JPEG2000")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """By the name of a kind: the bytes lent, and those taken."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system tells no peak memory")
    folder = tmp_path_factory.mktemp("kinds")
    for name, make in KINDS.items():
        (folder / name).write_bytes(make())
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = (line.split(maxsplit=2) for line in lines)
    return {name: (int(lent), int(taken)) for lent, taken, name in rows}


@pytest.mark.parametrize("name", [*KINDS])
def test_a_picture_takes_no_more_memory_than_is_lent_for_it(
    name: str, measured: dict[str, tuple[int, int]]
) -> None:
    """Pictures are worked on side by side as far as what is lent for them fits into the budget."""
    lent, taken = measured[name]
    assert taken <= lent + FINISHED, f"{taken / MEGABYTE:.0f} MB, and {lent / MEGABYTE:.0f} MB were lent"
