"""Small videos, made here by PyAV and kept for the session, and sources that count what is read of them."""

from __future__ import annotations

import functools
import os
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokMediaReadError
from airflow_provider_tiktok.media.local import LocalFile
from airflow_provider_tiktok.media.readable import MediaSource, within

#: What makes each encoder quick, quiet, and x265 write the same file each time.
_QUICK = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:frame-threads=1:pools=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12"},
}
_PIXELS = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p", "png": "rgb24"}


class Bytes(MediaSource):
    """Bytes in memory, which can fail and which count what is read of them."""

    def __init__(self, data: bytes, fails_at: int | None = None) -> None:
        self.name, self.size, self.data, self.fails_at, self.taken = "clip", len(data), data, fails_at, 0

    def read(self, start: int, length: int) -> bytes:
        within(self, start, length)
        if self.fails_at is not None and start + length > self.fails_at:
            raise TikTokMediaReadError("clip: the network is gone")
        self.taken += length
        return self.data[start : start + length]

    def close(self) -> None:
        pass


class Counted(MediaSource):
    """A local file that counts what is read of it, and in how many pieces."""

    def __init__(self, path: Path, *, front_to_back: bool = False) -> None:
        self.file, self.taken, self.reads, self.front_to_back = LocalFile(str(path)), 0, 0, front_to_back
        self.name, self.size = self.file.name, self.file.size

    def read(self, start: int, length: int) -> bytes:
        self.taken += length
        self.reads += 1
        return self.file.read(start, length)

    def close(self) -> None:
        self.file.close()


@functools.cache
def clip(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (360, 640),
    rate: Fraction | int = 30,
    frames: int = 8,
    times: Sequence[int] | None = None,
    scale: int | None = None,
    options: tuple[tuple[str, str], ...] = (),
    noise: bool = False,
    sound: bool = False,
    cover: bool = False,
) -> bytes:
    """
    Make a video.

    :param container: ``mp4``, ``mov`` or ``webm``
    :param codec: as FFmpeg calls its encoder
    :param times: of each frame, where they do not follow each other evenly
    :param scale: ticks a second of ``times``; ``1 / rate`` else
    :param options: of the container
    :param noise: pictures that no codec can make small
    :param sound: with a second of silence
    :param cover: with cover art before the pictures
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{container}"
        _encode(
            path, codec, size, Fraction(rate), times or range(frames), scale, options, noise, sound, cover
        )
        return path.read_bytes()


def _encode(  # noqa: PLR0917
    path: Path,
    codec: str,
    size: tuple[int, int],
    rate: Fraction,
    times: Sequence[int],
    scale: int | None,
    options: tuple[tuple[str, str], ...],
    noise: bool,
    sound: bool,
    cover: bool,
) -> None:
    import av

    tick = Fraction(1, scale) if scale else 1 / rate
    with av.open(str(path), "w", options=dict(options)) as file:
        art = _still(file) if cover else None
        stream = file.add_stream(codec, rate=rate, options=_QUICK.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = *size, _PIXELS.get(codec, "yuv420p")
        stream.codec_context.time_base = tick
        voice = file.add_stream("aac", rate=48000) if sound else None
        if art:
            _art(file, art)
        for each in times:
            frame = av.VideoFrame(*size, stream.pix_fmt)
            for plane in frame.planes:  # PyAV leaves in them what the memory held before
                plane.update(os.urandom(plane.buffer_size) if noise else bytes(plane.buffer_size))
            frame.pts, frame.time_base = each, tick
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if voice:
            _silence(file, voice)


def _silence(file: Any, stream: Any) -> None:
    import av

    for index in range(48):
        frame = av.AudioFrame("fltp", "stereo", 1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48000, index * 1024
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _still(file: Any) -> Any:
    from av.stream import Disposition

    stream = file.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    return stream


def _art(file: Any, stream: Any) -> None:
    import av

    frame = av.VideoFrame(64, 64, "yuvj420p")
    frame.pts = 0
    file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


@functools.cache
def sound_alone() -> bytes:
    """An MP4 that holds nothing but silence."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mp4"
        with av.open(str(path), "w") as file:
            _silence(file, file.add_stream("aac", rate=48000))
        return path.read_bytes()


@functools.cache
def ten_minutes() -> bytes:
    """Ten minutes at 60 frames a second, of one frame and one sound repeated: a header as long as most."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        one, path = Path(folder) / "one.mp4", Path(folder) / "ten.mp4"
        one.write_bytes(clip(frames=1, size=(64, 64), rate=60, sound=True))
        with av.open(str(one)) as old, av.open(str(path), "w") as new:
            kinds = [
                (new.add_stream_from_template(old.streams.video[0]), next(old.demux(video=0)), 60),
                (new.add_stream_from_template(old.streams.audio[0]), next(old.demux(audio=0)), 48000),
            ]
            samples = [(index / 60, 0, index) for index in range(36_000)]
            samples += [(index * 1024 / 48000, 1, index * 1024) for index in range(28_125)]
            for count, (_, kind, time) in enumerate(sorted(samples)):
                stream, first, scale = kinds[kind]
                packet = av.Packet(bytes(first) + bytes(count % 11))  # else all have one size, told but once
                packet.dts, packet.pts = time, time + (2 + count % 3 if kind == 0 else 0)
                packet.time_base, packet.stream = Fraction(1, scale), stream
                new.mux(packet)
        return path.read_bytes()


def with_hole(data: bytes, path: Path, size: int) -> None:
    """
    Write an MP4 whose header is at its end so that it has ``size`` bytes, most of its ``mdat`` being a hole.

    FFmpeg leaves eight free bytes before ``mdat``, for a length of 64 bits.
    """
    header, mdat = data.rindex(b"moov") - 4, data.index(b"mdat") - 4
    assert data[mdat - 4 : mdat] == b"free"
    assert header > mdat
    start = size - (len(data) - header)
    with path.open("wb") as file:
        file.write(data[: mdat - 8] + struct.pack(">I4sQ", 1, b"mdat", start - mdat + 8))
        file.write(data[mdat + 8 : header])
        file.seek(start)
        file.write(data[header:])


class Store:
    """As much of S3 as a ranged read needs, for a file of any size; counts the bytes of its answers."""

    def __init__(self, path: Path) -> None:
        self.path, self.sent, self.requests, self.url = path, 0, 0, ""

    @contextmanager
    def serving(self) -> Iterator[Store]:
        """Answer at ``url`` meanwhile."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(200, store.path.stat().st_size)

            def do_GET(self) -> None:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                length = int(last) - int(first) + 1
                self._answer(206, length)
                with store.path.open("rb") as file:
                    file.seek(int(first))
                    self.wfile.write(file.read(length))
                store.sent += length
                store.requests += 1

            def _answer(self, status: int, length: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.send_header("ETag", '"one"')
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
