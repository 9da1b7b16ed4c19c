"""Whose turn it is on this machine, so that contenders for a claim are hosts, not tasks."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1


@contextmanager
def turn(name: str, *, patience: float, waits: Callable[[], object] = lambda: None) -> Iterator[bool]:
    """
    Wait for this process's (and thread's) turn; the kernel frees it when a process dies.

    Only spares the register: who has waited too long, since a process was frozen, goes on without, and where
    no file can be locked it is everybody's turn.

    :param name: what the turn is for
    :param patience: seconds to wait
    :param waits: called while waiting; may raise
    :return: whether it is this process's turn
    """
    try:
        handle = _opened(name)
    except OSError as error:
        log.debug("There are no turns on this machine: %s.", error.strerror)
        yield True
        return
    try:
        end = time.monotonic() + patience
        while not (mine := _locked(handle)) and time.monotonic() < end:
            waits()
            time.sleep(_LOOK_SECONDS)
        yield mine
    finally:
        with suppress(OSError):
            # closing alone frees nothing while a child that was forked meanwhile has it open, too
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _opened(name: str) -> int:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"airflow-tiktok-{os.getuid()}-{digest}.lock"
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # this file system knows no locks
    return True
