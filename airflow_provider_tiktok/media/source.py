"""
Where media lies: one function that opens any of it, and one that opens the bucket TikTok pulls from.

The only module of ``media`` that knows Airflow: it reads the ``aws`` Connection and asks Airflow's object
storage for filesystems.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.aws import PATIENT, AwsLogin, Patience
from airflow_provider_tiktok.media.bucket import Bucket
from airflow_provider_tiktok.media.hosting import MediaHost
from airflow_provider_tiktok.media.local import LocalFile
from airflow_provider_tiktok.media.readable import MAX_BYTES, MediaAccess, MediaSource
from airflow_provider_tiktok.media.s3 import S3Object
from airflow_provider_tiktok.media.storage import StorageFile
from airflow_provider_tiktok.media.web import WebFile

__all__ = ["MediaAccess", "MediaSource", "open_host", "open_source"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

#: Scheme -> the Airflow provider whose filesystem opens it, as far as known.
_PROVIDERS = {
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
    "gcs": "apache-airflow-providers-google",
    "gs": "apache-airflow-providers-google",
    "hdfs": "apache-airflow-providers-apache-hdfs",
    "oss": "apache-airflow-providers-alibaba",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "s3n": "apache-airflow-providers-amazon[s3fs]",
    "sftp": "apache-airflow-providers-sftp",
}


def open_source(uri: str, access: MediaAccess) -> MediaSource:
    """
    Open media wherever it lies. Use it in a ``with`` statement.

    :param uri: a local path, an ``s3://`` URI, an ``https://`` URL, or any URI that Airflow's
        ``ObjectStoragePath`` opens
    :param access: how it is reached
    :raises TikTokMediaError: it is not there, may not be read, is empty or larger than 4 GiB, or lies where
        this provider refuses to go
    :raises TikTokMediaReadError: it could not be reached this time
    """
    found = _SCHEME.match(uri)
    opener = _OPENERS.get(found[1].lower(), _open_storage) if found else _open_local
    source = opener(uri, access)
    if trouble := _wrong_size(source.size):
        source.close()
        raise TikTokMediaError(f"{source.name} {trouble}")
    return source


def open_host(
    bucket: str, prefix: str, public_base_url: str, access: MediaAccess, *, patience: Patience = PATIENT
) -> MediaHost:
    """
    Open the bucket from which TikTok pulls. Close it afterwards.

    :param bucket: its name
    :param prefix: of all keys; empty, or ends with ``/``
    :param public_base_url: under which it is seen; ends with ``/``
    :param access: how it is reached
    :param patience: how long it is waited for
    :raises TikTokMediaError: the ``aws`` Connection cannot be used
    :raises TikTokMediaReadError: Airflow did not give the ``aws`` Connection this time
    """
    return MediaHost(Bucket(bucket, _login_of(access), patience), prefix, public_base_url, access)


def _wrong_size(size: int) -> str:
    if size <= 0:
        return "is empty: nothing was sent."
    if size > MAX_BYTES:
        return f"has {size} bytes; TikTok takes at most 4 GB."
    return ""


def _open_local(uri: str, access: MediaAccess) -> MediaSource:  # noqa: ARG001
    return LocalFile(uri)


def _open_s3(uri: str, access: MediaAccess) -> MediaSource:
    # Not urlsplit: "?", "#" and "%" are ordinary characters of a key.
    bucket, _, key = _SCHEME.sub("", uri, count=1).partition("/")
    return S3Object(bucket, key, _login_of(access))


def _open_web(uri: str, access: MediaAccess) -> MediaSource:
    return WebFile(uri, access)


def _open_storage(uri: str, access: MediaAccess) -> MediaSource:  # noqa: ARG001
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # loads fsspec

    parts = urlsplit(uri)
    scheme, name = parts.scheme, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    try:
        path = ObjectStoragePath(uri)
        filesystem = path.fs
    except (ImportError, ValueError):
        provider = _PROVIDERS.get(scheme)
        cure = f"Install {provider}" if provider else "Install the Airflow provider that has it"
        raise TikTokMediaError(
            f"{name}: Airflow has no object storage for {scheme}:// here. {cure} on the workers, "
            "or give a local path, an s3:// URI or an https:// URL."
        ) from None
    except Exception as error:  # whatever a filesystem's login raises; its text may hold a credential
        raise TikTokMediaReadError(f"{name}: its storage did not open ({type(error).__name__}).") from None
    return StorageFile(filesystem, path.path, name)


def _login_of(access: MediaAccess) -> AwsLogin:
    return _aws_login(access.media_conn_id) if access.media_conn_id else AwsLogin()


def _aws_login(conn_id: str) -> AwsLogin:
    from airflow.providers.common.compat.sdk import (  # slow, and needed for s3:// only
        AirflowNotFoundException,
        BaseHook,
    )

    try:
        connection = BaseHook.get_connection(conn_id)
        extra = connection.extra_dejson
    except AirflowNotFoundException:
        raise TikTokMediaError(
            f"There is no Connection {conn_id!r}, which the TikTok Connection's extra media_conn_id names. "
            "Add it (type aws), or remove media_conn_id to use the worker's own AWS credentials."
        ) from None
    except Exception as error:
        raise TikTokMediaReadError(
            f"Airflow did not give the Connection {conn_id!r} ({type(error).__name__})."
        ) from None
    return read_login(connection, extra)


def read_login(connection: Any, extra: Mapping[str, Any] | None = None) -> AwsLogin:
    """
    Read an ``aws`` Connection.

    :param connection: Airflow's
    :param extra: its extra; None = the Connection's own is read
    """
    extra = connection.extra_dejson if extra is None else extra
    return AwsLogin(
        access_key=connection.login or "",
        secret_key=connection.password or "",
        session_token=str(extra.get("aws_session_token") or ""),
        endpoint_url=str(extra.get("endpoint_url") or ""),
        region_name=str(extra.get("region_name") or ""),
    )


_OPENERS: dict[str, Callable[[str, MediaAccess], MediaSource]] = {
    "s3": _open_s3,
    "https": _open_web,
    "http": _open_web,
}
