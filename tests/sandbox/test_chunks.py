"""The chunk rules, on both sides of each of their edges; a planner that passes here passes at TikTok."""

from __future__ import annotations

import pytest

from airflow_provider_tiktok.sandbox.chunks import declared
from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.wire import Refusal

MIB = 1024**2
SIZE, COUNT, VIDEO = (
    "The chunk size is invalid",
    "The total chunk count is invalid",
    "The video size is invalid",
)


def verdict(size: int, chunk: int, count: int, **knobs: object) -> str:
    settings = Knobs()
    settings.update(knobs)
    try:
        declared({"video_size": size, "chunk_size": chunk, "total_chunk_count": count}, settings)
    except Refusal as refusal:
        return refusal.message if refusal.code == "invalid_params" else refusal.code
    return "ok"


@pytest.mark.parametrize(
    ("size", "chunk", "count", "expected"),
    [
        pytest.param(1, 1, 1, "ok", id="one byte"),
        pytest.param(4_000_000, 4_000_000, 1, "ok", id="under 5 MB in one"),
        pytest.param(4_000_000, 2_000_000, 2, SIZE, id="under 5 MB in two"),
        pytest.param(50_000_123, 10_000_000, 5, "ok", id="the guide's example"),
        pytest.param(50_000_123, 10_000_000, 6, COUNT, id="ceil instead of floor"),
        pytest.param(50_000_123, 10_000_000, 4, COUNT, id="too few"),
        pytest.param(64_000_000, 64_000_000, 1, "ok", id="64 MB in one"),
        pytest.param(64 * MIB, 64 * MIB, 1, "ok", id="64 MiB in one"),
        pytest.param(64 * MIB + 1, 64 * MIB + 1, 1, SIZE, id="more in one"),
        pytest.param(158_000_000, 158_000_000, 1, SIZE, id="158 MB in one"),
        pytest.param(121_000_000, 64_000_000, 1, SIZE, id="floor gives one, tightened in August 2026"),
        pytest.param(80_000_000, 64_000_000, 1, SIZE, id="80 MB the old way"),
        pytest.param(64_000_001, 64_000_000, 1, SIZE, id="the wrong vector of older notes"),
        pytest.param(80_000_000, 40_000_000, 2, "ok", id="80 MB in two"),
        pytest.param(20_000_000, 4_999_999, 4, SIZE, id="chunk under 5 MB"),
        pytest.param(20_000_000, 5_000_000, 4, "ok", id="chunk of 5 MB"),
        pytest.param(200_000_000, 70_000_000, 2, SIZE, id="chunk over 64 MB"),
        pytest.param(10_000_000, 20_000_000, 1, SIZE, id="chunk larger than the video"),
        pytest.param(10_000_000, 20_000_000, 0, SIZE, id="no chunk at all"),
        pytest.param(10_000_000, 10_000_000, 0, COUNT, id="count 0"),
        pytest.param(0, 0, 0, VIDEO, id="nothing"),
        pytest.param(-5, 5, 1, VIDEO, id="negative"),
        pytest.param(4 * 1024**3 + 1, 10_000_000, 429, VIDEO, id="over 4 GiB"),
        pytest.param(4 * 1024**3, 10_000_000, 429, "ok", id="4 GiB"),
        pytest.param(157_286_400, 5 * MIB, 30, "ok", id="5 MiB x 30"),
    ],
)
def test_the_table(size: int, chunk: int, count: int, expected: str) -> None:
    assert verdict(size, chunk, count) == expected


def test_more_than_a_thousand_chunks_never_fit() -> None:
    assert verdict(4 * 1024**3, 4_000_000, 1073) == SIZE
    assert verdict(4 * 1024**3, 5_000_000, 858) == "ok"


@pytest.mark.parametrize(
    ("size", "chunk", "count", "expected"),
    [
        (64_000_001, 64_000_001, 1, SIZE),
        (64_000_000, 64_000_000, 1, "ok"),
        (20_000_000, 5_000_000, 4, SIZE),
        (20_971_520, 5 * MIB, 4, "ok"),
    ],
)
def test_the_narrow_reading_of_mb(size: int, chunk: int, count: int, expected: str) -> None:
    assert verdict(size, chunk, count, narrow_megabytes=True) == expected


def test_a_refused_size_sends_the_client_to_its_plan_b() -> None:
    assert verdict(50_000_000, 10_000_000, 5, refuse_chunk_sizes=(10_000_000,)) == SIZE
    assert verdict(50_000_000, 5_000_000, 10, refuse_chunk_sizes=(10_000_000,)) == "ok"


def test_the_last_range_takes_the_remainder() -> None:
    grid = declared({"video_size": 50_000_123, "chunk_size": 10_000_000, "total_chunk_count": 5}, Knobs())

    assert grid.range_at(0) == (0, 9_999_999)
    assert grid.range_at(40_000_000) == (40_000_000, 50_000_122)
    assert grid.range_at(50_000_000) is None
    assert grid.range_at(5) is None
