"""
What preparing a post's pictures costs beside a plain Pillow pool that only decodes, scales and encodes.

``python tests/benchmarks/prepare_pictures.py`` makes 35 PNGs of 12 megapixels (noise on gradients, as a photo
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
from pathlib import Path

from PIL import Image

RUNS = 3
PICTURES, DIFFERENT = 35, 5
SIZE = (4000, 3000)
CORES = 2

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


def main() -> None:
    """Print the table."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_pictures(folder)
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1024**2
        print(f"{PICTURES} PNGs of {SIZE[0]}x{SIZE[1]}, {megabytes:.0f} MB, on {CORES} cores")
        runs = [(measured(BASELINE, folder), measured(OURS, folder)) for _ in range(RUNS)]
    baseline, ours = ([run[at] for run in runs] for at in (0, 1))
    for name, each in (("plain Pillow", baseline), ("ours", ours)):
        seconds, cpu = (statistics.median(run[at] for run in each) for at in (0, 1))
        print(f"{name:<14} {seconds:>7.2f} s {cpu:>7.2f} CPU s {max(run[2] for run in each):>7.0f} MB")
    for at, what in enumerate(("time", "CPU time")):
        ratios = sorted(mine[at] / plain[at] for plain, mine in runs)
        print(f"ratio of {what}: {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
