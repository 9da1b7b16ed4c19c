"""A plain client that sends what it is told to, a web server to be pulled from, and made-up media."""

from __future__ import annotations

import hashlib
import io
import struct
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
from PIL import Image

from airflow_provider_tiktok.sandbox.server import Sandbox

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
INITS = "/v2/post/publish"


@dataclass
class Caller:
    """A creator's client: sends what it is told to, and checks nothing."""

    sandbox: Sandbox
    http: httpx.Client
    token: dict[str, Any]

    def call(self, path: str, body: object = None, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token['access_token']}"}
        sent = {} if body is None else {"json": body}
        return self.http.post(self.sandbox.url + path, headers=headers, **sent, **options)

    def creator_info(self) -> httpx.Response:
        return self.call(f"{INITS}/creator_info/query/")

    def video_init(self, source: dict[str, Any], **info: Any) -> httpx.Response:
        post_info = {"privacy_level": "PUBLIC_TO_EVERYONE", **info}
        return self.call(f"{INITS}/video/init/", {"post_info": post_info, "source_info": source})

    def inbox_init(self, source: dict[str, Any], **more: Any) -> httpx.Response:
        return self.call(f"{INITS}/inbox/video/init/", {"source_info": source, **more})

    def content_init(self, urls: list[str], mode: str = "DIRECT_POST", **info: Any) -> httpx.Response:
        privacy = {"privacy_level": "PUBLIC_TO_EVERYONE"} if mode == "DIRECT_POST" else {}
        source = {"source": "PULL_FROM_URL", "photo_images": urls, "photo_cover_index": 0}
        body = {
            "media_type": "PHOTO",
            "post_mode": mode,
            "post_info": {**privacy, **info},
            "source_info": source,
        }
        return self.call(f"{INITS}/content/init/", body)

    def status(self, publish_id: str) -> dict[str, Any]:
        answer = self.call(f"{INITS}/status/fetch/", {"publish_id": publish_id})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def cancel(self, publish_id: str) -> httpx.Response:
        return self.call(f"{INITS}/cancel/", {"publish_id": publish_id})

    def ended(self, publish_id: str) -> dict[str, Any]:
        """Its status once it is no longer in progress."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            each = next(each for each in self.sandbox.publishes if each.publish_id == publish_id)
            if not each.in_progress:
                return self.status(publish_id)
            time.sleep(0.01)
        raise AssertionError(f"{publish_id} is still in progress")

    def upload(self, data: bytes, **info: Any) -> str:
        """One direct post of one chunk, from init to the last byte."""
        answer = self.video_init(one_chunk(len(data)), **info)
        assert answer.status_code == 200, answer.text
        begun = answer.json()["data"]
        assert self.put(begun["upload_url"], data, 0, len(data)).status_code == 201
        return begun["publish_id"]

    def put(self, url: str, data: bytes, first: int, total: int, **headers: str) -> httpx.Response:
        """One range; ``headers`` with underscores override."""
        sent = {
            "content-type": "video/mp4",
            "content-range": f"bytes {first}-{first + len(data) - 1}/{total}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return httpx.put(url, content=data, headers=sent)

    def form(self, path: str, **fields: str) -> httpx.Response:
        app = {"client_key": self.sandbox.knobs.client_key, "client_secret": self.sandbox.knobs.client_secret}
        return self.http.post(f"{self.sandbox.url}/v2/oauth/{path}/", data={**app, **fields})

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        return self.form("token", grant_type="refresh_token", refresh_token=refresh_token).json()


def one_chunk(size: int) -> dict[str, Any]:
    return chunked(size, size, 1)


def chunked(size: int, chunk: int, count: int) -> dict[str, Any]:
    return {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk, "total_chunk_count": count}


def pulled(url: str) -> dict[str, Any]:
    return {"source": "PULL_FROM_URL", "video_url": url}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an envelope, whose shape it checks."""
    body = answer.json()
    assert set(body) == {"data", "error"}
    assert set(body["error"]) == {"code", "message", "log_id"}
    return answer.status_code, body["error"]["code"]


def video(size: int = 2000) -> bytes:
    """Bytes that begin as an MP4 does; the rest is different at each place."""
    block = hashlib.sha256(str(size).encode()).digest()
    return (MP4 + block * (size // len(block) + 1))[:size]


def picture(width: int = 100, height: int = 100, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, kind)
    return file.getvalue()


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def mp4(
    seconds: int = 5, width: int = 720, height: int = 1280, frames: int = 150, codec: bytes = b"avc1"
) -> bytes:
    """A file with a real header and no picture."""
    span = struct.pack(">IIIIQ", 0, 0, 0, 1000, 0)[:16] + struct.pack(">I", seconds * 1000)
    track = box(
        b"trak",
        box(b"tkhd", bytes(76), struct.pack(">II", width << 16, height << 16)),
        box(
            b"mdia",
            box(b"mdhd", span),
            box(b"hdlr", bytes(8), b"vide"),
            box(
                b"minf",
                box(
                    b"stbl",
                    box(b"stsd", struct.pack(">II", 0, 1), box(codec, bytes(70))),
                    box(b"stts", struct.pack(">IIII", 0, 1, frames, 1)),
                ),
            ),
        ),
    )
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", bytes(64)) + box(b"moov", box(b"mvhd", span), track)


class Host:
    """A web server of one's own, to be pulled from: path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                status, headers, body = host.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, path: str, body: bytes, kind: str = "", status: int = 200, **headers: str) -> str:
        """Serve this there; gives the URL."""
        self.answers[path] = (status, {**({"content-type": kind} if kind else {}), **headers}, body)
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
