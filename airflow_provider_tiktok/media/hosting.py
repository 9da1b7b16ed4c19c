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
from typing import IO, Any, TypeVar
from urllib.parse import quote, unquote

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError
from airflow_provider_tiktok.media.aws import PATIENT, AwsLogin, Patience, asked
from airflow_provider_tiktok.media.public import check_pullable
from airflow_provider_tiktok.media.readable import MediaAccess

log = logging.getLogger(__name__)

_T = TypeVar("_T")

OURS = "airflow-tiktok/"
#: 192 bits: nobody finds a staged file by trying.
RANDOM_BYTES = 24
#: Files that are put, checked or removed at the same time.
AT_ONCE = 4
#: A file of twice this size or more goes in parts; boto3 holds at most 10 of them in memory.
PART_BYTES = 8 * 1024 * 1024

_GONE = frozenset({"404", "NoSuchKey", "NoSuchUpload"})
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


@dataclass(frozen=True)
class Leftover:
    """
    An object, or an upload that did not come to its end, that lies below our folder.

    :param key: of the object
    :param modified: when it was put there
    :param size: bytes; 0 for an upload
    :param upload_id: of an upload; empty for an object
    """

    key: str
    modified: datetime
    size: int = 0
    upload_id: str = ""


class MediaHost:
    """
    A bucket whose objects TikTok can pull under a verified URL prefix. May be used by threads.

    Objects get no ACL: they are as private as the bucket is, and seen through the public URL alone.

    :param bucket: its name
    :param prefix: of all keys; empty, or ends with ``/``
    :param public_base_url: shows the bucket, or what lies below the prefix; ends with ``/``
    :param login: how the store is reached
    :param access: what is allowed when the public URLs are looked at
    :param patience: how long the store is waited for
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        public_base_url: str,
        login: AwsLogin,
        access: MediaAccess,
        *,
        patience: Patience = PATIENT,
    ) -> None:
        self.name = f"s3://{bucket}/{prefix}{OURS}"
        self._bucket = bucket
        self._prefix = prefix
        self._root = f"{prefix}{OURS}"
        self._public_base_url = public_base_url
        self._access = access
        self._client: Any = self._asked(self._root, lambda: login.client(patience))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, key: str, ask: Callable[[], _T], verb: str = "read") -> _T:
        return asked(f"s3://{self._bucket}/{key}", ask, verb=verb)

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
        log.info("Staged %d files in s3://%s/%s.", len(files), self._bucket, folder)
        return Staged(folder, urls)

    def _put(self, key: str, file: Stageable) -> None:
        with file.open() as body:
            self._asked(key, lambda: self._upload(key, body, file.content_type), "written")

    def _upload(self, key: str, body: Any, content_type: str) -> None:
        from boto3.s3.transfer import TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=AT_ONCE
        )
        with create_transfer_manager(self._client, config) as manager:
            upload = manager.upload(body, self._bucket, key, extra_args={"ContentType": content_type})
            try:
                upload.result()
            except BaseException:
                body.close()  # boto3 would read the file to its end, only to throw it away
                raise

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
        key, body = self._note(publish_id), staged.folder.encode()
        kind = "text/plain; charset=utf-8"
        self._asked(
            key,
            lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind),
            "written",
        )

    def release(self, publish_id: str) -> None:
        """
        Take away what a publish has pulled from. Call it once the publish has ended, never before.

        :param publish_id: of the publish; nothing happens where it has staged nothing
        :raises TikTokError: the bucket refuses, or did not answer; the sweep will find the files
        """
        key = self._note(publish_id)
        if key not in self._keys(key):
            return
        folder = self._asked(key, lambda: self._read(key))
        if folder.startswith(f"{self._root}staged/") and folder.endswith("/"):  # anything else is not ours
            self._empty(folder)
        self._delete(key)  # last: after a crash in between, the next one finds the folder again
        log.info("Publish %s has ended: what it was pulled from is removed.", publish_id)

    def _note(self, publish_id: str) -> str:
        return f"{self._root}publishes/{hashlib.sha256(publish_id.encode()).hexdigest()[:40]}"

    def _read(self, key: str) -> str:
        with self._client.get_object(Bucket=self._bucket, Key=key)["Body"] as body:
            return str(body.read(4096), "utf-8", "replace")

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
            list(pool.map(self._delete, self._keys(folder)))

    def _delete(self, key: str) -> None:
        # One by one: not every store that speaks S3's protocol knows how to delete many at once.
        self._gone(key, lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def _gone(self, key: str, remove: Callable[[], object]) -> None:
        """Remove something; that it is gone already, which some stores call an error, is well."""
        from botocore.exceptions import ClientError

        def ask() -> None:
            try:
                remove()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _GONE:
                    raise

        self._asked(key, ask, "removed")

    # --- sweep ---

    def leftovers(self, before: datetime) -> list[Leftover]:
        """
        List what was put below our folder before a moment, finished or not, in the order of its age.

        :param before: with a time zone
        :raises TikTokError: the bucket refuses, or did not answer
        """
        found = [
            Leftover(each["Key"], each["LastModified"], each.get("Size", 0))
            for each in self._listed("list_objects_v2", "Contents", self._root)
        ]
        try:
            found += self._uploads()
        except TikTokError as error:  # not every store knows them, nor may everybody list them
            log.warning("Uploads that did not come to their end cannot be listed, and stay: %s", error)
        return sorted((each for each in found if each.modified < before), key=lambda each: each.modified)

    def sweep(self, leftover: Leftover) -> None:
        """
        Remove one thing that was left behind.

        :param leftover: from :meth:`leftovers`
        :raises TikTokError: the bucket refuses, or did not answer
        """
        if not leftover.upload_id:
            self._delete(leftover.key)
            return
        where = {"Bucket": self._bucket, "Key": leftover.key, "UploadId": leftover.upload_id}
        self._gone(leftover.key, lambda: self._client.abort_multipart_upload(**where))

    def _keys(self, prefix: str) -> list[str]:
        return [each["Key"] for each in self._listed("list_objects_v2", "Contents", prefix)]

    def _uploads(self) -> list[Leftover]:
        return [
            Leftover(each["Key"], each["Initiated"], upload_id=each["UploadId"])
            for each in self._listed("list_multipart_uploads", "Uploads", self._root)
        ]

    def _listed(self, operation: str, what: str, prefix: str) -> list[dict[str, Any]]:
        return [
            each
            for page in self._pages(operation, prefix)
            for each in page.get(what, ())
            if each["Key"].startswith(prefix)  # some stores do not heed it, and what is listed is removed
        ]

    def _pages(self, operation: str, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix)
        return self._asked(prefix, lambda: list(pages), "listed")
