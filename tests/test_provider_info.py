"""What Airflow discovers of this provider; a mistake here breaks ``airflow providers list`` for everybody."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from packaging.utils import canonicalize_name

import airflow_provider_tiktok
from airflow_provider_tiktok.auth.account import EXTRAS
from airflow_provider_tiktok.get_provider_info import get_provider_info
from airflow_provider_tiktok.hooks.tiktok import TikTokHook

SCHEMAS = Path(airflow.__file__).parent
INFO = get_provider_info()
(CONNECTION,) = INFO["connection-types"]


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / name).read_text())


def test_fits_what_airflow_reads() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_fits_the_strict_schema_but_for_what_a_release_in_the_monorepo_has() -> None:
    whole = schema("provider.yaml.schema.json")
    if "conn-fields" not in json.dumps(whole):
        pytest.skip("this Airflow knows no declarative connection form")
    # what only the monorepo's own packages have, and must have; all else is allowed to third parties, too
    released = {"state": "ready", "source-date-epoch": 0, "versions": ["0.1.0"]}
    jsonschema.validate({**INFO, **released}, whole)


def test_its_name_is_the_distributions() -> None:
    """Airflow compares them, and dies of a difference."""
    distribution = importlib.metadata.distribution("airflow-provider-tiktok")
    assert INFO["package-name"] == canonicalize_name(distribution.metadata["Name"])
    assert distribution.version == airflow_provider_tiktok.__version__


def test_airflow_finds_it() -> None:
    points = importlib.metadata.entry_points(group="apache_airflow_provider")
    found = [point for point in points if point.module == "airflow_provider_tiktok.get_provider_info"]
    assert [point.name for point in found] == ["provider_info"]
    assert found[0].load()() == INFO


#: Modules beside those that hold what Airflow is to find.
HELPERS = {"operators.base", "operators.deferral", "triggers.machinery", "triggers.waiting"}


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_names_its_modules(kind: str) -> None:
    (entry,) = INFO[kind]
    assert entry["integration-name"] == INFO["integrations"][0]["integration-name"]
    for name in entry["python-modules"]:
        importlib.import_module(name)
    folder = Path(airflow_provider_tiktok.__file__).parent / kind
    modules = {f"{kind}.{path.stem}" for path in folder.glob("[a-z]*.py")} - HELPERS
    assert set(entry["python-modules"]) == {f"airflow_provider_tiktok.{module}" for module in modules}


class TestConnectionForm:
    def test_belongs_to_the_hook(self) -> None:
        module, _, name = CONNECTION["hook-class-name"].rpartition(".")
        assert getattr(importlib.import_module(module), name) is TikTokHook
        assert CONNECTION["connection-type"] == TikTokHook.conn_type
        assert CONNECTION["hook-name"] == TikTokHook.hook_name

    def test_has_every_extra_that_is_read(self) -> None:
        assert set(CONNECTION["conn-fields"]) == set(EXTRAS)

    @pytest.mark.parametrize("name", EXTRAS)
    def test_describes_each(self, name: str) -> None:
        field = CONNECTION["conn-fields"][name]
        assert field["label"]
        assert field["description"].endswith(".")
        assert ("token" in name) == (field["schema"].get("format") == "password"), "tokens are hidden"
        assert "null" in field["schema"]["type"], "each may be left empty"

    def test_is_the_same_below_3_2(self) -> None:
        """There it comes from the hook; only placeholders for extras differ, which has no form there."""
        behaviour, below = CONNECTION["ui-field-behaviour"], TikTokHook.get_ui_field_behaviour()
        assert behaviour["hidden-fields"] == below["hidden_fields"]
        assert behaviour["relabeling"] == below["relabeling"]
        assert behaviour["placeholders"].items() <= below["placeholders"].items()
        json.loads(below["placeholders"]["extra"])


def test_costs_nothing() -> None:
    """Every Airflow process calls it."""
    code = (
        "import sys; from airflow_provider_tiktok.get_provider_info import get_provider_info as f; f();"
        "print(*[each for each in sys.modules if each.partition('.')[0] in ('airflow', 'httpx', 'PIL')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.split() == []


def test_its_links_are_the_operators() -> None:
    """Airflow 2 shows only those that are listed."""
    from airflow_provider_tiktok.links.tiktok import LINKS

    assert INFO["extra-links"] == [f"{type(each).__module__}.{type(each).__qualname__}" for each in LINKS]


#: ``airflow providers ...`` -> what is ours in its answer.
SHOWN = {
    "get airflow-provider-tiktok --full": ("airflow-provider-tiktok", "Publish videos", "triggers.pace"),
    "list": ("airflow-provider-tiktok",),
    "hooks": ("airflow_provider_tiktok.hooks.tiktok.TikTokHook", "tiktok_conn_id"),
    "links": (
        "airflow_provider_tiktok.links.tiktok.TikTokPostLink",
        "airflow_provider_tiktok.links.tiktok.TikTokInboxLink",
    ),
    "triggers": ("airflow_provider_tiktok.triggers.tiktok", "airflow_provider_tiktok.triggers.pace"),
    "behaviours": ("tiktok",),
    "widgets": ("extra__tiktok__refresh_token", "extra__tiktok__media_bucket"),
}
_AIRFLOW = """
import contextlib, io, json, sys
from airflow.cli import cli_parser

parser, told = cli_parser.get_parser(), {}
for line in json.loads(sys.argv[1]):
    args = parser.parse_args(["providers", *line.split(), "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        args.func(args)
    told[line] = out.getvalue()
print("told:", json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What Airflow's command line answers; all in one process, since it starts slowly."""
    command = [sys.executable, "-c", _AIRFLOW, json.dumps(list(SHOWN))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.rpartition("told:")[2])
    return found


@pytest.mark.parametrize("line", SHOWN)
def test_airflows_command_line_shows_it(line: str, told: dict[str, str]) -> None:
    if line == "widgets" and "conn-fields" not in json.dumps(schema("provider.yaml.schema.json")):
        pytest.skip("this Airflow knows no declarative connection form")
    if line == "behaviours" and told[line].strip() == "[]":
        pytest.skip("without Flask-AppBuilder, Airflow 3.0 knows nobody's")
    for name in SHOWN[line]:
        assert name in told[line]


def test_is_made_anew_each_time() -> None:
    """Airflow may change what it was given."""
    get_provider_info()["operators"].clear()
    assert get_provider_info() == INFO


@pytest.mark.filterwarnings("ignore:ProvidersManager")
def test_airflows_own_manager_takes_it(caplog: pytest.LogCaptureFixture) -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert manager.providers["airflow-provider-tiktok"].data["name"] == "TikTok"
    hook = manager.hooks["tiktok"]
    assert hook is not None
    assert (hook.hook_name, hook.connection_type, hook.connection_id_attribute_name) == (
        "TikTok",
        "tiktok",
        "tiktok_conn_id",
    )
    behaviours = manager.field_behaviours
    assert "tiktok" in behaviours or not behaviours, "3.0 has nobody's without Flask-AppBuilder, and says so"
    told = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert not [record for record in told if "tiktok" in record.getMessage().lower()]
