"""Imports run one way, from operators and sensors down to exceptions, and cost little."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_tiktok

PACKAGE = "airflow_provider_tiktok"
ROOT = Path(airflow_provider_tiktok.__file__).parent
PYTHON = (sys.executable, "-c")

#: Layer -> the layers that it may import, at the top of a module or within a function.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "get_provider_info": set(),
    "remedies": set(),
    "exceptions": {"remedies"},
    "api": {"exceptions", "__init__"},
    "register": {"exceptions"},
    "claim": {"exceptions", "register"},
    "stats": {"exceptions"},
    "retry": {"exceptions"},
    "auth": {"exceptions", "api", "claim", "register", "stats"},
    "media": {"exceptions", "api"},
    "publishing": {"exceptions", "api", "auth", "claim", "media", "register", "stats"},
    "hooks": {"exceptions", "api", "auth", "media", "publishing"},
    "triggers": {"exceptions", "api", "publishing", "hooks"},
    "links": set(),
    "lineage": set(),
    "telling": {"exceptions", "links", "stats"},
    "operators": {"exceptions", "api", "publishing", "hooks", "lineage", "links", "telling", "triggers"},
    "sensors": {"exceptions", "api", "publishing", "hooks", "links", "telling", "triggers"},
    "cli": {"exceptions", "api", "auth", "media", "publishing", "register", "sandbox.knobs", "__init__"},
    "sandbox": {"api.models", "__init__"},
}
#: Modules that may import Airflow itself.
KNOW_AIRFLOW = {"exceptions", "lineage", "media.source", "register", "retry"}
LAYERS_THAT_KNOW_AIRFLOW = {"auth", "cli", "publishing", "hooks", "triggers", "links", "operators", "sensors"}
#: Modules that take names from Airflow's core, which may move: the command line stands beside the database.
KNOW_THE_CORE = {"register", "cli.connections", "cli.database", "cli.definition"}
#: Modules that take names from another provider, where that is installed.
KNOW_OTHERS = {"lineage": ("airflow.providers.openlineage.",)}
#: What costs time or memory: never at the top of a module that a DAG file imports.
HEAVY = ("PIL", "av", "boto3", "botocore", "fsspec", "starlette", "uvicorn", "rich", "click", "psutil")


def modules() -> list[str]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not name.startswith("example_dags"):
            found.append(name)
    return found


def imports(module: str) -> Iterator[str]:
    """Everything a module imports, wherever in it, but for what only a type checker sees."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    yield from _imports(ast.parse(path.read_text()))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imports(node)


