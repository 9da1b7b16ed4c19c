"""
Values that have to survive a task: the only module that touches Variables and a task's state store.

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
from abc import ABC, abstractmethod
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


class Register(ABC):
    """
    Values by name, of which a failed read may look like an absent one, and a write may not have landed.

    A subclass says what keeps them. Absence is proven between two looks at a value that was just written.
    """

    #: How often absence is proven; see the subclasses.
    proofs = 2
    #: Whether a read that failed is raised, always.
    raises = False
    #: As it is called in errors.
    kept_as = ""

    def read(self, key: str, before: Callable[[], None] | None = None) -> str | None:
        """
        Read a value.

        :param key: its name
        :param before: called immediately before each look; two operations follow the last one
        :return: the value; None only if it is proven that there is none
        :raises TikTokStoreError: it cannot be told whether there is one
        """

        def look() -> str | None:
            if before is not None:
                before()
            return self._get(key)

        try:
            value = look()
            return value if value is not None else self._look_between_probes(key, look)
        except TikTokStoreError as error:
            raise TikTokStoreError(f"It cannot be told what {self.kept_as} {key} holds. {error}") from None

    def peek(self, key: str) -> str | None:
        """
        Give the value, or None where there may be one all the same: for where that does no harm.

        It costs one look.

        :param key: its name
        :raises TikTokStoreError: Airflow says that it cannot be read just now
        """
        return self._get(key)

    def put(self, key: str, value: str) -> None:
        """
        Write a value, without a look at what came of it.

        :param key: its name
        :param value: text; must hold no secret in clear
        :raises TikTokStoreError: Airflow says that it could not be written; it may be there all the same
        """
        try:
            self._set(key, value)
        except (
            Exception
        ) as error:  # each Airflow raises something of its own, and its text may tell the value
            raise self._failed(f"{key} could not be written", error) from None

    def write(self, key: str, value: str) -> None:
        """
        Write a value, and see that it is there.

        :param key: its name
        :param value: text; must hold no secret in clear
        :raises TikTokStoreError: it is not proven that the value is kept
        """
        with suppress(TikTokStoreError):  # reading back is what counts
            self.put(key, value)
        for _ in range(2):  # the first may have met a connection that had died
            with suppress(TikTokStoreError):
                if self._get(key) == value:
                    return
        raise TikTokStoreError(self._unwritten(key))

    def remove(self, key: str) -> None:
        """
        Remove a value, if that is possible just now.

        :param key: its name
        """
        with suppress(Exception):  # whatever cannot be removed is only untidy
            self._delete(key)

    @abstractmethod
    def _get(self, key: str) -> str | None:
        """Give the value, or None, which may mean that there is none."""

    @abstractmethod
    def _set(self, key: str, value: str) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _unwritten(self, key: str) -> str:
        """Say what may be the matter with a value that does not read back."""

    def _lists(self, key: str) -> bool:  # noqa: ARG002 - a register that has no list
        """Tell whether the value is there all the same, by a list of all names where there is one."""
        return False

    def _look_between_probes(self, key: str, look: Callable[[], str | None]) -> str | None:
        """
        Look again, while proving that what is written can be read: only then is nothing really nothing.

        Whoever writes next counts the time from the last look on: what can be done before it is done before.
        """
        probe = f"tiktok_probe__{secrets.token_hex(8)}"
        listed = False
        proofs = self.proofs
        try:
            for left in reversed(range(proofs)):
                if not left:
                    listed = self._lists(key)
                nonce = secrets.token_hex(8)
                self.put(probe, nonce)
                value = look()
                if value is not None:
                    return value
                if self._get(probe) != nonce:
                    raise TikTokStoreError(
                        "What was written a moment ago is not there. See that the metadata database answers."
                    )
        finally:
            self.remove(probe)
        if listed:
            raise TikTokStoreError(
                "Airflow lists it, but does not give its value. Either the metadata database does not answer "
                "just now, or the value was encrypted with a Fernet key that Airflow lost: then remove it."
            )
        return None

    def _failed(self, what: str, error: Exception) -> TikTokStoreError:
        raised = type(error).__name__
        return TikTokStoreError(
            f"{self.kept_as} {what} ({raised}). See that Airflow's API server and metadata database answer."
        )


class Variables(Register):
    """Airflow's Variables: every process of a deployment sees them."""

    kept_as = "Airflow's Variable"

    @property
    def proofs(self) -> int:  # type: ignore[override]  # it depends on the Airflow
        """Six where Airflow lists no Variables, else two: the list is the proof then."""
        return _PROOFS if self._keys() else _PROOFS_WITHOUT_LIST

    def _get(self, key: str) -> str | None:
        try:
            value = _variable().get(key)
        except Exception as error:
            if not _says_absent(error):
                raise self._failed(f"{key} could not be read", error) from None
            return None
        return value if isinstance(value, str) else None

    def _set(self, key: str, value: str) -> None:
        _variable().set(key, value)

    def _delete(self, key: str) -> None:
        _variable().delete(key)

    def _unwritten(self, key: str) -> str:
        return (
            f"Airflow's Variable {key} could not be written, or does not read back what was written. Either "
            "the metadata database does not answer just now, or an environment variable "
            f"AIRFLOW_VAR_{key.upper()} or a secrets backend holds the same name and hides it: remove it "
            "there."
        )

    def _keys(self) -> Callable[..., Any] | None:
        return getattr(_variable(), "keys", None)  # since Airflow 3.3; it raises if it fails

    def _lists(self, key: str) -> bool:
        keys = self._keys()
        try:
            return keys is not None and key in keys(prefix=key)
        except Exception as error:
            raise self._failed(f"{key} could not be listed", error) from None


class TaskState(Register):
    """
    The state store of one task instance (Airflow 3.3 and newer): no other task sees it.

    What goes wrong with a read is raised. But to a process whose try was superseded all looks absent; the
    probe tells, since that process cannot write.

    :param accessor: ``context["task_state_store"]``
    """

    kept_as = "the task's state"
    raises = True

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def _get(self, key: str) -> str | None:
        try:
            value = self._accessor.get(key)
        except Exception as error:
            raise self._failed(f"{key} could not be read", error) from None
        return value if isinstance(value, str) else None

    def _set(self, key: str, value: str) -> None:
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

        # [state_store] default_retention_days would forget a post while its run can still be cleared
        self._accessor.set(key, value, retention=NEVER_EXPIRE)

    def _delete(self, key: str) -> None:
        self._accessor.delete(key)

    def _unwritten(self, key: str) -> str:
        return (
            f"The task's state {key} could not be written, or does not read back what was written. Either "
            "the metadata database does not answer just now, or Airflow has given this task to another "
            "process."
        )


def _says_absent(error: Exception) -> bool:
    """Tell whether an error is Airflow's word for absence, and for most of its own failures."""
    code = getattr(getattr(error, "error", None), "error", None)  # in a task or trigger of Airflow 3
    return isinstance(error, KeyError) or getattr(code, "value", None) == "VARIABLE_NOT_FOUND"


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


#: The register that this provider uses wherever more than one task has to see a value.
VARIABLES = Variables()
read, peek, put, write, remove = (
    VARIABLES.read,
    VARIABLES.peek,
    VARIABLES.put,
    VARIABLES.write,
    VARIABLES.remove,
)
