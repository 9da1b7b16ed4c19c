"""A bucket of a store that speaks S3's protocol: what is put into it, listed and removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from airflow_provider_tiktok.media.aws import PATIENT, AwsLogin, Patience, asked

_T = TypeVar("_T")

#: Parts of a large file that travel at the same time.
AT_ONCE = 4
#: A file of twice this size or more goes in parts; boto3 holds at most 10 of them in memory.
PART_BYTES = 8 * 1024 * 1024

_GONE = frozenset({"404", "NoSuchKey", "NoSuchUpload"})


@dataclass(frozen=True)
class Leftover:
    """
    An object, or an upload that did not come to its end.

    :param key: of the object
    :param modified: when it was put there
    :param size: bytes; 0 for an upload
    :param upload_id: of an upload; empty for an object
    """

    key: str
    modified: datetime
    size: int = 0
    upload_id: str = ""


class Bucket:
    """
    One bucket. May be used by threads.

    All methods raise :class:`TikTokMediaError` where the store refuses, and :class:`TikTokMediaReadError`
    where it did not answer this time.

    :param name: of the bucket
    :param login: how the store is reached
    :param patience: how long it is waited for
    """

    def __init__(self, name: str, login: AwsLogin, patience: Patience = PATIENT) -> None:
        self.name = name
        self._client: Any = self._asked("", lambda: login.client(patience))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, key: str, ask: Callable[[], _T], verb: str = "read") -> _T:
        return asked(f"s3://{self.name}/{key}", ask, verb=verb)

    def put(self, key: str, body: Any, content_type: str) -> None:
        """
        Put a file into it, a large one in parts. Objects get no ACL: they are as private as the bucket is.

        :param key: of the object
        :param body: a file; closed where putting it fails
        :param content_type: what it is served as
        """
        self._asked(key, lambda: self._upload(key, body, content_type), "written")

    def _upload(self, key: str, body: Any, content_type: str) -> None:
        from boto3.s3.transfer import TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=AT_ONCE
        )
        with create_transfer_manager(self._client, config) as manager:
            upload = manager.upload(body, self.name, key, extra_args={"ContentType": content_type})
            try:
                upload.result()
            except BaseException:
                body.close()  # boto3 would read the file to its end, only to throw it away
                raise

    def write(self, key: str, text: str) -> None:
        """
        Put a short text into it.

        :param key: of the object
        :param text: its content
        """
        what = {"Bucket": self.name, "Key": key, "Body": text.encode()}
        kind = "text/plain; charset=utf-8"
        self._asked(key, lambda: self._client.put_object(**what, ContentType=kind), "written")

    def read(self, key: str) -> str:
        """
        Give a short text that was put into it.

        :param key: of the object
        """

        def ask() -> bytes:
            with self._client.get_object(Bucket=self.name, Key=key)["Body"] as body:
                return bytes(body.read(4096))

        return self._asked(key, ask).decode(errors="replace")

    def delete(self, key: str) -> None:
        """
        Remove an object; that it is gone already is well.

        :param key: of the object
        """
        # One by one: not every store that speaks S3's protocol knows how to delete many at once.
        self._gone(key, lambda: self._client.delete_object(Bucket=self.name, Key=key))

    def remove(self, leftover: Leftover) -> None:
        """
        Remove an object, or what has come of an upload.

        :param leftover: from :meth:`objects` or :meth:`uploads`
        """
        if not leftover.upload_id:
            self.delete(leftover.key)
            return
        where = {"Bucket": self.name, "Key": leftover.key, "UploadId": leftover.upload_id}
        self._gone(leftover.key, lambda: self._client.abort_multipart_upload(**where))

    def _gone(self, key: str, remove: Callable[[], object]) -> None:
        """Remove something; some stores call it an error that it is gone already."""
        from botocore.exceptions import ClientError

        def ask() -> None:
            try:
                remove()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _GONE:
                    raise

        self._asked(key, ask, "removed")

    def keys(self, prefix: str) -> list[str]:
        """
        List the objects below a prefix.

        :param prefix: how their keys begin
        """
        return [each["Key"] for each in self._listed("list_objects_v2", "Contents", prefix)]

    def objects(self, prefix: str) -> list[Leftover]:
        """
        List the objects below a prefix, with their age.

        :param prefix: how their keys begin
        """
        return [
            Leftover(each["Key"], each["LastModified"], each.get("Size", 0))
            for each in self._listed("list_objects_v2", "Contents", prefix)
        ]

    def uploads(self, prefix: str) -> list[Leftover]:
        """
        List the uploads below a prefix that have not come to their end.

        :param prefix: how their keys begin
        """
        return [
            Leftover(each["Key"], each["Initiated"], upload_id=each["UploadId"])
            for each in self._listed("list_multipart_uploads", "Uploads", prefix)
        ]

    def _listed(self, operation: str, what: str, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator(operation).paginate(Bucket=self.name, Prefix=prefix)
        return [
            each
            for page in self._asked(prefix, lambda: list(pages), "listed")
            for each in page.get(what, ())
            if each["Key"].startswith(prefix)  # some stores do not heed it, and what is listed is removed
        ]
