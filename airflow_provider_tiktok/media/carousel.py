"""All pictures of one post: prepared side by side, and every bad one named at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_tiktok.exceptions import TikTokInputError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.image import JPEG, WEBP, Picture, PictureStyle
from airflow_provider_tiktok.media.readable import MediaSource

#: Bytes of pixels that are worked on at once; a picture that needs more is worked on alone.
MEMORY = 256 * 1024 * 1024
#: Larger than any picture that Pillow decodes needs to be.
MAX_SOURCE_BYTES = 1024 * 1024 * 1024

_PIECE = 1024 * 1024
#: Pictures that are fetched meanwhile, so that no core waits for the network.
_AHEAD = 4

_SUFFIXES = {JPEG: ".jpg", WEBP: ".webp"}

Opener = Callable[[str], MediaSource]


def prepare_pictures(
    uris: Sequence[str],
    opener: Opener,
    folder: Path,
    style: PictureStyle = PictureStyle(),  # noqa: B008
) -> list[Picture]:
    """
    Make every picture of a post one that TikTok takes.

    JPEG and WebP within 1080 px on the short and 1920 px on the long side and 20 MB (Media Transfer Guide,
    2026-09-11) stay as they are, but for their metadata. Everything else that Pillow opens becomes a JPEG.

    :param uris: where the pictures lie, in the post's order; one may occur more than once
    :param opener: opens one of them; called from other threads, but never twice at the same time
    :param folder: where the prepared files are put; it has to exist and to be empty, and is the caller's
    :param style: how they shall look
    :return: in the same order
    :raises TikTokMediaError: some are bad; it names each with its place, from 1, and what is wrong
    :raises TikTokMediaReadError: none is bad, but some could not be read this time
    :raises TikTokInputError: Pillow knows no such background colour
    """
    from airflow_provider_tiktok.media.decode import make_ready  # loads Pillow

    make_ready()
    _see_background(style.background)
    different = list(dict.fromkeys(uris))
    cores = _cores()
    # Decoding has threads of its own, no more than cores: each would keep freed memory to itself.
    with (
        ThreadPoolExecutor(cores, "tiktok-decode") as decoders,
        ThreadPoolExecutor(cores + _AHEAD, "tiktok-fetch") as fetchers,
    ):
        workshop = _Workshop(opener, folder, style, decoders)
        done = {uri: fetchers.submit(workshop.prepare, uri, at) for at, uri in enumerate(different)}
        try:
            wait(done.values())
        except BaseException:  # the task was stopped: what has not begun shall not begin
            fetchers.shutdown(wait=False, cancel_futures=True)
            raise
    _raise_for([(at, done[uri]) for at, uri in enumerate(uris, start=1)])
    return [done[uri].result() for uri in uris]


def _raise_for(results: list[tuple[int, Future[Picture]]]) -> None:
    """Name every picture that failed, in one error."""
    bad = [(at, result.exception()) for at, result in results if result.exception()]
    for _, error in bad:
        if error and not isinstance(error, TikTokMediaError | TikTokMediaReadError):
            raise error
    if not bad:
        return
    lines = "".join(f"\n- picture {at}: {error}" for at, error in bad)
    message = f"{len(bad)} of {len(results)} pictures cannot be published; nothing was sent:{lines}"
    permanent = any(isinstance(error, TikTokMediaError) for _, error in bad)
    raise TikTokMediaError(message) if permanent else TikTokMediaReadError(message)


def _see_background(colour: str) -> None:
    from PIL import ImageColor

    try:
        ImageColor.getrgb(colour)
    except (ValueError, AttributeError, TypeError):
        raise TikTokInputError(
            f"background is {colour!r}, which Pillow does not know: use a name such as white, or #rrggbb."
        ) from None


def _cores() -> int:
    count = getattr(os, "process_cpu_count", None)  # Python 3.13
    if count:
        return count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Budget:
    """
    How much memory may be in use at once.

    :param memory: bytes in all; who needs more than that is let in alone
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._inside: list[int] = []
        self._changed = threading.Condition()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """
        Wait for room, and hold it for the block.

        :param size: bytes
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fits(size))
            self._inside.append(size)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(size)
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._inside or sum(self._inside) + size <= self._memory


class _Workshop:
    """
    Prepares pictures, each in a thread of its own.

    :param opener: opens a source
    :param folder: where the files are put
    :param style: how the pictures shall look
    :param decoders: the threads in which pictures are decoded
    """

    def __init__(
        self, opener: Opener, folder: Path, style: PictureStyle, decoders: ThreadPoolExecutor
    ) -> None:
        self._opener = opener
        self._folder = folder
        self._style = style
        self._decoders = decoders
        self._budget = Budget(MEMORY)
        self._opening = threading.Lock()

    def prepare(self, uri: str, at: int) -> Picture:
        """
        Fetch a picture and prepare it.

        :param uri: where it lies
        :param at: its number, for the file's name
        """
        from airflow_provider_tiktok.media.convert import convert  # loads Pillow

        fetched = self._folder / f"{at:02d}.source"
        with self._opened(uri) as source:
            name = source.name
            _copy(source, fetched)
        made = self._decoders.submit(convert, fetched, name, self._style, self._budget.room).result()
        path = fetched.with_suffix(_SUFFIXES[made.content_type])
        with _writing(name):
            if made.data is None:
                fetched.rename(path)
            else:
                fetched.unlink()
                path.write_bytes(made.data)
        return Picture(name, path, made.content_type, *made.size, path.stat().st_size, made.changes)

    def _opened(self, uri: str) -> MediaSource:
        """Open a source, one at a time: boto3's sessions and some Airflows' Connections bear no more."""
        with self._opening:
            return self._opener(uri)


def _copy(source: MediaSource, path: Path) -> None:
    if source.size > MAX_SOURCE_BYTES:
        raise TikTokMediaError(
            f"{source.name} has {source.size} bytes; a picture above {MAX_SOURCE_BYTES} bytes is not fetched."
        )
    with _writing(source.name), path.open("wb") as file:
        for start in range(0, source.size, _PIECE):
            file.write(source.read(start, min(_PIECE, source.size - start)))


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TikTokMediaReadError(
            f"{name} could not be kept on the worker's disk while it is prepared ({reason})."
        ) from None
