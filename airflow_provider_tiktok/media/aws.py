"""How an S3 store is reached, and what its errors mean to us."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import changed

if TYPE_CHECKING:
    from botocore.client import BaseClient

_T = TypeVar("_T")

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
    401: f"may not be {{verb}}. {_CREDENTIALS}",
    403: f"may not be {{verb}} (or does not exist: S3 tells only who may list the bucket). {_CREDENTIALS}",
    404: "does not exist: no such bucket, or no such key in it. Keys are case-sensitive.",
    405: "is a deleted version.",
}

#: How codes begin that come with such a status all the same, and pass: a connection too slow, or too many.
_PASSING = ("RequestTimeout", "RequestThrottled", "Throttl")

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
class Patience:
    """
    How long a store is waited for.

    :param connect_seconds: for a connection
    :param read_seconds: for an answer
    :param tries: of each request
    """

    connect_seconds: float = 10
    read_seconds: float = 30
    tries: int = TRIES


PATIENT = Patience()
#: For what can be left undone: at most half a minute for a store that does not answer.
BRIEF = Patience(connect_seconds=3, read_seconds=10, tries=2)


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

    def client(self, patience: Patience = PATIENT) -> BaseClient:
        """
        Make an S3 client; it may be shared by threads.

        :param patience: how long the store is waited for
        """
        from botocore.config import Config  # slow, and needed for S3 only

        # Stores other than Amazon's know none of the checksums that boto3 adds since 1.36; before, it knew no
        # such setting.
        plain = self.endpoint_url and "request_checksum_calculation" in Config.OPTION_DEFAULTS
        more: dict[str, Any] = {"request_checksum_calculation": "when_required"} if plain else {}
        config = Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"mode": "standard", "total_max_attempts": patience.tries},
            **more,
        )
        with _making:  # a session must not be used by two threads at once; clients may
            client: BaseClient = _session().client(
                "s3",
                config=config,
                aws_access_key_id=self.access_key or None,
                aws_secret_access_key=self.secret_key or None,
                aws_session_token=self.session_token or None,
                endpoint_url=self.endpoint_url or None,
                region_name=self.region_name or None,
            )
        return client


_making = threading.Lock()


@cache
def _session() -> Any:
    """
    Make the one session of this process, and not boto3's own, which others may use at the same time.

    A new one loads Amazon's service description again, 60 ms of CPU, and asks the machine for its role.
    """
    import boto3

    return boto3.session.Session()


def asked(name: str, ask: Callable[[], _T], *, verb: str = "read") -> _T:
    """
    Ask the store; its errors become ours. Their own text is left out: it can name keys and tokens.

    :param name: of what is asked for, as it may be shown
    :param ask: does it
    :param verb: what is to be done with it
    :raises TikTokMediaError: the store refuses, and would refuse again
    :raises TikTokMediaReadError: the store did not answer, or is in trouble
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        raise _refused(name, verb, error.response) from None
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint_url that is none
        raise _failed(name, type(error).__name__) from None


def _refused(name: str, verb: str, answer: Any) -> TikTokError:
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = answer.get("Error", {}).get("Code", "")
    if status in (412, 416):
        return changed(name)
    if (trouble := _REFUSED.get(status)) and not code.startswith(_PASSING):
        return TikTokMediaError(f"{name} {trouble.format(verb=verb)} (S3: {code}, HTTP {status})")
    return TikTokMediaReadError(f"{name} could not be {verb} just now (S3: {code}, HTTP {status}).")


def _failed(name: str, kind: str) -> TikTokError:
    if kind == "ValueError":
        return TikTokMediaError(
            f"{name}: the aws Connection's endpoint_url is not a URL. Correct it, as https://host:port."
        )
    if kind in _SETUP:
        return TikTokMediaError(f"{name} cannot be asked for ({kind}). {_CREDENTIALS}")
    return TikTokMediaReadError(f"{name}: the store did not answer ({kind}).")
