"""
Values that have to survive a task, kept in Airflow's Variables: the only module that touches them.

A Variable is a worse register than it looks: a failed read looks like absence (in every version), a write
that returned may not have landed, and an environment variable or a secrets backend that has the key hides
what is written. So a read here has three outcomes (the value, *proven* absent, or an error), and a write
counts when it has been read back. No name may look sensitive to Airflow (``token``, ``secret`` ...): every
value ever read would stay in the log masker of the process for ever.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress

from airflow.providers.common.compat.sdk import Variable

from airflow_provider_tiktok.exceptions import TikTokStoreError

log = logging.getLogger(__name__)

_PROBES = 2
_SENSITIVE = ("api", "key", "passw", "passphrase", "proxy", "proxies", "secret", "token", "authorization", "service_account")


def name(kind: str, conn_id: str, *rest: str) -> str:
    """
    Give the name of a Variable, neutral whatever the Connection is called.

    :param kind: what is kept
    :param conn_id: whose
    :param rest: what tells it from others of that kind
    """
    full = "__".join((f"tiktok_{kind}", conn_id, *rest))
    if len(full) > 200 or any(word in conn_id.lower() for word in _SENSITIVE):
        full = "__".join((f"tiktok_{kind}", hashlib.sha256(conn_id.encode()).hexdigest()[:16], *rest))
    return full


def read(key: str, before: Callable[[], None] | None = None) -> str | None:
    """
    Read a value.

    :param key: name of the Variable
    :param before: called before each look
    :return: the value; None only if it is proven that there is none
    :raises TikTokStoreError: it cannot be told whether there is one
    """
    if before:
        before()
    value = _get(key)
    for _ in range(_PROBES):
        if value is not None:
            return value
        if before:
            before()
        value = _get_between_probes(key)
    return value


def put(key: str, value: str) -> None:
    """
    Write a value, without a look at what came of it.

    :param key: name of the Variable
    :param value: text; must hold no secret in clear
    :raises TikTokStoreError: it may or may not be written
    """
    try:
        Variable.set(key, value)
    except Exception as error:
        raise TikTokStoreError(f"Airflow's Variable {key} could not be written ({type(error).__name__}).") from None


def write(key: str, value: str) -> None:
    """
    Write a value, and see that it is there.

    :param key: name of the Variable
    :param value: text; must hold no secret in clear
    :raises TikTokStoreError: it is not proven that the value is kept
    """
    try:
        Variable.set(key, value)
    except Exception as error:  # each Airflow raises something of its own: reading back is what counts
        log.debug("Writing Variable %s raised %s.", key, type(error).__name__)
    if _get(key) != value:
        raise TikTokStoreError(
            f"Airflow's Variable {key} could not be written, or does not read back what was written. Either "
            "the metadata database does not answer just now, or an environment variable "
            f"AIRFLOW_VAR_{key.upper()} or a secrets backend holds the same name and hides it: remove it "
            "there."
        )


def remove(key: str) -> None:
    """
    Remove a value, if that is possible just now.

    :param key: name of the Variable
    """
    with suppress(Exception):  # whatever cannot be removed is only untidy
        Variable.delete(key)


def _get(key: str) -> str | None:
    try:
        value = Variable.get(key)
    except Exception as error:  # absence and failure look alike here; the probe tells them apart
        log.debug("Reading Variable %s raised %s.", key, type(error).__name__)
        return None
    return value if isinstance(value, str) else None


def _get_between_probes(key: str) -> str | None:
    """Look once more, while proving that what is written can be read: only then is nothing really nothing."""
    nonce = secrets.token_hex(8)
    probe = f"tiktok_probe__{nonce}"
    try:
        write(probe, nonce)
        value = _get(key)
        if value is None and _get(probe) != nonce:
            raise TikTokStoreError(
                f"Airflow's Variable {key} cannot be read just now: what was written a moment ago is not "
                "there. See that the metadata database answers."
            )
    finally:
        remove(probe)
    return value
