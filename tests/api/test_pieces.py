"""The bytes of an upload: little of a large file is in memory, and a long upload tells how far it is."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import httpx
import pytest

from airflow_provider_tiktok.api import pieces as pieces_module
from airflow_provider_tiktok.api.chunks import ChunkPlan, chunk_plans
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd

URL = "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=SECRET"


class Endless:
    """A large file that costs nothing; counts what was read of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.given = 0

    def read(self, start: int, length: int) -> bytes:
        self.given += length
        return bytes(length)


@pytest.mark.parametrize("target", [6_000_000, 8_388_608, 10_000_000, 12_000_000, 16_777_216, 64_000_000])
def test_at_most_two_chunks_are_in_memory(target: int) -> None:
    """One being sent, the next being read."""
    plan = chunk_plans(20 * target, target)[0]
    source = Endless(plan.size)
    ahead = pieces_module.ReadAhead(source, plan, 0)
    try:
        next(ahead.range(0))
        for _ in range(20):
            time.sleep(0.01)
            assert source.given <= 2 * plan.chunk_size
        assert source.given > min(plan.chunk_size, pieces_module.PIECE)  # it does read ahead
    finally:
        ahead.close()


@pytest.mark.parametrize("piece", [1, 3, 7, 10, 16, 35, 100])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_pieces_pass_over_the_borders_of_ranges(
    piece: int, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is read at once: each range gets its own bytes, and a store is asked no more than need be."""
    monkeypatch.setattr(pieces_module, "PIECE", piece)
    monkeypatch.setattr(pieces_module, "SEND_SIZE", 4)
    data, reads = bytes(range(35)), []

    class Counting:
        size = len(data)

        def read(self, start: int, length: int) -> bytes:
            reads.append(start)
            return data[start : start + length]

    plan = ChunkPlan(35, 10, 3)
    ahead = pieces_module.ReadAhead(Counting(), plan, index)
    try:
        for each in range(index, plan.count):
            first, stop = plan.bounds(each)
            assert b"".join(ahead.range(each)) == data[first:stop]
            assert ahead.index == each + 1
    finally:
        ahead.close()
    assert len(reads) == -(-(35 - 10 * index) // piece)


def test_progress_lines_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few a minute, however slow or fast the upload; none in a short one."""
    now = [0.0]
    lines: list[tuple[float, str]] = []
    monkeypatch.setattr(
        pieces_module, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: now[0])
    )
    monkeypatch.setattr(
        pieces_module,
        "log",
        SimpleNamespace(info=lambda text, *args: lines.append((now[0], text % args))),
    )

    class Slow(Endless):
        def read(self, start: int, length: int) -> bytes:
            now[0] += 5.0
            return super().read(start, length)

    plan = ChunkPlan(200_000_000, 10_000_000, 20)
    upload = Upload(
        Transport(httpx.MockTransport(lambda _: httpx.Response(206))),
        URL,
        plan,
        Slow(plan.size),
        content_type="video/mp4",
    )
    assert upload.send() is UploadEnd.ASK_STATUS
    assert 1 <= len(lines) <= now[0] / pieces_module.PROGRESS_SECONDS
    assert 60 / pieces_module.PROGRESS_SECONDS <= 4
    assert all(re.fullmatch(r"Uploaded \d+ %: [\d.]+ of 200.0 MB, [\d.]+ MB/s\.", text) for _, text in lines)
    assert "SECRET" not in str(lines)
