"""Files over HTTP: the media of posts for the feed, a public folder for pulls; both with Range and HEAD."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from airflow_provider_tiktok.sandbox.media import media_type
from airflow_provider_tiktok.sandbox.world import World

#: Python before 3.13 does not know it, and what is served as octet-stream is not a picture to everybody.
KNOWN_TYPES = {".webp": "image/webp", ".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}


class Files:
    """The handlers of ``/media/`` and ``/public/``."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def media(self, request: Request) -> Response:
        """
        One picture or video of a publish.

        :param request: with the publish_id and an index.
        """
        publish = self._world.publishes.by_id.get(request.path_params["publish_id"])
        index = request.path_params["index"]
        if publish is None or index >= len(publish.media):
            raise HTTPException(404)
        path = publish.media[index]
        return _file(path, media_type(path))

    async def public(self, request: Request) -> Response:
        """
        A file of the folder that the knob ``public_dir`` names.

        :param request: with its path there.
        """
        if not self._world.knobs.public_dir:
            raise HTTPException(404)
        root = Path(self._world.knobs.public_dir).expanduser().resolve()
        path = (root / request.path_params["path"]).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise HTTPException(404)
        guessed = KNOWN_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
        return _file(path, guessed or "application/octet-stream")


def _file(path: Path, kind: str) -> Response:
    # nosniff: what a test uploads must not run as a page on this origin, whatever bytes it has.
    headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
    return FileResponse(path, media_type=kind, headers=headers)
