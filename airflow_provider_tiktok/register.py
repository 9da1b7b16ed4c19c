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
import re
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokStoreError

log = logging.getLogger(__name__)

#: What keeps the values; None = Airflow's Variable, whichever this process can use. For tests.
Variable: Any = None

# Where Airflow lists its Variables, the list is the proof, and these are there for good measure.
_PROOFS = 2
# Elsewhere there is nothing else: should half of all reads fail, one by one and without a word, n proofs
# are wrong once in 2 ** (2n + 1) times. They take 10 to 15 ms an operation, a few times a refresh.
_PROOFS_WITHOUT_LIST = 6

_LONGEST = 200  # the database has room for 250
# What Airflow takes for sensitive in a name: the words of 2.11, 3.0 and 3.3 together. They are fixed here,
# not asked of Airflow or of its configuration: a name must be the same on every host, whatever is installed
# and configured there, and after an upgrade.
_SENSITIVE = (
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "auth_header",
    "authorization",
    "bearer",
    "connection_string",
    "dsn",
    "keyfile_dict",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "proxies",
    "proxy",
    "secret",
    "service_account",
    "service_key",
    "token",
    "webhook_url",
)
# Airflow 3 puts names into URLs as they are: a "#" would cut them off.
_ORDINARY = re.compile(r"[A-Za-z0-9_.~-]+")
_DIGEST = re.compile(r"sha256-[0-9a-f]{32}")


def name(kind: str, conn_id: str, *rest: str) -> str:
    """
    Give the name of the Variable that holds something of an account.

    :param kind: what it holds
    :param conn_id: of the Connection; a digest stands for one that would make the name look sensitive, too
        long, or unfit for a URL
    :param rest: what else tells it from others
    """
    given = "__".join((f"tiktok_{kind}", conn_id, *rest))
    if len(given) <= _LONGEST and _is_ordinary(conn_id) and not _looks_sensitive(given):
        return given
    digest = hashlib.sha256(conn_id.encode(errors="surrogatepass")).hexdigest()[:32]
    return "__".join((f"tiktok_{kind}", f"sha256-{digest}", *rest))


def read(key: str, before: Callable[[], None] | None = None) -> str | None:
    """
    Read a value.

    :param key: name of the Variable
    :param before: called immediately before each look at the Variable; two operations follow the last one
    :return: the value; None only if it is proven that there is none
    :raises TikTokStoreError: it cannot be told whether there is one
    """

    def look() -> str | None:
        if before is not None:
            before()
        return _get(key)

    try:
        value = look()
        return value if value is not None else _look_between_probes(key, look)
    except TikTokStoreError as error:
        raise TikTokStoreError(f"It cannot be told what Airflow's Variable {key} holds. {error}") from None


def peek(key: str) -> str | None:
    """
    Give the value, or None where there may be one all the same: where that does no harm, it costs one look.

    :param key: name of the Variable
    :raises TikTokStoreError: Airflow says that it cannot be read just now
    """
    return _get(key)


def put(key: str, value: str) -> None:
    """
    Write a value, without a look at what came of it.

    :param key: name of the Variable
    :param value: text; must hold no secret in clear
    :raises TikTokStoreError: Airflow says that it could not be written; it may be there all the same
    """
    try:
        _variable().set(key, value)
    except Exception as error:  # each Airflow raises something of its own, and its text may tell the value
        raise TikTokStoreError(_failed(f"{key} could not be written", error)) from None


def write(key: str, value: str) -> None:
    """
    Write a value, and see that it is there.

    :param key: name of the Variable
    :param value: text; must hold no secret in clear
    :raises TikTokStoreError: it is not proven that the value is kept
    """
    with suppress(TikTokStoreError):  # reading back is what counts
        put(key, value)
    with suppress(TikTokStoreError):
        if _get(key) == value:
            return
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
        _variable().delete(key)


def _look_between_probes(key: str, look: Callable[[], str | None]) -> str | None:
    """
    Look again, while proving that what is written can be read: only then is nothing really nothing.

    Whoever writes next counts the time from the last look on. So what can be done before it is done before.
    """
    probe = f"tiktok_probe__{secrets.token_hex(8)}"
    keys = getattr(_variable(), "keys", None)  # since Airflow 3.3; it raises if it fails
    listed = False
    proofs = _PROOFS if keys else _PROOFS_WITHOUT_LIST
    try:
        for left in reversed(range(proofs)):
            if keys and not left:
                listed = _is_listed(key, keys)
            nonce = secrets.token_hex(8)
            put(probe, nonce)
            value = look()
            if value is not None:
                return value
            if _get(probe) != nonce:
                raise TikTokStoreError(
                    "What was written a moment ago is not there. See that the metadata database answers."
                )
    finally:
        remove(probe)
    if listed:
        raise TikTokStoreError(
            "Airflow lists it, but does not give its value. Either the metadata database does not answer "
            "just now, or the value was encrypted with a Fernet key that Airflow has no more: then remove it."
        )
    return None


def _is_listed(key: str, keys: Callable[..., Any]) -> bool:
    try:
        return key in keys(prefix=key)
    except Exception as error:
        raise TikTokStoreError(_failed(f"{key} could not be listed", error)) from None


def _get(key: str) -> str | None:
    """Give the value, or None, which may mean that there is none."""
    try:
        value = _variable().get(key)
    except Exception as error:
        if not _says_absent(error):
            raise TikTokStoreError(_failed(f"{key} could not be read", error)) from None
        return None
    return value if isinstance(value, str) else None


def _says_absent(error: Exception) -> bool:
    """Tell whether an error is Airflow's word for absence, and for most of its own failures."""
    code = getattr(getattr(error, "error", None), "error", None)  # in a task or trigger of Airflow 3
    return isinstance(error, KeyError) or getattr(code, "value", None) == "VARIABLE_NOT_FOUND"


def _failed(what: str, error: Exception) -> str:
    raised = type(error).__name__
    return f"Variable {what} ({raised}). See that Airflow's API server and metadata database answer."


def _variable() -> Any:
    """
    Give the Variable class that this process can use.

    In a task or trigger of Airflow 3 a supervisor is asked, in all else the database: each class can do only
    one of them. It is chosen anew each time, since Airflow forks tasks from processes that are none.
    """
    if Variable is not None:
        return Variable
    # the test that Airflow's own Variable makes
    if hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS"):
        from airflow.providers.common.compat.sdk import Variable as AirflowVariable
    else:
        # the compat module gives Airflow 3's other one, which cannot write without a supervisor
        from airflow.models.variable import Variable as AirflowVariable  # noqa: TID251
    return AirflowVariable


def _is_ordinary(conn_id: str) -> bool:
    # one that looks like a digest is none, else two conn_ids could have one name
    return bool(_ORDINARY.fullmatch(conn_id)) and not _DIGEST.fullmatch(conn_id)


def _looks_sensitive(text: str) -> bool:
    text = text.lower()
    # 3.3 takes "api-key" for "api_key"
    return any(word in each for each in (text, re.sub(r"\W+", "_", text)) for word in _SENSITIVE)
