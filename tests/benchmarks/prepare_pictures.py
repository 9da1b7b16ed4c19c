"""
What preparing a post's pictures costs beside a plain Pillow pool that only decodes, scales and encodes.

``python -m tests.benchmarks.prepare_pictures`` makes 35 PNGs of 12 megapixels (noise on gradients, as a photo
has it), has them prepared by both on two cores, in turn and each time in a process of its own, and prints the
medians, their ratio and the peak memory (VmHWM, of the whole process). On a machine that has other work the
CPU times are the ones to compare. The goals are a ratio of at most 1.15
and a peak below 400 MB.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests.benchmarks.figures import Figure, shown

RUNS = 3
PICTURES, DIFFERENT = 35, 5
SIZE = (4000, 3000)
CORES = 2
#: What :func:`measured` gives: its name, its unit, and what is wanted.
COLUMNS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("time", "s", {"at_most": 1.15}),
    ("CPU time", "s", {}),
    ("peak memory", "MB", {"below": 400.0}),
)

BASELINE = """
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
def prepare(path):
    with Image.open(path) as image:
        scaled = image.convert("RGB").resize((1440, 1080), Image.Resampling.LANCZOS)
        scaled.save(folder / (path.stem + ".jpg"), "JPEG", quality=95)
def run():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(prepare, paths))
"""
OURS = """
from airflow_provider_tiktok.media.carousel import prepare_pictures
from airflow_provider_tiktok.media.local import LocalFile
def run():
    prepare_pictures([str(path) for path in paths], LocalFile, folder)
"""
SCRIPT = """
import re, sys, tempfile, time
from pathlib import Path
{program}
paths = sorted(Path(sys.argv[1]).glob("*.png"))
with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    began, cpu = time.perf_counter(), time.process_time()
    run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(list(folder.glob("*.jpg"))) == len(paths)
print(seconds, cpu, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def make_pictures(folder: Path) -> None:
    """Write the PNGs; some of them are the same file under several names."""
    for at in range(PICTURES):
        path = folder / f"{at:02d}.png"
        if at < DIFFERENT:
            _photo(at).save(path, compress_level=1)
        else:
            os.link(folder / f"{at % DIFFERENT:02d}.png", path)


def _photo(seed: int) -> Image.Image:
    gradient = Image.linear_gradient("L")
    bands = []
    for turn in range(3):
        light = gradient.rotate(90 * (turn + seed)).resize(SIZE, Image.Resampling.BICUBIC)
        bands.append(Image.blend(light, Image.effect_noise(SIZE, 40), 0.15))
    return Image.merge("RGB", bands)


def measured(program: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak megabytes of a program over all pictures, in a process of its own."""
    command = [sys.executable, "-c", SCRIPT.format(program=program), str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(output[-3]), float(output[-2]), float(output[-1]) / 1024


def figures() -> Iterator[Figure]:
    """Measure, and give each figure with its baseline."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:CORES])
    try:
        with tempfile.TemporaryDirectory() as made:
            make_pictures(Path(made))
            runs = [(measured(BASELINE, Path(made)), measured(OURS, Path(made))) for _ in range(RUNS)]
    finally:
        os.sched_setaffinity(0, allowed)
    what = f"prepare {PICTURES} PNGs of 12 MP, beside a plain Pillow pool"
    for at, (name, unit, goals) in enumerate(COLUMNS):
        choose = max if name == "peak memory" else statistics.median
        baseline, ours = (choose([run[which][at] for run in runs]) for which in (0, 1))
        yield Figure(f"{what}: {name}", ours, baseline, unit, **goals)


if __name__ == "__main__":
    shown(figures())
