"""
Media that TikTok has to pull is put into a bucket, and taken away when TikTok has it.

Everything lies below ``<prefix>airflow-tiktok/``, and nothing else of the bucket is ever touched::

    staged/<unguessable>/<name>      what one publish pulls: a folder a try
    publishes/<digest>               which folder a publish pulls from, so that whoever sees it end can
                                     take the folder away, in whichever task and on whichever machine

What a crash leaves behind is found by its age: ``airflow-tiktok media sweep``, or a lifecycle rule.
"""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from urllib.parse import quote, unquote

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError
from airflow_provider_tiktok.media.bucket import Bucket, Leftover
from airflow_provider_tiktok.media.public import check_pullable
from airflow_provider_tiktok.media.readable import MediaAccess

log = logging.getLogger(__name__)

OURS = "airflow-tiktok/"
#: 192 bits: nobody finds a staged file by trying.
RANDOM_BYTES = 24
#: Files that are put, checked or removed at the same time.
AT_ONCE = 4

_SUFFIXES = {
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
}


@dataclass(frozen=True)
class Stageable:
    """
    One file that is to be put into the bucket.

    :param name: as it may be shown
    :param content_type: what its server has to call it
    :param size: bytes
    :param open: gives its bytes, as a file
    """

    name: str
    content_type: str
    size: int
    open: Callable[[], IO[bytes] | io.RawIOBase]


@dataclass(frozen=True)
class Staged:
    """
    What was put into the bucket for one publish.

    :param folder: its key, ending with ``/``
    :param urls: where TikTok can pull the files, in their order
    """

    folder: str
    urls: tuple[str, ...]


class MediaHost:
    """
    A bucket whose objects TikTok can pull under a verified URL prefix. May be used by threads.

    :param bucket: opened
    :param prefix: of all keys; empty, or ends with ``/``
    :param public_base_url: shows the bucket, or what lies below the prefix; ends with ``/``
    :param access: what is allowed when the public URLs are looked at
    """

    def __init__(self, bucket: Bucket, prefix: str, public_base_url: str, access: MediaAccess) -> None:
        self.name = f"s3://{bucket.name}/{prefix}{OURS}"
        self._bucket = bucket
        self._prefix = prefix
        self._root = f"{prefix}{OURS}"
        self._public_base_url = public_base_url
        self._access = access

    def close(self) -> None:
        """Close the connections."""
        self._bucket.close()

    # --- put and see ---

    def stage(self, files: Sequence[Stageable]) -> Staged:
        """
        Put files into the bucket, and see that TikTok can pull each of them.

        Where anything goes wrong, nothing of it stays.

        :param files: of one publish
        :raises TikTokMediaError: the bucket refuses, or TikTok could not pull; says which rule and which file
        :raises TikTokMediaReadError: bucket or public URL did not answer this time
        """
        folder = f"{self._root}staged/{secrets.token_urlsafe(RANDOM_BYTES)}/"
        keys = [
            f"{folder}{number:02d}.{_SUFFIXES.get(file.content_type, 'bin')}"
            for number, file in enumerate(files, 1)
        ]
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tiktok-stage") as pool:
                # one file, which may be long, goes in this thread: an end from outside reaches no other
                each: Callable[..., Iterable[Any]] = pool.map if len(files) > 1 else map
                list(each(self._put, keys, files))
                form = self._form(keys[0], files[0])
                urls = tuple(each(lambda key, file: self._checked(form(key), file), keys, files))
        except BaseException:  # also a task that is ended from outside: nobody knows of the folder yet
            self.remove(folder)
            raise
        log.info("Staged %d files in s3://%s/%s.", len(files), self._bucket.name, folder)
        return Staged(folder, urls)

    def _put(self, key: str, file: Stageable) -> None:
        with file.open() as body:
            self._bucket.put(key, body, file.content_type)

    def _form(self, key: str, file: Stageable) -> Callable[[str], str]:
        """
        Tell how a key becomes a URL: the base URL shows the whole bucket, or only what is below the prefix.

        A base URL that ends like the prefix speaks of the latter; otherwise the first file tells.
        """
        forms = [self._whole, self._below]
        if not self._prefix:
            return self._whole
        if unquote(self._public_base_url).endswith(f"/{self._prefix}"):
            forms.reverse()
        for form in forms:
            try:
                self._checked(form(key), file)
            except TikTokMediaError:
                continue
            return form
        return forms[0]

    def _whole(self, key: str) -> str:
        return self._public_base_url + quote(key)

    def _below(self, key: str) -> str:
        return self._public_base_url + quote(key.removeprefix(self._prefix))

    def _checked(self, url: str, file: Stageable) -> str:
        check_pullable(url, file.name, self._access, kind=file.content_type, size=file.size)
        return url

    # --- take away ---

    def remember(self, publish_id: str, staged: Staged) -> None:
        """
        Note what a publish pulls from, for whoever sees it end.

        :param publish_id: from the init
        :param staged: from :meth:`stage`
        :raises TikTokError: it could not be noted; the sweep will find the files
        """
        self._bucket.write(self._note(publish_id), staged.folder)

    def release(self, publish_id: str) -> None:
        """
        Take away what a publish has pulled from. Call it once the publish has ended, never before.

        :param publish_id: of the publish; nothing happens where it has staged nothing
        :raises TikTokError: the bucket refuses, or did not answer; the sweep will find the files
        """
        note = self._note(publish_id)
        if note not in self._bucket.keys(note):
            return
        folder = self._bucket.read(note)
        if folder.startswith(f"{self._root}staged/") and folder.endswith("/"):  # anything else is not ours
            self._empty(folder)
        self._bucket.delete(note)  # last: after a crash in between, the next one finds the folder again
        log.info("Publish %s has ended: what it was pulled from is removed.", publish_id)

    def _note(self, publish_id: str) -> str:
        return f"{self._root}publishes/{hashlib.sha256(publish_id.encode()).hexdigest()[:40]}"

    def remove(self, folder: str) -> None:
        """
        Take a folder away; what cannot be taken away is left to the sweep, with a warning.

        :param folder: of :class:`Staged`
        """
        try:
            self._empty(folder)
        except TikTokError as error:
            log.warning(
                "Staged files could not be removed; `airflow-tiktok media sweep` will remove them: %s", error
            )

    def _empty(self, folder: str) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tiktok-stage") as pool:
            list(pool.map(self._bucket.delete, self._bucket.keys(folder)))

    # --- sweep ---

    def leftovers(self, before: datetime) -> list[Leftover]:
        """
        List what was put below our folder before a moment, finished or not, in the order of its age.

        :param before: with a time zone
        :raises TikTokError: the bucket refuses, or did not answer
        """
        found = self._bucket.objects(self._root)
        try:
            found += self._bucket.uploads(self._root)
        except TikTokError as error:  # not every store knows them, nor may everybody list them
            log.warning("Uploads that did not come to their end cannot be listed, and stay: %s", error)
        return sorted((each for each in found if each.modified < before), key=lambda each: each.modified)

    def sweep(self, leftover: Leftover) -> None:
        """
        Remove one thing that was left behind.

        :param leftover: from :meth:`leftovers`
        :raises TikTokError: the bucket refuses, or did not answer
        """
        self._bucket.remove(leftover)
