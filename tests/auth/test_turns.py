"""Turns on one machine: real processes, also ones that were killed, frozen or forked in between."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_tiktok.auth.turns import turn

HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from airflow_provider_tiktok.auth.turns import turn
with turn("grant", patience=30) as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Another process, whose turn it is until a line is written to it."""
    begun: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        begun.append(process)
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            assert pipe
            pipe.close()


def is_free(name: str = "grant") -> bool:
    with turn(name, patience=0) as mine:
        return mine


def test_one_process_after_the_other(holder: Callable[[], subprocess.Popen[str]]) -> None:
    process = holder()
    assert not is_free()
    assert is_free("another account")
    timer = threading.Timer(0.3, lambda: process.stdin.write("\n") and process.stdin.close())
    timer.start()
    began = time.monotonic()
    with turn("grant", patience=20) as mine:
        assert mine
        assert time.monotonic() - began >= 0.25
    timer.join()
    assert is_free()


def test_one_thread_after_the_other() -> None:
    """The tasks of one process may each have a hook of their own."""
    inside, most, turns = 0, 0, []

    def work() -> None:
        nonlocal inside, most
        with turn("grant", patience=20) as mine:
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1
            turns.append(mine)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert (turns, most) == ([True] * 6, 1)


def test_who_is_killed_frees_it(holder: Callable[[], subprocess.Popen[str]]) -> None:
    process = holder()
    process.kill()
    process.wait(10)
    assert is_free()


def test_who_is_frozen_holds_nobody_up_for_ever(holder: Callable[[], subprocess.Popen[str]]) -> None:
    """The claim keeps them apart all the same."""
    process = holder()
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with turn("grant", patience=0.3) as mine:
        assert not mine
    assert 0.3 <= time.monotonic() - began < 5
    process.send_signal(signal.SIGCONT)


def test_who_has_no_patience_does_not_wait(holder: Callable[[], subprocess.Popen[str]]) -> None:
    holder()
    began = time.monotonic()
    assert not is_free()
    assert time.monotonic() - began < 0.09


def test_who_waits_may_be_called_away(holder: Callable[[], subprocess.Popen[str]]) -> None:
    process, looks = holder(), []

    class AwayError(Exception):
        pass

    def called_away() -> None:
        looks.append(1)
        if len(looks) == 2:
            raise AwayError

    with pytest.raises(AwayError), turn("grant", patience=20, waits=called_away):
        pytest.fail("it was not its turn")
    process.kill()
    process.wait(10)
    assert is_free()


def test_an_error_within_frees_it() -> None:
    with pytest.raises(ZeroDivisionError), turn("grant", patience=0):
        raise ZeroDivisionError
    assert is_free()


def test_a_child_forked_within_does_not_keep_it() -> None:
    """It has the same file open: that the parent closes it is not enough."""
    with turn("grant", patience=0):
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(0)
    try:
        assert is_free()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# --- where there is nothing to lock ---


def test_without_a_folder_it_is_everybodys_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have a read-only file system: the claim does without turns."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with turn("grant", patience=0) as mine, turn("grant", patience=0) as mine_too:
        assert mine
        assert mine_too


def test_without_any_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert is_free()


def test_without_locks_in_its_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    assert is_free()


def test_nothing_that_somebody_else_has_put_there_is_opened(folder: Path, tmp_path: Path) -> None:
    """The folder is everybody's: a link under our name might lead to a file of ours."""
    assert is_free()
    (path,) = folder.iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    assert is_free()
    assert not (tmp_path / "victim").exists()


def test_its_file_is_for_this_user_and_tells_nothing(folder: Path) -> None:
    assert is_free("https://open.tiktokapis.com tiktok_grant__secret_account")
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b""
    assert "secret_account" not in path.name
    assert str(os.getuid()) in path.name
