"""
The record of a task instance's publishes, generation by generation: a new init is a new generation.

A retry, or a second process of the same task, finds here what has been begun, and goes on with it. Kept in
the task's own state store on Airflow 3.3 and newer, below in Variables whose names are made of dag, run, task
and map index. Every key belongs to one generation, so that a late write of an earlier one harms nobody. The
mark before the last range has a key of its own: nothing that is written beside it can take it away.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.cipher import UnreadableError, seal, unseal
from airflow_provider_tiktok.exceptions import TikTokStoreError
from airflow_provider_tiktok.publishing.identity import TaskKey, task_key

_FORMAT = 1
_PURPOSE = "upload"


class Stage(StrEnum):
    """How far a generation has come."""

    INTENT = "intent"
    """The init of a pull is about to be made, or was made and its answer lost."""
    NOTHING_SENT = "nothing sent"
    """The init has not left."""
    REFUSED = "refused"
    """TikTok has refused the init, with a code."""
    PUBLISH = "publish"
    """TikTok has begun a publish; of an upload, bytes are missing."""
    SUBMITTED = "submitted"
    """TikTok has all that it needs."""
    COMPLETE = "complete"
    """Posted."""
    INBOX = "inbox"
    """In the creator's inbox."""
    FAILED = "failed"
    """TikTok has given it up, with a reason."""
    GONE = "gone"
    """An upload that can no longer be finished: nothing was posted."""
    UNCONFIRMED = "unconfirmed"
    """It cannot be known whether this was posted."""


#: Stages at which the publish is not over; all others are ends, after which a new generation may follow.
OPEN = frozenset({Stage.INTENT, Stage.PUBLISH, Stage.SUBMITTED})


class Fence(StrEnum):
    """What keeps a publish from being made twice."""

    PUBLISH_ID = "publish_id"
    """An upload: it is posted at most once, whoever sends its last byte."""
    NONE = "none"
    """A pull, and photos: the init is the deed."""