def _layer(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", modules())
def test_direction(module: str) -> None:
    layer = _layer(module)
    for name in imports(module):
        if name.partition(".")[0] != PACKAGE:
            continue
        target = name.removeprefix(PACKAGE).removeprefix(".")
        if target in ("", "__version__"):
            target = "__init__"
        fine = {layer, *ALLOWED[layer]}
        assert any(target == each or target.startswith(f"{each}.") for each in fine), f"{module} -> {target}"


@pytest.mark.parametrize("module", modules())
def test_who_knows_airflow(module: str) -> None:
    """The API client stands alone; Airflow's names come from where both versions have them."""
    for name in imports(module):
        if name.partition(".")[0] != "airflow":
            continue
        assert module in KNOW_AIRFLOW or _layer(module) in LAYERS_THAT_KNOW_AIRFLOW, f"{module} -> {name}"
        if module in KNOW_THE_CORE:
            continue
        home = ("airflow.providers.common.compat.", "airflow.triggers.base.", *KNOW_OTHERS.get(module, ()))
        assert name.startswith(home), f"{module} -> {name}"


@pytest.mark.parametrize("module", [each for each in modules() if _layer(each) != "sandbox"])
def test_who_talks_http(module: str) -> None:
    talks = {"httpx", "httpcore", "requests", "aiohttp", "urllib3", "http.client", "urllib.request.urlopen"}
    found = {name for name in imports(module) if name in talks or name.partition(".")[0] in talks}
    assert not found or module == "api.transport"


@pytest.mark.parametrize("module", [each for each in modules() if _layer(each) != "sandbox"])
def test_who_touches_variables(module: str) -> None:
    found = {name for name in imports(module) if name.endswith((".Variable", ".task_state_store"))}
    # the command line stands beside the database, and lists there what `sweep` may remove
    assert not found or module in ("register", "cli.database")


def test_the_walk_finds_everything() -> None:
    assert {_layer(each) for each in modules()} == set(ALLOWED)
    assert f"{PACKAGE}.api.transport.Transport" in set(imports("publishing.upload"))
    lazy = f"{PACKAGE}.publishing.video.video_post"
    assert lazy in set(imports("operators.tiktok")), "also what is imported within a function"


_STEPS = {
    # what any operator and sensor pays for, as any DAG file does
    "airflow": "from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator, conf, "
    "mask_secret, AirflowFailException, AirflowTaskTimeout, PokeReturnValue; import airflow.triggers.base",
    "operators.tiktok": f"import {PACKAGE}.operators.tiktok",
    "sensors.tiktok": f"import {PACKAGE}.sensors.tiktok",
    # what any hook pays for; on Airflow 2 that is much
    "airflow's hooks": "from airflow.providers.common.compat.sdk import BaseHook, Variable; "
    "BaseHook.get_connection; Variable.get; import airflow.providers.common.compat.connection",
    "httpx": "import httpx",  # which loads click, where Airflow 3.0 has not
    "triggers.tiktok": f"import {PACKAGE}.triggers.tiktok",
}


def _run(code: str) -> str:
    done = subprocess.run([*PYTHON, code], capture_output=True, text=True, check=True, env=dict(os.environ))
    return done.stdout


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What each step of one process loads that is new; more of a package that was loaded is not."""
    code = f"""
import json, sys
found = {{}}
for name, step in {_STEPS!r}.items():
    for each in [each for each in sys.modules if each.startswith({PACKAGE!r})]:
        del sys.modules[each]
    before = set(sys.modules)
    tops = {{each.partition(".")[0] for each in before}} - {{{PACKAGE!r}}}
    exec(step)
    found[name] = [each for each in set(sys.modules) - before if each.partition(".")[0] not in tops]
print("loaded:", json.dumps(found))
"""
    told = json.loads(_run(code).rpartition("loaded:")[2])
    return {name: set(found) for name, found in told.items()}


def _tops(found: set[str]) -> set[str]:
    return {each.partition(".")[0] for each in found}


@pytest.mark.parametrize("module", ["operators.tiktok", "sensors.tiktok"])
def test_a_dag_file_pays_for_nothing_but_the_class(module: str, loaded: dict[str, set[str]]) -> None:
    own = loaded[module]
    assert f"{PACKAGE}.{module}" in own
    assert _tops(own) & {*HEAVY, "httpx", "cryptography"} == set()
    layers = {_layer(each.removeprefix(f"{PACKAGE}.")) for each in own if each.startswith(f"{PACKAGE}.")}
    assert layers <= {_layer(module), "exceptions", "links", "publishing", "remedies", "telling"}, layers
    assert sum(each.startswith(PACKAGE) for each in own) <= 11


def test_a_triggerer_loads_nothing_for_media(loaded: dict[str, set[str]]) -> None:
    own = loaded["triggers.tiktok"]
    assert _tops(own) & set(HEAVY) == set()
    assert not any(each.startswith(f"{PACKAGE}.media") for each in own)


def test_the_sandbox_does_not_need_airflow() -> None:
    """It must be able to contradict the client, and to run where no Airflow is."""
    told = _run(f"import sys, {PACKAGE}.sandbox.server; print('loaded:', *sys.modules)")
    found = set(told.rpartition("loaded:")[2].split())
    assert "airflow" not in _tops(found)
    ours = {each.removeprefix(f"{PACKAGE}.") for each in found if each.startswith(f"{PACKAGE}.")}
    assert {each for each in ours if _layer(each) != "sandbox"} == {"api", "api.models"}


def test_every_module_can_be_imported_first() -> None:
    """No module needs another one to have been imported before it."""
    names = [f"{PACKAGE}.{each.removesuffix('.__init__')}" for each in modules() if each != "__init__"]
    names = [each for each in names if not each.endswith("__main__")]
    code = f"""
import importlib, sys
for name in {names!r}:
    for each in [each for each in sys.modules if each.startswith({PACKAGE!r})]:
        del sys.modules[each]
    importlib.import_module(name)
"""
    _run(code)
