"""A video in S3, or in a store that speaks S3's protocol, with nothing needed but boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.aws import TRIES, AwsLogin, asked
from airflow_provider_tiktok.media.readable import MediaSource, attempts, within

_T = TypeVar("_T")


class S3Object(MediaSource):
    """
    An object of a bucket, read by range.

    Each range is asked for with the ETag that was seen first, so that an object that was overwritten
    meanwhile is noticed and never mixed with its predecessor.

    :param bucket: its name
    :param key: exactly as stored; nothing is decoded
    :param login: how the store is reached
    :raises TikTokMediaError: there is no such object, or it may not be read
    :raises TikTokMediaReadError: the store did not answer
    """

    def __init__(self, bucket: str, key: str, login: AwsLogin) -> None:
        self.name = f"s3://{bucket}/{key}"
        if not bucket or not key or key.endswith("/"):
            raise TikTokMediaError(f"{self.name} names no object. Give s3://bucket/key of one video.")
        self._where = {"Bucket": bucket, "Key": key}
        # `client` as Any: its methods are made at run time from Amazon's service description.
        self._client: Any = self._asked(login.client)
        head = self._asked(lambda: self._client.head_object(**self._where))
        self.size = int(head["ContentLength"])
        self._if_match = {"IfMatch": head["ETag"]} if head.get("ETag") else {}

    def read(self, start: int, length: int) -> bytes:
        """Read exactly these bytes; see :meth:`MediaSource.read`."""
        within(self, start, length)
        if not length:
            return b""
        reason = ""
        for _ in attempts(TRIES):
            try:
                return self._asked(lambda: self._range(start, length))
            except _BrokenOffError as error:
                reason = str(error)
        raise TikTokMediaReadError(f"{self.name}: the answer broke off in {TRIES} tries ({reason}).")

    def _range(self, start: int, length: int) -> bytes:
        span = f"bytes={start}-{start + length - 1}"
        answer = self._client.get_object(**self._where, Range=span, **self._if_match)
        with answer["Body"] as body:
            # A store that ignores Range sends everything, which must not come into memory.
            if answer["ContentLength"] != length:
                raise TikTokMediaReadError(f"{self.name}: the store does not answer ranges as S3 does.")
            try:
                data: bytes = body.read()
            except Exception as error:  # botocore's, and urllib3's through it
                raise _BrokenOffError(type(error).__name__) from None
        if len(data) != length:
            raise _BrokenOffError(f"{len(data)} of {length} bytes")
        return data

    def _asked(self, ask: Callable[[], _T]) -> _T:
        return asked(self.name, ask)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _BrokenOffError(Exception):
    """The answer did not come to its end."""
