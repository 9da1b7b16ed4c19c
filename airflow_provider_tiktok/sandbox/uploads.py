"""FILE_UPLOAD: chunks by PUT, each checked to the byte against the declared grid (Media transfer guide)."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from airflow_provider_tiktok.sandbox import media, ownership
from airflow_provider_tiktok.sandbox.chunks import Grid
from airflow_provider_tiktok.sandbox.gate import Call
from airflow_provider_tiktok.sandbox.publishes import Publish, new_id
from airflow_provider_tiktok.sandbox.wire import Refusal
from airflow_provider_tiktok.sandbox.world import World

CONTENT_TYPES = {"video/mp4", "video/quicktime", "video/webm"}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BLOCK = 1024 * 1024


@dataclass(eq=False)
class Upload:
    """One upload task: what is declared, what is here, and until when its URL is good."""

    publish: Publish
    grid: Grid
    token: str
    expires_at: float
    path: Path
    complete: bool = False
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def received(self) -> int:
        """Bytes stored."""
        return self.publish.received


class Uploads:
    """All upload tasks, and the handler of the PUTs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_id: dict[str, Upload] = {}

    def open(self, publish: Publish, grid: Grid, base: str) -> str:
        """
        A new upload task.

        :param publish: what it is for.
        :param grid: the declared ranges.
        :param base: the address by which the client reached the sandbox.
        :return: the upload URL, which carries its own credential.
        """
        # By the name the client used for this server: its rule "same host" must hold for localhost, too.
        root = base.rstrip("/") if ownership.is_loopback(urlsplit(base).hostname or "") else self._world.url
        upload_id, token = str(new_id()), secrets.token_urlsafe(48)
        self._world.upload_tokens.append(token)
        expires_at = self._world.now() + self._world.knobs.upload_url_seconds
        self._by_id[upload_id] = Upload(
            publish, grid, token, expires_at, self._world.new_file(publish, "video")
        )
        return f"{root}/upload/?{urlencode({'upload_id': upload_id, 'upload_token': token})}"

    async def put(self, call: Call) -> Response:
        """
        Store one chunk: 206, or 201 with the last one.

        Of two uploaders that send the same range at once, the first to finish it has it; the other gets 416.

        :param call: the request.
        """
        self._refuse_credentials(call)
        upload = self._find(call)
        if upload.complete:
            call.code = "upload_complete"
            return self._answer(upload, self._world.knobs.reput_status)
        first, last = _declared_range(call, upload.grid.size)
        expected = upload.grid.range_at(first)
        if first != upload.received or expected is None:
            return self._out_of_step(call, upload)
        if last != expected[1]:
            raise Refusal("invalid_params", f"the range must end at byte {expected[1]}", 400)
        part = self._world.new_file(upload.publish, "part")
        try:
            await _store(call, part, last - first + 1)
            async with upload.lock:
                if upload.received != first:
                    return self._out_of_step(call, upload)
                if not upload.publish.receiving:
                    raise Refusal("not_found", "no such upload task", 404)
                await asyncio.to_thread(_append, part, upload)
                upload.publish.received = last + 1
                return await self._accepted(upload)
        finally:
            part.unlink(missing_ok=True)

    def _refuse_credentials(self, call: Call) -> None:
        for name in ("authorization", "cookie"):
            if name in call.request.headers:
                # No rule of TikTok's, but a leak: the URL is the credential, a token has no business here.
                self._world.violations.append(f"upload: header {name}")
                raise Refusal("invalid_params", f"header {name} must not be sent to the upload URL", 400)

    def _find(self, call: Call) -> Upload:
        query = call.request.query_params
        upload = self._by_id.get(query.get("upload_id", ""))
        now = self._world.now()
        if upload is None or not secrets.compare_digest(upload.token, query.get("upload_token", "")):
            raise Refusal("not_found", "no such upload task", 404)
        call.publish_id = upload.publish.publish_id
        if not upload.complete and not upload.publish.in_progress:
            raise Refusal("not_found", "no such upload task", 404)
        if not upload.complete and upload.expires_at <= now:
            raise Refusal("upload_url_expired", "the upload_url has expired", 403)
        return upload

    async def _accepted(self, upload: Upload) -> Response:
        if upload.received < upload.grid.size:
            return self._answer(upload, 206)
        publish, knobs = upload.publish, self._world.knobs
        longest = publish.creator.max_video_post_duration_sec
        upload.complete = True
        fault = await asyncio.to_thread(media.video_fault, upload.path, knobs.media_check, longest)
        publish.media, publish.sha256 = [upload.path], [upload.digest.hexdigest()]
        publish.planned_failure = publish.planned_failure or fault
        self._world.bytes_in(publish)
        return self._answer(upload, knobs.complete_status)

    def _out_of_step(self, call: Call, upload: Upload) -> Response:
        call.code = "range_mismatch"
        return self._answer(upload, 416)

    def _answer(self, upload: Upload, status: int) -> Response:
        # "uploaded" is documented without saying whether it is an index or a count.
        index = self._world.knobs.upload_progress == "index"
        progress = max(0, upload.received - 1) if index else upload.received
        return Response(
            status_code=status, headers={"content-range": f"bytes 0-{progress}/{upload.grid.size}"}
        )


def _declared_range(call: Call, size: int) -> tuple[int, int]:
    headers = call.request.headers
    if headers.get("content-type", "").split(";")[0].strip().lower() not in CONTENT_TYPES:
        raise Refusal(
            "invalid_params", f"Content-Type must be one of {', '.join(sorted(CONTENT_TYPES))}", 400
        )
    found = _RANGE.fullmatch(headers.get("content-range", ""))
    if found is None:
        raise Refusal("invalid_params", "Content-Range must read: bytes first-last/total", 400)
    first, last, total = (int(number) for number in found.groups())
    if total != size or not first <= last < total:
        raise Refusal("invalid_params", f"Content-Range does not fit a video of {size} bytes", 400)
    if headers.get("content-length") != str(last - first + 1):
        raise Refusal("invalid_params", "Content-Length is not the length of the range", 400)
    return first, last


async def _store(call: Call, part: Path, length: int) -> None:
    """Write the body to a file of its own as it comes; of a body cut short nothing remains."""
    cut = length // 2 if call.fault is not None and call.fault.when == "during" else None
    stored = 0
    with part.open("wb") as file:
        async for block in _blocks(call):
            file.write(block)
            stored += len(block)
            if cut is not None and stored >= cut:
                # Taken for a client that went away: the connection is closed and nothing is kept.
                raise ClientDisconnect
    if stored != length:
        raise Refusal("invalid_params", "the body is not as long as Content-Length says", 400)


async def _blocks(call: Call) -> AsyncIterator[bytes]:
    async for block in call.request.stream():
        yield block


def _append(part: Path, upload: Upload) -> None:
    with part.open("rb") as source, upload.path.open("r+b" if upload.path.exists() else "w+b") as target:
        # To the known place, so that what a crash left behind it does not shift the rest.
        target.seek(upload.received)
        while block := source.read(_BLOCK):
            upload.digest.update(block)
            target.write(block)
