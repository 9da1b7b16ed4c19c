"""How a file is cut: TikTok's rules in both readings of MB, and where to go on."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.api.chunks import (
    LARGEST_VIDEO,
    ONE_CHUNK_MAX,
    TARGET_MAX,
    TARGET_MIN,
    ChunkPlan,
    chunk_plans,
)
from airflow_provider_tiktok.api.models import FileUpload
from airflow_provider_tiktok.exceptions import TikTokInputError, TikTokMediaError

MIB = 1024 * 1024
#: Sizes at which other clients failed, or at which a rule begins.
TRAPS = [
    1,
    2,
    5_000_000 - 1,
    5_000_000,
    5 * MIB - 1,
    5 * MIB,
    20 * MIB - 1,
    20 * MIB,
    50_000_123,
    64_000_000 - 1,
    64_000_000,
    64_000_001,
    66_000_000,
    64 * MIB,
    64 * MIB + 1,
    77_000_000,
    84_000_000,
    94_000_000,
    121_000_000,
    128_000_000,
    128_000_001,
    128 * MIB + 1,
    158_000_000,
    4_000_000_000,
    4 * 1024**3 - 1,
    4 * 1024**3,
]


def assert_valid(plan: ChunkPlan) -> None:
    """All of TikTok's rules, with MB read as 1,000,000 and as 1,048,576."""
    size, chunk, count = plan.size, plan.chunk_size, plan.count
    assert count == size // chunk
    assert 1 <= count <= 1000
    if count == 1:
        assert chunk == size <= ONE_CHUNK_MAX
    else:
        assert 5 * MIB <= chunk <= 64_000_000
    first, stop = plan.bounds(plan.last)
    assert stop == size
    assert chunk <= stop - first < 128_000_000


def assert_covers(plan: ChunkPlan) -> None:
    position = 0
    for index in range(plan.count):
        first, stop = plan.bounds(index)
        assert first == position
        assert stop > first
        position = stop
    assert position == plan.size


@pytest.mark.parametrize("size", TRAPS)
@pytest.mark.parametrize("target", [TARGET_MIN, 10_000_000, 10 * MIB, TARGET_MAX])
def test_traps(size: int, target: int) -> None:
    for plan in chunk_plans(size, target):
        assert_valid(plan)
        assert_covers(plan)
        assert plan.source_info == FileUpload(size, plan.chunk_size, plan.count)


@settings(max_examples=500, deadline=None)
@given(size=st.integers(1, LARGEST_VIDEO), target=st.integers(TARGET_MIN, TARGET_MAX))
@example(size=LARGEST_VIDEO, target=TARGET_MIN)
@example(size=ONE_CHUNK_MAX + 1, target=TARGET_MAX)
def test_every_plan_is_valid(size: int, target: int) -> None:
    plans = chunk_plans(size, target)
    assert len(set(plans)) == len(plans) >= 1
    for plan in plans:
        assert_valid(plan)
        assert_covers(plan)


@pytest.mark.parametrize("size", [1, 5_000_000, 50_000_123, 64_000_000])
def test_up_to_64_million_bytes_it_is_one_range_of_exactly_the_file(size: int) -> None:
    """Since August 2026 TikTok refuses a single chunk of any other size."""
    assert chunk_plans(size)[0] == ChunkPlan(size, size, 1)


@pytest.mark.parametrize("size", range(66_000_000, 95_000_000, 4_000_000))
def test_what_failed_since_august_2026_has_several_ranges(size: int) -> None:
    """66 to 94 MB in one range are refused, although the floor rule allows them."""
    assert all(plan.count >= 2 for plan in chunk_plans(size))


def test_there_is_a_plan_b_where_the_file_allows_two_ranges() -> None:
    assert chunk_plans(121_000_000)[1] == ChunkPlan(121_000_000, 10 * MIB, 11)
    assert len(chunk_plans(20 * MIB)) == 2
    assert len(chunk_plans(20 * MIB - 1)) == 1


def test_tiktoks_worked_example() -> None:
    plan = ChunkPlan(50_000_123, 10_000_000, 5)
    assert plan.bounds(0) == (0, 10_000_000)
    assert plan.bounds(4) == (40_000_000, 50_000_123)
    assert_valid(plan)


@pytest.mark.parametrize("size", [0, -1, LARGEST_VIDEO + 1])
def test_files_that_tiktok_does_not_take(size: int) -> None:
    with pytest.raises(TikTokMediaError, match=r"0 bytes|4 GB"):
        chunk_plans(size)


@pytest.mark.parametrize("target", [0, TARGET_MIN - 1, TARGET_MAX + 1])
def test_targets_out_of_bounds(target: int) -> None:
    with pytest.raises(TikTokInputError, match="chunk_size"):
        chunk_plans(100_000_000, target)


PLANS = [ChunkPlan(35, 10, 3), ChunkPlan(30, 10, 3), ChunkPlan(7, 7, 1), *chunk_plans(121_000_000)]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_progress_by_index_and_by_count(plan: ChunkPlan) -> None:
    """TikTok tells the last byte's index or the number of bytes; at every boundary both give the same."""
    for index in range(plan.count):
        _, stop = plan.bounds(index)
        assert plan.next_after(stop - 1) == plan.next_after(stop) == index + 1
    assert plan.next_after(0) == 0


@pytest.mark.parametrize(
    ("told", "index"),
    [(-1, 0), (0, 0), (1, 0), (8, 0), (9, 1), (10, 1), (15, 1), (19, 2), (20, 2), (33, 2), (34, 3), (99, 3)],
)
def test_progress_off_the_grid_is_snapped_down(told: int, index: int) -> None:
    """A range that is only partly there is sent whole."""
    assert ChunkPlan(35, 10, 3).next_after(told) == index


@settings(deadline=None)
@given(size=st.integers(1, LARGEST_VIDEO), data=st.data())
def test_nothing_is_ever_skipped(size: int, data: st.DataObject) -> None:
    """Whatever is told, what is sent next begins at or before the first missing byte (read as an index)."""
    plan = data.draw(st.sampled_from(chunk_plans(size)))
    told = data.draw(st.integers(-1, size - 2))
    following = plan.next_after(told)
    assert 0 <= following < plan.count
    assert plan.bounds(following)[0] <= told + 1 <= plan.bounds(following)[1]
