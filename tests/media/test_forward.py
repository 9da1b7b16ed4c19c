"""Reading from front to back: exact, never far ahead, and not held for ever by a silent server."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaReadError
from airflow_provider_tiktok.media import forward
from airflow_provider_tiktok.media.forward import BLOCKS_AHEAD, Forward

DATA = bytes(range(256)) * 8


def _stream(data: bytes, block: int):
    @contextmanager
    def opened():
        yield (data[start : start + block] for start in range(0, len(data), block))

    return opened


@pytest.fixture(autouse=True)
def _no_long_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "STALL_SECONDS", 2.0)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 300), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=8))
def test_ranges_going_forward_are_exact(block: int, steps: list[tuple[int, int]]) -> None:
    reading = Forward("x", _stream(DATA, block))
    for skip, length in steps:
        start = reading.position + skip
        assert reading.take(start, length) == DATA[start : start + length]
    reading.close()


def test_an_early_end_gives_fewer_bytes() -> None:
    reading = Forward("x", _stream(DATA, 100))
    assert reading.take(len(DATA) - 10, 50) == DATA[-10:]
    assert reading.take(len(DATA) + 5, 50) == b""  # and nobody waits for more


def test_a_failure_is_raised_where_it_is_read() -> None:
    @contextmanager
    def opened():
        def blocks():
            yield b"abc"
            raise KeyError("broken")

        yield blocks()

    reading = Forward("x", opened)
    assert reading.take(0, 3) == b"abc"
    with pytest.raises(KeyError, match="broken"):
        reading.take(3, 3)


def test_a_silent_stream_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "STALL_SECONDS", 0.05)
    end = threading.Event()

    @contextmanager
    def opened():
        end.wait(10)
        yield iter(())

    with pytest.raises(TikTokMediaReadError, match="no byte came"):
        Forward("x", opened).take(0, 1)
    end.set()


def test_it_reads_a_few_blocks_ahead_and_lets_go_when_closed() -> None:
    """Otherwise a slow upload would pull the whole video into memory."""
    given_out, closed = [], threading.Event()

    @contextmanager
    def opened():
        def blocks():
            for number in range(1000):
                given_out.append(number)
                yield b"x" * 10

        yield blocks()
        closed.set()

    reading = Forward("x", opened)
    reading.take(0, 10)
    time.sleep(0.3)
    assert len(given_out) <= BLOCKS_AHEAD + 2
    reading.close()
    assert closed.wait(2)
