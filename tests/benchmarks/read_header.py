"""
What it costs to know what a video is before it is sent: bytes and requests to its source, and time.

``python -m tests.benchmarks.read_header`` prints a line a kind of file. The large ones are sparse files of
4 GB whose header is that of ten minutes at 60 frames a second with sound. The goal is below 2 MB each.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_tiktok.media.header import read_facts
from airflow_provider_tiktok.media.readable import MediaSource
from airflow_provider_tiktok.media.s3 import AwsLogin, S3Object
from tests.media.clips import Counted, Store, clip, ten_minutes, with_hole

FOUR_GB = 4 * 1024**3
FRAGMENTS = (("movflags", "frag_keyframe+empty_moov"),)


def made(folder: Path) -> Iterator[tuple[str, Path]]:
    """Make the files, by what they are."""
    large = folder / "large.mp4"
    with_hole(ten_minutes(), large, FOUR_GB)
    yield "4 GB, header last", large
    kinds = {
        "header last": clip(size=(1920, 1080), noise=True),
        "header first": clip(size=(1920, 1080), noise=True, options=(("movflags", "faststart"),)),
        "fragments": clip(size=(1920, 1080), noise=True, frames=24, options=FRAGMENTS),
        "WebM": clip("webm", "libvpx", size=(1920, 1080), noise=True),
    }
    for what, data in kinds.items():
        path = folder / what
        path.write_bytes(data)
        yield what, path


def report(what: str, source: MediaSource, counted: Counted | None, store: Store | None = None) -> None:
    """Read a header and print a line."""
    began = time.perf_counter()
    facts = read_facts(source)
    taken = (time.perf_counter() - began) * 1000
    sent, asked = (
        (store.sent, store.requests) if store else (counted.taken, counted.reads) if counted else (0, 0)
    )
    told = f"{facts.codec}, {facts.width}x{facts.height}, {facts.duration} s" if facts else "not told"
    print(f"{what:<24} {source.size / 1e6:>9.1f} {sent / 1e3:>9.0f} {asked:>9} {taken:>7.0f}  {told}")


def main() -> None:
    """Print the table."""
    print(f"{'video':<24} {'size, MB':>9} {'read, KB':>9} {'requests':>9} {'ms':>7}  told")
    with tempfile.TemporaryDirectory() as name:
        for what, path in made(Path(name)):
            with Counted(path) as counted:
                report(what, counted, counted)
            with Store(path).serving() as store:
                login = AwsLogin("key", "secret", endpoint_url=store.url, region_name="us-east-1")
                with S3Object("videos", "clip", login) as source:
                    report(f"{what}, S3", source, None, store)


if __name__ == "__main__":
    main()
