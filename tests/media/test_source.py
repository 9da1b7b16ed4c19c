"""Where media lies: what can be opened, what is refused and how, and that what is read is what lies there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.source import MediaAccess, open_source

ACCESS = MediaAccess()
DATA = bytes(range(256)) * 40


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "ein film ü%20.mp4"
    path.write_bytes(DATA)
    return path


@pytest.fixture(params=["path", "file://"])
def uri(request, video: Path) -> str:
    return f"file://{video}" if request.param == "file://" else str(video)


class TestReading:
    """Every kind of source gives exactly the bytes asked for."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_range_is_exact(self, uri: str, data) -> None:
        with open_source(uri, ACCESS) as source:
            start = data.draw(st.integers(0, len(DATA)))
            length = data.draw(st.integers(0, len(DATA) - start))
            assert source.size == len(DATA)
            assert source.read(start, length) == DATA[start : start + length]

    @pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, len(DATA) + 1), (len(DATA), 1), (0, -1)])
    def test_a_range_outside_is_a_mistake_of_the_caller(self, uri: str, start: int, length: int) -> None:
        with open_source(uri, ACCESS) as source, pytest.raises(ValueError, match="not within"):
            source.read(start, length)

    def test_threads_do_not_disturb_each_other(self, uri: str) -> None:
        wrong = []

        def run(offset: int) -> None:
            starts = range(offset, len(DATA) - 64, 97)
            wrong.extend(each for each in starts if source.read(each, 64) != DATA[each : each + 64])

        with open_source(uri, ACCESS) as source:
            threads = [threading.Thread(target=run, args=(each,)) for each in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert wrong == []

    def test_home_and_relative_paths(self, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(video.parent))
        monkeypatch.chdir(video.parent)
        for path in (f"~/{video.name}", video.name, f"./{video.name}"):
            with open_source(path, ACCESS) as source:
                assert source.read(0, 4) == DATA[:4]

    def test_closing_twice_is_fine(self, uri: str) -> None:
        source = open_source(uri, ACCESS)
        source.close()
        source.close()


class TestChangeWhileReading:
    """A video that is still being written is never uploaded as a mixture of two."""

    @pytest.mark.parametrize("change", ["shrink", "grow", "rewrite"])
    def test_is_noticed(self, uri: str, video: Path, change: str) -> None:
        with open_source(uri, ACCESS) as source:
            source.read(0, 100)
            if change == "rewrite":
                video.write_bytes(bytes(len(DATA)))
                os.utime(video, ns=(1, 1))
            else:
                video.write_bytes(DATA[:-1] if change == "shrink" else DATA + b"x")
            with pytest.raises(TikTokMediaReadError, match="changed while it was being read"):
                source.read(100, 100)

    def test_a_file_replaced_by_another_is_still_the_one_that_was_opened(self, video: Path) -> None:
        with open_source(str(video), ACCESS) as source:
            other = video.with_name("new")
            other.write_bytes(b"other")
            other.replace(video)
            assert source.read(len(DATA) - 3, 3) == DATA[-3:]


class TestRefusals:
    """What cannot be published is refused by name, at once, and without a retry."""

    @pytest.mark.parametrize("scheme", ["", "file://"])
    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda path: None, "does not exist"),
            (lambda path: path.mkdir(), "directory"),
            (lambda path: path.touch(), "is empty"),
        ],
    )
    def test_no_video(self, tmp_path: Path, scheme: str, make, says: str) -> None:
        path = tmp_path / "clip.mp4"
        make(path)
        with pytest.raises(TikTokMediaError, match=says) as caught:
            open_source(f"{scheme}{path}", ACCESS)
        assert "clip.mp4" in str(caught.value)

    def test_a_fifo_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(TikTokMediaError, match="pipe, socket or device"):
            open_source(str(tmp_path / "pipe"), ACCESS)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, video: Path) -> None:
        video.chmod(0)
        with pytest.raises(TikTokMediaError, match="may not be read"):
            open_source(str(video), ACCESS)

    @pytest.mark.parametrize(
        "path", ["a\0b", "~nobody-of-this-name/x.mp4", "x" * 5000, "/dev/null", "/etc/passwd/x"]
    )
    def test_strange_paths(self, path: str) -> None:
        with pytest.raises(TikTokMediaError):
            open_source(path, ACCESS)

    def test_larger_than_tiktok_takes(self, tmp_path: Path) -> None:
        path = tmp_path / "large.mp4"
        with path.open("wb") as file:
            file.truncate(4 * 1024**3 + 1)
        with pytest.raises(TikTokMediaError, match="at most 4 GB"):
            open_source(str(path), ACCESS)

    @pytest.mark.parametrize(
        ("uri", "says"),
        [
            ("gs://bucket/clip.mp4", "Install apache-airflow-providers-google"),
            ("abfs://bucket/clip.mp4", "Install apache-airflow-providers-microsoft-azure"),
            ("zz://conn:secret@bucket/clip.mp4?token=secret", "Install the Airflow provider that has it"),
        ],
    )
    def test_a_storage_that_is_not_installed(self, uri: str, says: str) -> None:
        with pytest.raises(TikTokMediaError) as caught:
            open_source(uri, ACCESS)
        assert says in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_a_missing_media_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

        def missing(conn_id: str) -> None:
            raise AirflowNotFoundException

        monkeypatch.setattr(BaseHook, "get_connection", missing)
        with pytest.raises(TikTokMediaError, match=r"no Connection 'media'.*media_conn_id"):
            open_source("s3://bucket/clip.mp4", MediaAccess(media_conn_id="media"))

    def test_a_metadata_database_that_is_down_is_worth_a_retry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        def down(conn_id: str) -> None:
            raise OSError("password=hunter2")

        monkeypatch.setattr(BaseHook, "get_connection", down)
        with pytest.raises(TikTokMediaReadError) as caught:
            open_source("s3://bucket/clip.mp4", MediaAccess(media_conn_id="media"))
        assert "hunter2" not in str(caught.value)


MEASURE = """
import json, resource, sys
import airflow_provider_tiktok.exceptions  # what Airflow itself loads is not ours
before = set(sys.modules)
import airflow_provider_tiktok.media.video
from airflow_provider_tiktok.media.source import MediaAccess, open_source
loaded = sorted({each.partition(".")[0] for each in set(sys.modules) - before})

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with open_source(sys.argv[1], MediaAccess()) as source:
    source.read(0, 1)
    idle, piece = peak(), 8 * 1024 * 1024
    for start in range(0, source.size, piece):
        source.read(start, min(piece, source.size - start))
print(json.dumps({"loaded": loaded, "grown": peak() - idle}))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a new process loads, and what it needs to read 200 MB as the uploader does: 8 MiB at a time."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    command = [sys.executable, "-c", MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_large_file_is_never_in_memory_as_a_whole(measured: dict) -> None:
    assert measured["grown"] < 40_000  # KiB


def test_importing_loads_nothing_heavy(measured: dict) -> None:
    """An operator that publishes a local file must not pay for boto3, PyAV, Pillow or cloud filesystems."""
    assert set(measured["loaded"]) & {"PIL", "av", "boto3", "botocore", "fsspec", "upath"} == set()
