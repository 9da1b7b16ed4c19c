"""PULL_FROM_URL: fetches the URLs as TikTok does, following no redirect (Media transfer guide)."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx

from airflow_provider_tiktok.sandbox import media
from airflow_provider_tiktok.sandbox.chunks import MAX_VIDEO_BYTES
from airflow_provider_tiktok.sandbox.publishes import Publish
from airflow_provider_tiktok.sandbox.world import World

#: A server that does not know what it serves; then only the bytes count.
UNDECLARED = {"", "application/octet-stream", "binary/octet-stream"}
_WAIT_WHILE_HUNG = 0.05


class PullError(Exception):
    """The URL does not give its bytes."""


class Pulls:
    """The downloads that are under way."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._client: httpx.AsyncClient | None = None

    def start(self, publish: Publish) -> None:
        """
        Begin to fetch a publish's URLs.

        :param publish: which.
        """
        task = asyncio.get_running_loop().create_task(self._run(publish), name=f"pull {publish.publish_id}")
        self._tasks[publish.publish_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(publish.publish_id, None))

    def stop(self, publish: Publish) -> None:
        """
        Stop fetching, if it is under way.

        :param publish: which.
        """
        if (task := self._tasks.get(publish.publish_id)) is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop all and close the connections."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _run(self, publish: Publish) -> None:
        while self._world.knobs.hang_pulls:
            await asyncio.sleep(_WAIT_WHILE_HUNG)
        try:
            async with asyncio.timeout(self._world.knobs.pull_timeout):
                for index, url in enumerate(publish.urls):
                    await self._fetch(publish, url, index)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, PullError):
            publish.fail(f"{publish.kind}_pull_failed", self._world.now())
            return
        fault = await asyncio.to_thread(self._fault, publish)
        if publish.receiving:
            publish.planned_failure = publish.planned_failure or fault
            self._world.bytes_in(publish)

    async def _fetch(self, publish: Publish, url: str, index: int) -> None:
        if self._client is None:
            # No proxy of the environment: a local URL must be fetched from this machine.
            self._client = httpx.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(None, connect=10.0),
                limits=httpx.Limits(max_connections=None),
            )
        most = self._most_bytes(publish)
        path, digest, size = self._world.new_file(publish, f"{publish.kind}{index}"), hashlib.sha256(), 0
        async with self._client.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
            if response.status_code != httpx.codes.OK:
                raise PullError(f"HTTP {response.status_code}")
            declared = response.headers.get("content-type", "").split(";")[0].strip().lower()
            with path.open("wb") as file:
                async for block in response.aiter_raw():
                    file.write(block)
                    digest.update(block)
                    size += len(block)
                    publish.received += len(block)
                    if size > most:
                        # More than can be right; what is here is enough for the check to refuse it.
                        break
        publish.media.append(path)
        publish.sha256.append(digest.hexdigest())
        if declared not in UNDECLARED and not _fits(publish, declared):
            publish.planned_failure = publish.planned_failure or media.FORMAT

    def _most_bytes(self, publish: Publish) -> int:
        if publish.kind == "video":
            return MAX_VIDEO_BYTES
        return media.MAX_PHOTO_BYTES_NARROW if self._world.knobs.narrow_megabytes else media.MAX_PHOTO_BYTES

    def _fault(self, publish: Publish) -> str:
        check, most = self._world.knobs.media_check, self._most_bytes(publish)

        def fault_of(path: Path) -> str:
            if publish.kind == "photo":
                return media.photo_fault(path, check, most)
            if path.stat().st_size > most:
                return media.FORMAT
            return media.video_fault(path, check, publish.creator.max_video_post_duration_sec)

        return next((fault for path in publish.media if (fault := fault_of(path))), "")


def _fits(publish: Publish, declared: str) -> bool:
    if publish.kind == "photo":
        return declared in ("image/jpeg", "image/webp")
    return declared.startswith("video/")
