"""Processes that end in the middle of a renewal: forked, or ``python -m tests.auth.process what folder``."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn, TextIO

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth import keeper as keeper_module
from airflow_provider_tiktok.auth.keeper import TokenKeeper
from tests.auth.grants import ACCOUNT, KEY, TokenEndpoint


class FileVariables:
    """Variables that processes share. A grant is saved slowly, and not before ``may save`` is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> str:
        try:
            return (self.folder / key).read_text()
        except FileNotFoundError:
            raise KeyError(key) from None

    def set(self, key: str, value: str) -> None:
        if key == KEY:
            print("saving", flush=True)
            if not (self.folder / "may save").exists():
                raise RuntimeError("500")
            time.sleep(0.3)
        part = self.folder / f"part {os.getpid()}"
        part.write_text(value)
        part.replace(self.folder / key)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)


class StoppedError(Exception):
    """What Airflow raises in a task that is to stop."""


def signalled(endpoint: TokenEndpoint) -> None:
    """A task that is told to stop while the grant cannot be saved."""

    def stop(*_: object) -> None:
        print("told", flush=True)
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    try:
        with closing(TokenKeeper(ACCOUNT, masks=False, client=endpoint.client())) as keeper:
            keeper.token()
    except StoppedError:
        print("stopped", flush=True)


def task(endpoint: TokenEndpoint) -> NoReturn:
    """A task of Airflow 3 that closes nothing: forked, and ended without waiting for threads."""
    atexit._clear()
    keeper = TokenKeeper(ACCOUNT, masks=False, client=endpoint.client())
    print(keeper.token(), flush=True)
    atexit._run_exitfuncs()
    os._exit(0)


def dropped(endpoint: TokenEndpoint) -> NoReturn:
    """A task of Airflow 2 that leaves its hook to the garbage collector, and ends without any ado."""
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

    keeper_module.Client = lambda policy: endpoint.client()  # type: ignore[assignment,misc]

    def work() -> None:
        hook = TikTokHook()
        hook.__dict__["account"] = ACCOUNT
        print(hook._keeper.token(), flush=True)

    work()
    os._exit(0)


def waiting(endpoint: TokenEndpoint) -> None:
    """A program that ends while it waits for another process's claim."""
    keeper = TokenKeeper(ACCOUNT, masks=False, client=endpoint.client())
    print(keeper.token(), flush=True)
    time.sleep(0.3)


def main(what: str, folder: str) -> None:
    logging.disable()  # its lines would go where ours go
    signal.alarm(60)
    keeper_module.two_may_ask = lambda: True  # whichever Airflow this is
    fake: Any = FileVariables(Path(folder))
    register.Variable = fake
    endpoint = TokenEndpoint()
    endpoint.before_answer = lambda: time.sleep(0.1)
    {"signalled": signalled, "task": task, "dropped": dropped, "waiting": waiting}[what](endpoint)
    print("end", flush=True)


def forked(what: str, folder: Path) -> tuple[int, TextIO]:
    """Do it in a child, since to import an Airflow takes seconds; gives its id, and what it prints."""
    readable, writable = os.pipe()
    child = os.fork()
    if child:
        os.close(writable)
        return child, os.fdopen(readable)
    try:
        sys.stdout = os.fdopen(writable, "w")
        main(what, str(folder))
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
