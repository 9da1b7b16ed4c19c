"""What every test needs: an Airflow home of its own, set before Airflow is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

_home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# what is written in memory is there at once: a refresh need not wait for ten seconds
os.environ["AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS"] = "0.2"

from collections.abc import Callable, Iterator  # noqa: E402 - Airflow must not be imported before this
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

from airflow_provider_tiktok.publishing.budget import _budgets  # noqa: E402
from airflow_provider_tiktok.sandbox.knobs import Knobs  # noqa: E402
from airflow_provider_tiktok.sandbox.server import Sandbox  # noqa: E402
from tests.airflow_tasks import SAMPLE, FakeClock, FakeVariables, forget_masks, publish_connection  # noqa: E402
from tests.buckets import Bucket  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--brief", action="store_true", help="of the heavy proofs' rounds, a part: what CI runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: at the end no process waits for one that has just begun with it."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


# how long an example takes says more of the machine's other work than of ours
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def _local_tiktok(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    public = tmp_path_factory.mktemp("public")
    shutil.copy(SAMPLE, public / "sample.mp4")
    with Sandbox(public_dir=public) as running:
        yield running


@pytest.fixture
def tiktok(_local_tiktok: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A local TikTok without memory, on which processing takes no time; no task waits for that, though."""
    # else none would ever defer to wait for the end of its publish
    monkeypatch.setattr("airflow_provider_tiktok.publishing.status.LOOK_SECONDS", 0.0)
    public_dir = _local_tiktok.knobs.public_dir
    _local_tiktok.knobs.update(Knobs().shown())
    _local_tiktok.knobs.update(
        {"public_dir": public_dir, "processing_seconds": 0.0, "moderation_seconds": 0.0}
    )
    _local_tiktok._in_loop(_local_tiktok._world.accounts.creators.clear)
    _local_tiktok.reset()
    _budgets.clear()  # each test has a clock of its own
    return _local_tiktok


@pytest.fixture(scope="session")
def _tls_context() -> Any:
    """To load the certificates takes 50 ms and more, for each client."""
    import httpx

    return httpx.create_ssl_context()


@pytest.fixture
def quick_tls(_tls_context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that share one set of certificates."""
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", lambda **_: _tls_context)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    """Airflow's Variables, in memory."""
    from airflow_provider_tiktok import register

    fake = FakeVariables()
    monkeypatch.setattr(register, "Variable", fake)
    return fake


@pytest.fixture
def connect(
    tiktok: Sandbox, variables: FakeVariables, quick_tls: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make the Connection ``tiktok_default`` (or ``conn_id``) to the local TikTok, with a new grant."""

    def make(creator: str = "alice", *, conn_id: str = "tiktok_default", **options: Any) -> dict[str, Any]:
        connection = tiktok.connection(creator, **options)
        publish_connection(monkeypatch, conn_id, connection)
        return connection

    yield make
    forget_masks()


@pytest.fixture
def clock(tiktok: Sandbox, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that sleeps at once; the local TikTok's goes with it. ``clock.pauses`` is what was slept."""
    fake = FakeClock(tiktok.clock.advance)
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def video() -> Path:
    """A real video of 5 seconds."""
    return SAMPLE


@pytest.fixture(scope="session")
def _store() -> Iterator[str]:
    """A store that speaks S3's protocol; gives its address."""
    moto_server = pytest.importorskip("moto.server")
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def _bucket(_store: str) -> Bucket:
    made = Bucket("pulled-by-tiktok", _store)
    made.make()
    return made


@pytest.fixture
def bucket(_bucket: Bucket) -> Bucket:
    """An empty bucket whose objects TikTok can pull."""
    _bucket.empty()
    return _bucket


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.cli.program import environment

    home = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment(home), check=True, capture_output=True)
    return home


@pytest.fixture
def home(_migrated: Path, tmp_path: Path) -> Path:
    """An Airflow home whose database is made, and empty."""
    # not copied whole: airflow.cfg names the folder that it was written for
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(_migrated / "airflow.db", home)
    return home
