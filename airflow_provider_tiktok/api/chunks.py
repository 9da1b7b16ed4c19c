"""
How a video is cut into ranges, so that TikTok takes it.

Rules (Media Transfer Guide, 2026-09-11): ``total_chunk_count`` = floor(size / chunk size); 1 to 1000 chunks
of 5 to 64 MB, but the last takes the remainder, up to 128 MB; a file below 5 MB is one chunk. Since August
2026 one chunk must have exactly the file's size, so that more than 64 MB need at least two. "MB" is meant
both ways in TikTok's own examples, so every number here satisfies both readings.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from airflow_provider_tiktok.api.models import FileUpload
from airflow_provider_tiktok.exceptions import TikTokInputError, TikTokMediaError

ONE_CHUNK_MAX = 64_000_000
#: TikTok's own sample sends ranges of this size.
TARGET = 10_000_000
TARGET_MIN, TARGET_MAX = 6_000_000, ONE_CHUNK_MAX
#: Another way to cut, for where the first is refused: a round number of MiB, the remainder on the last range.
PLAN_B_CHUNK = 10 * 1024 * 1024
#: "4 GB" in the guide; where TikTok reads it as 4,000,000,000 its init refuses, and nothing is lost.
LARGEST_VIDEO = 4 * 1024**3


@dataclass(frozen=True)
class ChunkPlan:
    """
    A file cut into ranges.

    :param size: bytes of the file
    :param chunk_size: bytes of each range but the last
    :param count: how many ranges
    """

    size: int
    chunk_size: int
    count: int

    @property
    def last(self) -> int:
        """Index of the last range."""
        return self.count - 1

    @property
    def source_info(self) -> FileUpload:
        """The plan as an init declares it."""
        return FileUpload(self.size, self.chunk_size, self.count)

    def bounds(self, index: int) -> tuple[int, int]:
        """
        Give first byte and the byte after the last of a range.

        :param index: of the range, from 0
        """
        return index * self.chunk_size, self.size if index == self.last else (index + 1) * self.chunk_size

    def next_after(self, told: int) -> int:
        """
        Find the range to send next; ``count`` if all are there.

        :param told: what TikTok says it has, as index of the last byte or as number of bytes: both occur, and
            lie one apart, so that the grid tells which was meant
        """
        if told >= self.size - 1:
            return self.count
        starts = range(0, self.count * self.chunk_size, self.chunk_size)
        return bisect_right(starts, told + 1) - 1


def chunk_plans(size: int, target: int = TARGET) -> tuple[ChunkPlan, ...]:
    """
    Cut a file, in the order in which the ways to cut it should be tried.

    :param size: bytes, at most 4 GiB
    :param target: bytes a range should have about, 6,000,000 to 64,000,000
    :raises TikTokMediaError: the file is empty, or larger than TikTok takes
    :raises TikTokInputError: the target is out of bounds
    """
    if not TARGET_MIN <= target <= TARGET_MAX:
        raise TikTokInputError(f"chunk_size must be {TARGET_MIN} to {TARGET_MAX} bytes, not {target}.")
    if size <= 0:
        raise TikTokMediaError("The video is empty (0 bytes).")
    if size > LARGEST_VIDEO:
        raise TikTokMediaError(
            f"The video has {size} bytes; TikTok takes at most 4 GB ({LARGEST_VIDEO} bytes)."
        )
    plans = [ChunkPlan(size, size, 1)] if size <= ONE_CHUNK_MAX else [_even(size, target)]
    if size >= 2 * PLAN_B_CHUNK:
        plans.append(ChunkPlan(size, PLAN_B_CHUNK, size // PLAN_B_CHUNK))
    return tuple(dict.fromkeys(plans))


def _even(size: int, target: int) -> ChunkPlan:
    count = max(2, -(-size // target))
    return ChunkPlan(size, size // count, count)