@dataclass(frozen=True)
class Record:
    """
    One generation.

    :param generation: counted from 1
    :param stage: how far it has come
    :param episode: ``max_tries`` of the task instance: it changes when a person clears the task, and not
        with a retry
    :param request: a short digest of each argument
    :param media: the identity of the bytes
    :param began: seconds since 1970, before the init
    :param publish_id: from the init
    :param submitted: seconds since 1970 since when TikTok has everything; 0 = not yet
    :param code: TikTok's, of a refusal or failure
    :param log_id: beside it
    :param cancels: a cancel may be ours
    :param fence: what keeps it from being made twice; see :class:`Fence`
    :param size: bytes of an upload
    :param chunk_size: bytes of each of its ranges but the last
    :param chunks: how many ranges
    :param creator: the name of whose account it is, where TikTok was asked; at a day's cap it tells nobody
    """

    generation: int
    stage: Stage
    episode: int = 0
    request: Mapping[str, str] = field(default_factory=dict)
    media: str = ""
    began: float = 0.0
    publish_id: str = ""
    submitted: float = 0.0
    code: str = ""
    log_id: str = ""
    cancels: bool = False
    fence: Fence = Fence.PUBLISH_ID
    size: int = 0
    chunk_size: int = 0
    chunks: int = 0
    creator: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the publish is not over."""
        return self.stage in OPEN


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(value)
        return value

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise TypeError(value)
    return number


def _text(value: Any) -> str:
    _exactly(str)(value).encode()  # half a character can be neither sent nor hashed
    return str(value)


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(each) for name, each in value.items()}


#: How a field is read back, by its type: what something else has written must be noticed here, not later.
_READ: dict[Any, Callable[[Any], Any]] = {
    "int": _exactly(int),
    "float": _number,
    "bool": _exactly(bool),
    "str": _text,
    "Mapping[str, str]": _texts,
    "Stage": Stage,
    "Fence": Fence,
}
_FIELDS = {each.name: _READ[each.type] for each in fields(Record)}


class Ledger:
    """
    Reads and writes the record of one task instance.

    :param key: which task instance
    :param values: where it is kept
    :param prefix: of the names of its values there
    """

    def __init__(self, key: TaskKey, values: register.Register, prefix: str) -> None:
        self.key, self.values, self._prefix = key, values, prefix

    def read(self, generation: int, *, writes: bool = False) -> Record | None:
        """
        Give a generation's record.

        :param generation: counted from 1
        :param writes: whoever asks writes next, and goes on only if that reads back; see :meth:`_look`
        :return: None only if it is proven that there is none
        :raises TikTokStoreError: it cannot be told
        """
        name = self._name(generation)
        return _read_back(self._look(writes=writes)(name), name)

    def peek(self, generation: int) -> Record | None:
        """
        Give a generation's record, or None where there may be one all the same: it costs one look.

        :param generation: counted from 1
        """
        try:
            return self._seen(generation)
        except TikTokStoreError:
            return None

    def latest(self, *, proven: bool = True) -> list[Record]:
        """
        Give all generations, the latest last; raises as :meth:`read` does.

        :param proven: that there are no more, which takes eight requests of Airflow; else one look says so
        """
        look = self.read if proven else self._seen
        found: list[Record] = []
        while not (found and found[-1].is_open):
            record = look(len(found) + 1)
            if record is None:
                break
            found.append(record)
        return found

    def write(self, record: Record) -> Record:
        """
        Keep a record, and see that it is there.

        :param record: replaces the one of its generation
        :raises TikTokStoreError: it is not proven that it is kept
        """
        whose = {name: getattr(self.key, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        self.values.write(
            self._name(record.generation), json.dumps({"format": _FORMAT, **asdict(record), "task": whose})
        )
        return record

    def claim_key(self, generation: int) -> str:
        """
        Name the claim of a generation.

        :param generation: counted from 1
        """
        return f"{self._name(generation)}__claim"

    def sealed(self, generation: int, *, writes: bool = False) -> str | None:
        """
        Give the ``publish_id`` whose last range may have been sent; None if there is surely none.

        :param generation: counted from 1
        :param writes: whoever asks seals next, and goes on only if that reads back; see :meth:`_look`
        :raises TikTokStoreError: it cannot be told
        """
        return self._look(writes=writes)(self._sealing(generation))

    def seal(self, record: Record) -> None:
        """
        Note, before the last range is sent, that it may have been.

        :param record: of the publish
        :raises TikTokStoreError: it is not proven that this is kept: the last range must not be sent
        """
        self.values.write(self._sealing(record.generation), record.publish_id)

    def keep_url(self, account: Account, record: Record, url: str) -> None:
        """
        Keep the address of an upload, encrypted: who has it may upload.

        :param account: whose client secret encrypts
        :param record: of the publish
        :param url: from the init
        :raises TikTokStoreError: it is not proven that it is kept
        """
        register.write(self._url_key(record), seal(account, _PURPOSE, url))

    def url(self, account: Account, record: Record) -> str:
        """
        Give the address of an upload.

        :param account: whose client secret it was encrypted with
        :param record: of the publish
        :return: empty if it is not there any more, or cannot be read
        :raises TikTokStoreError: it cannot be told
        """
        sealed = register.read(self._url_key(record))
        try:
            return unseal(account, _PURPOSE, sealed or "")
        except UnreadableError:
            return ""

    def forget_url(self, record: Record) -> None:
        """
        Remove the address of an upload that has ended; what cannot be removed is the sweep's.

        :param record: of the publish
        """
        register.remove(self._url_key(record))

    def forget_claim(self, generation: int) -> None:
        """
        Tidy the claim of a generation away whose record reads back.

        :param generation: counted from 1
        """
        self.values.remove(self.claim_key(generation))

    def _look(self, *, writes: bool) -> Callable[[str], str | None]:
        """
        Give what reads a value. A proof of absence takes eight requests of Airflow, a look takes one.

        Where whoever looks writes next, one look at a task's state proves as much: there a read that fails is
        raised, and a process whose try was superseded, to which all looks absent, cannot write.
        """
        return self.values.peek if writes and self.values.raises else self.values.read

    def _seen(self, generation: int) -> Record | None:
        name = self._name(generation)
        return _read_back(self.values.peek(name), name)

    def _name(self, generation: int) -> str:
        return f"{self._prefix}__{generation}"

    def _sealing(self, generation: int) -> str:
        return f"{self._name(generation)}__sealing"

    def _url_key(self, record: Record) -> str:
        # never in the task's state, which is shown to whoever may see the task; and each publish has its own,
        # so that a process which is late with one does not hide another's
        publish = hashlib.sha256(record.publish_id.encode()).hexdigest()[:16]
        return f"tiktok_upload__{self.key.digest}__{publish}"


def open_ledger(context: Any) -> Ledger:
    """
    Open the record of the task instance that runs.

    :param context: of the task
    """
    key = task_key(context)
    accessor = context.get("task_state_store")
    if accessor is not None and not _cleared_on_success():
        return Ledger(key, register.TaskState(accessor), "tiktok_post")
    return Ledger(key, register.VARIABLES, f"tiktok_post__{key.digest}")


def _cleared_on_success() -> bool:
    """Tell whether Airflow forgets a task's state with its success: then a cleared task would post again."""
    return bool(conf.getboolean("state_store", "clear_on_success", fallback=False))


def _read_back(text: str | None, name: str) -> Record | None:
    if text is None:
        return None
    try:
        given: dict[str, Any] = json.loads(text)
        known = {each: read(given[each]) for each, read in _FIELDS.items() if each in given}
        return Record(**{**known, "fence": Fence(given["fence"])})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise TikTokStoreError(
            f"The record {name} of what this task has posted cannot be read: something else has written to "
            "its place, or a newer release of this provider has. Nothing is posted on a guess."
        ) from None
