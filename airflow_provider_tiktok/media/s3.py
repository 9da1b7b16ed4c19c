"""A video in S3, or in a store that speaks S3's protocol, with nothing needed but boto3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import MediaSource, attempts, changed, within

if TYPE_CHECKING:
    from botocore.client import BaseClient

_T = TypeVar("_T")

CONNECT_SECONDS, READ_SECONDS = 10, 30
#: boto3 repeats a request, but not the reading of an answer that breaks off.
TRIES = 3

_CREDENTIALS = (
    "Check login and password of the aws Connection that the TikTok Connection's media_conn_id names, "
    "or the worker's own AWS credentials."
)

#: HTTP status -> what is wrong and what to do, where no later try cures it.
_REFUSED = {
    301: "lies in another region. Set region_name in the extra of the aws Connection.",
    400: f"was refused as a bad request, as with expired credentials. {_CREDENTIALS}",
    401: f"may not be read. {_CREDENTIALS}",
    403: f"may not be read (or does not exist: S3 tells only who may list the bucket). {_CREDENTIALS}",
    404: "does not exist: no such bucket, or no such key in it. Keys are case-sensitive.",
    405: "is a deleted version.",
}

#: Names of botocore's exceptions that speak of the set-up and not of the network.
_SETUP = {
    "InvalidRegionError",
    "NoCredentialsError",
    "NoRegionError",
    "ParamValidationError",
    "PartialCredentialsError",
    "ProfileNotFound",
}


@dataclass(frozen=True)
class AwsLogin:
    """
    What an ``aws`` Connection says; empty fields are left to boto3's own chain.

    :param access_key: the Connection's login
    :param secret_key: its password
    :param session_token: extra ``aws_session_token``
    :param endpoint_url: extra ``endpoint_url``, for stores other than Amazon's
    :param region_name: extra ``region_name``
    """

    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    endpoint_url: str = field(default="", repr=False)
    region_name: str = ""

    def client(self) -> BaseClient:
        """Make an S3 client; it may be shared by threads."""
        import boto3  # slow, and needed for s3:// only
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "max_attempts": TRIES},
        )
        # A session of its own: boto3's default one must not be used by two threads at once.
        client: BaseClient = boto3.session.Session().client(
            "s3",
            config=config,
            aws_access_key_id=self.access_key or None,
            aws_secret_access_key=self.secret_key or None,
            aws_session_token=self.session_token or None,
            endpoint_url=self.endpoint_url or None,
            region_name=self.region_name or None,
        )
        return client


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
        self._etag = str(head["ETag"])

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
        answer = self._client.get_object(**self._where, Range=span, IfMatch=self._etag)
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
        """Ask the store; its errors become ours. Their own text is left out: it can name keys and tokens."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ask()
        except ClientError as error:
            raise self._refused(error.response) from None
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint_url that is none
            raise self._failed(type(error).__name__) from None

    def _refused(self, answer: Any) -> TikTokError:
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = answer.get("Error", {}).get("Code", "")
        if status in (412, 416):
            return changed(self.name)
        if trouble := _REFUSED.get(status):
            return TikTokMediaError(f"{self.name} {trouble} (S3: {code}, HTTP {status})")
        return TikTokMediaReadError(f"{self.name} could not be read just now (S3: {code}, HTTP {status}).")

    def _failed(self, kind: str) -> TikTokError:
        if kind == "ValueError":
            return TikTokMediaError(
                f"{self.name}: the aws Connection's endpoint_url is not a URL. Correct it, as https://host:port."
            )
        if kind in _SETUP:
            return TikTokMediaError(f"{self.name} cannot be asked for ({kind}). {_CREDENTIALS}")
        return TikTokMediaReadError(f"{self.name}: the store did not answer ({kind}).")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _BrokenOffError(Exception):
    """The answer did not come to its end."""
