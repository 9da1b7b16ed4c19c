"""
How fast a video is uploaded, beside ``curl`` sending the same ranges, and from S3 beside reading it alone.

``python -m tests.benchmarks.upload_throughput`` sends a gigabyte to a server of its own process, which throws
the bytes away, over plain http on loopback: ours in the ranges of the provider's own plan, then ``curl`` with
the same ranges in files of their own, over one connection too; once to a server that takes 1 Gbit/s, once to
one that takes all it is given. From S3 (a moto server) the slower of reading alone and sending alone is the
baseline. All take turns; the medians are compared. The goals are 0.9 of each.
"""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from airflow_provider_tiktok.api.chunks import ChunkPlan, chunk_plans
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd
from airflow_provider_tiktok.media.local import LocalFile
from airflow_provider_tiktok.media.readable import MediaSource
from airflow_provider_tiktok.media.s3 import S3Object
from tests.benchmarks.figures import Figure, shown
from tests.buckets import Bucket

RUNS = 5
LOOPBACK_BYTES, LINK_BYTES, S3_BYTES = 1024**3, 256 * 1024**2, 256 * 1024**2
PIECE = 4 * 1024**2
GOAL = 0.9
SERVER = "from tests.benchmarks.upload_throughput import serve; serve({:f})"
#: Bytes a second of a fast line to the internet.
FAST_LINK = 1.25e8


def serve(rate: float) -> None:
    """Print a port, and take at most so many bytes a second there, answering as TikTok's upload host does."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_take, args=(connection, rate), daemon=True).start()


def _take(connection: socket.socket, rate: float) -> None:
    room = memoryview(bytearray(1024**2))
    head = b""
    with connection:
        while block := connection.recv(64 * 1024):
            head += block
            if b"\r\n\r\n" not in head:
                continue
            head, _, rest = head.partition(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
            stop, size = map(int, re.search(rb"(?i)bytes \d+-(\d+)/(\d+)", head).groups())  # type: ignore[union-attr]
            missing, began = length - len(rest), time.perf_counter()
            while missing:
                missing -= connection.recv_into(room[: min(missing, len(room))])
                time.sleep(max(0.0, (length - missing) / rate - (time.perf_counter() - began)))
            status = b"201 Created" if stop + 1 == size else b"206 Partial Content"
            told = b"Content-Range: bytes 0-%d/%d\r\nContent-Length: 0\r\n\r\n" % (stop, size)
            connection.sendall(b"HTTP/1.1 " + status + b"\r\n" + told)
            head = b""


@contextmanager
def sink(rate: float = 1e12) -> Iterator[str]:
    """Run the server in a process of its own; gives its address."""
    process = subprocess.Popen([sys.executable, "-c", SERVER.format(rate)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/upload"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Run an S3 server in a process of its own; gives a bucket of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = Bucket("videos", f"http://127.0.0.1:{port}")
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        made.make()
        yield made
    finally:
        server.kill()
        server.wait()


def ours(source: MediaSource, plan: ChunkPlan, url: str) -> None:
    """Upload as an operator does."""
    with closing(Transport()) as transport:
        end = Upload(transport, url, plan, source, content_type="video/mp4").send()
    assert end is UploadEnd.DONE


def curl(parts: list[Path], plan: ChunkPlan, url: str) -> None:
    """Have curl send the same ranges."""
    command = ["curl", "--silent", "--show-error", "--fail"]
    for index, part in enumerate(parts):
        first, stop = plan.bounds(index)
        headers = (
            "Content-Type: video/mp4",
            "Expect:",
            f"Content-Range: bytes {first}-{stop - 1}/{plan.size}",
        )
        command += [*(["--next"] if index else []), "--fail", "--upload-file", str(part)]
        command += [word for header in headers for word in ("--header", header)] + [url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def read(source: MediaSource) -> None:
    """Read it all, and throw it away."""
    for start in range(0, source.size, PIECE):
        source.read(start, min(PIECE, source.size - start))


def seconds(does: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Have each done some times, in turn; gives the medians."""
    taken: dict[str, list[float]] = {name: [] for name in does}
    for _ in range(RUNS):
        for name, do in does.items():
            began = time.perf_counter()
            do()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


def figures() -> Iterator[Figure]:
    """Measure, and give each figure with its baseline."""
    assert shutil.which("curl"), "curl is the baseline"
    with tempfile.TemporaryDirectory() as made, sink() as url, sink(FAST_LINK) as link:
        folder = Path(made)
        yield _from_disk(folder, link, "upload from disk over 1 Gbit/s, beside curl", LINK_BYTES)
        yield _from_disk(folder, url, "upload from disk over bare loopback, beside curl", LOOPBACK_BYTES)
        yield _from_s3(folder, url)


def _from_disk(folder: Path, url: str, what: str, size: int) -> Figure:
    path, plan = folder / "large.mp4", chunk_plans(size)[0]
    parts = [folder / f"{index:03d}" for index in range(plan.count)]
    with path.open("wb") as file, Path("/dev/urandom").open("rb") as noise:
        for _ in range(size // PIECE):
            file.write(noise.read(PIECE))
    with path.open("rb") as file:
        for index, part in enumerate(parts):
            first, stop = plan.bounds(index)
            part.write_bytes(file.read(stop - first))
    with closing(LocalFile(str(path))) as source:
        taken = seconds(
            {"ours": lambda: ours(source, plan, url), "curl": lambda: curl(parts, plan, url)},
        )
    for each in (path, *parts):
        each.unlink()
    rates = {name: size / 1e6 / each for name, each in taken.items()}
    return Figure(what, rates["ours"], rates["curl"], "MB/s", at_least=GOAL)


def _from_s3(folder: Path, url: str) -> Figure:
    path, plan = folder / "small.mp4", chunk_plans(S3_BYTES)[0]
    path.write_bytes(bytes(S3_BYTES))
    with bucket() as store:
        store.client.put_object(Bucket=store.name, Key="clip.mp4", Body=path.read_bytes())
        remote = S3Object(store.name, "clip.mp4", store.login)
        with closing(remote) as source, closing(LocalFile(str(path))) as local:
            taken = seconds(
                {
                    "ours": lambda: ours(source, plan, url),
                    "reading": lambda: read(source),
                    "sending": lambda: ours(local, plan, url),
                }
            )
    rates = {name: S3_BYTES / 1e6 / each for name, each in taken.items()}
    slower = min(rates["reading"], rates["sending"])
    what = "upload from S3, beside the slower of reading and sending alone"
    return Figure(what, rates["ours"], slower, "MB/s", at_least=GOAL)


if __name__ == "__main__":
    shown(figures())
