"""What is in the wheel: the package, whole, and nothing of the checkout beside it."""

from __future__ import annotations

import email
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest

import airflow_provider_tiktok
from tests.readme.blocks import blocks

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_tiktok"
#: Where the wheel is what is tested, there is no checkout to build it of.
pytestmark = pytest.mark.skipif(not PACKAGE.is_dir(), reason="there is no checkout")

#: What a package may consist of besides Python: the sandbox's page, and the examples' media.
ENDINGS = {".py", ".typed", ".css", ".js", ".png", ".jpg", ".mp4"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built by the build backend itself: a frontend would ask an index for it."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
    return email.message_from_string(wheel.read(name).decode())


def _files(wheel: zipfile.ZipFile, top: str) -> set[str]:
    return {each.partition("/")[2] for each in wheel.namelist() if each.startswith(f"{top}/")}


def _tracked(folder: Path) -> set[str]:
    """Give the files of a folder, but for what Python leaves in it."""
    found = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder).as_posix()) for path in found}


def test_it_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"airflow_provider_tiktok-{airflow_provider_tiktok.__version__}.dist-info"
    assert {PurePosixPath(each).parts[0] for each in wheel.namelist()} == {"airflow_provider_tiktok", info}
    examples = {f"example_dags/{each}" for each in _tracked(ROOT / "example_dags")}
    assert _files(wheel, "airflow_provider_tiktok") == _tracked(PACKAGE) | examples
    assert _files(wheel, info) == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_every_file_belongs_into_it(wheel: zipfile.ZipFile) -> None:
    """Neither tests, caches and keys, nor what an editor leaves."""
    files = [PurePosixPath(each) for each in _files(wheel, "airflow_provider_tiktok")]
    assert {each.suffix for each in files if each.name != ".airflowignore"} == ENDINGS
    assert not {part for each in files for part in each.parts} & {"tests", "__pycache__", "conftest.py"}
    for needed in ("py.typed", "sandbox/page.css", "sandbox/page.js", "example_dags/media/sample.mp4"):
        assert PurePosixPath(needed) in files
    assert sum(each.file_size for each in wheel.infolist()) < 3_000_000


def test_it_runs_nowhere_in_particular(wheel: zipfile.ZipFile) -> None:
    assert (wheel.filename or "").endswith("-py3-none-any.whl")
    for name in wheel.namelist():
        if name.endswith((".py", "METADATA")):
            assert str(ROOT) not in wheel.read(name).decode(), name


def test_metadata_says_all_that_an_index_shows(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-tiktok", "Airflow compares it with the provider's own name"
    assert metadata["Version"] == airflow_provider_tiktok.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text().strip()
    classifiers = metadata.get_all("Classifier") or []
    for needed in ("Framework :: Apache Airflow :: Provider", "Typing :: Typed"):
        assert needed in classifiers


def test_its_extras_are_those_that_the_readme_installs(metadata: Message) -> None:
    printed = {
        extra
        for block in blocks("bash")
        for extra in re.findall(r"pip install 'airflow-provider-tiktok\[(\w+)\]'", block.text)
    }
    assert set(metadata.get_all("Provides-Extra") or []) == printed


def test_its_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for entries in (project["scripts"], *project["entry-points"].values()):
        for key, value in entries.items():
            assert f"{key} = {value}" in text


def test_the_quick_start_finds_the_examples(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """With the wheel alone, in the words of the README."""
    (command,) = (
        found[1]
        for block in blocks("bash")
        for found in re.finditer(r"\$\((python -c 'import airflow_provider_tiktok.*?')\)", block.text)
    )
    wheel.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path)
    assert (folder / "tiktok_publish_video.py").exists()
