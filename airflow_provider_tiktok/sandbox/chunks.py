"""TikTok's rules for an upload's chunks (Media transfer guide, 2026-09-11), as tightened in August 2026."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.wire import Refusal

MAX_CHUNKS = 1000
MAX_VIDEO_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Sizes:
    """What a chunk, and the last one, may measure. "MB" is ambiguous in the guide."""

    smallest: int
    largest: int
    last: int


WIDE = Sizes(smallest=5_000_000, largest=64 * 1024**2, last=128 * 1024**2)
NARROW = Sizes(smallest=5 * 1024**2, largest=64_000_000, last=128_000_000)


@dataclass(frozen=True)
class Grid:
    """The ranges that an upload was declared to come in."""

    size: int
    chunk: int
    count: int

    def range_at(self, first: int) -> tuple[int, int] | None:
        """
        The declared range that begins at this byte: its first and last byte. The last takes the remainder.

        :param first: a byte.
        """
        index, inside = divmod(first, self.chunk)
        if inside or index >= self.count:
            return None
        return first, (self.size if index == self.count - 1 else first + self.chunk) - 1


def declared(source_info: dict[str, object], knobs: Knobs) -> Grid:
    """
    The grid that an init declares.

    :param source_info: with ``video_size``, ``chunk_size`` and ``total_chunk_count``, of checked types.
    :param knobs: which reading of MB, and which sizes to refuse.
    :raises Refusal: with TikTok's own messages, which tell a wrong size from a wrong count.
    """
    size, chunk, count = (int(str(source_info[n])) for n in ("video_size", "chunk_size", "total_chunk_count"))
    sizes = NARROW if knobs.narrow_megabytes else WIDE
    if not 0 < size <= MAX_VIDEO_BYTES:
        raise Refusal("invalid_params", "The video size is invalid")
    whole = count == 1 and chunk == size <= sizes.largest
    if chunk in knobs.refuse_chunk_sizes or not (
        whole or sizes.smallest <= chunk <= min(size, sizes.largest)
    ):
        raise Refusal("invalid_params", "The chunk size is invalid")
    if not 1 <= count <= MAX_CHUNKS or count != size // chunk:
        raise Refusal("invalid_params", "The total chunk count is invalid")
    if (count == 1 and not whole) or size - (count - 1) * chunk > sizes.last:
        # Floor gives one chunk for 121 MB in chunks of 64 MB; refused since August 2026.
        raise Refusal("invalid_params", "The chunk size is invalid")
    return Grid(size, chunk, count)
