"""Every Python block of the README: its DAGs are parsed and run, all else is tried in its own way."""

from __future__ import annotations

import ast
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import airflow
import pytest
from packaging.version import Version

from airflow_provider_tiktok.auth.store import configured_store
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import publish_connection, run
from tests.buckets import Bucket
from tests.readme.blocks import Block, blocks
from tests.readme.dags import played

PYTHON = blocks("python")
#: What is no DAG, by the heading that it stands under; each has a test of its own below.
TRIED_BELOW = {"Where the grant lives", "A local TikTok"}
#: The Airflow that has everything of which the README speaks.
NEWEST = Version("3.3")
#: Where the README's videos lie, and none do here.
ELSEWHERE = ("https://media.example.com/", "/data/")
DAGS = [each for each in PYTHON if each.heading not in TRIED_BELOW]


def _the(heading: str) -> Block:
    (block,) = (each for each in PYTHON if each.heading == heading)
    return block


def _loaded(block: Block) -> dict[str, Any]:
    """Execute a block as a module; Airflow 2 has no ``airflow.sdk``, whose names stand elsewhere there."""
    text = block.text
    try:
        import airflow.sdk  # noqa: F401
    except ImportError:
        text = text.replace("from airflow.sdk import", "from airflow.providers.common.compat.sdk import")
    module = types.ModuleType("readme_example")
    exec(compile(text, f"README.md, {block}", "exec"), module.__dict__)
    return vars(module)


def _made(block: Block, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """Parse a block as the DAG processor does; gives its DAGs, also unnamed ones, and its other tasks."""
    from airflow.providers.common.compat.sdk import DAG, BaseOperator

    dags: list[Any] = []
    enter = DAG.__enter__
    monkeypatch.setattr(DAG, "__enter__", lambda dag: dags.append(dag) or enter(dag))
    try:
        names = _loaded(block)
    except ImportError as error:  # what only a newer Airflow has
        if Version(airflow.__version__) >= NEWEST:
            raise
        pytest.skip(str(error))
    return dags, [each for each in names.values() if isinstance(each, BaseOperator) and not each.has_dag()]


def test_there_are_no_others() -> None:
    assert {each.heading for each in PYTHON} >= TRIED_BELOW
    assert len(DAGS) >= 4


@pytest.mark.parametrize("block", DAGS, ids=str)
def test_dags_are_parsed(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.serialization import serialized_objects as module

    dags, tasks = _made(block, monkeypatch)
    assert dags or tasks
    serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG
    for dag in dags:
        assert dag.dag_id in json.dumps(serialization.to_dict(dag))


@pytest.fixture
def renders(
    tiktok: Sandbox,
    connect: Callable[..., Any],
    bucket: Bucket,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the README's DAGs take for granted: buckets of renders and for TikTok, and Connections."""
    store = Bucket("renders", bucket.endpoint)
    store.client.create_bucket(Bucket="renders")
    publish_connection(monkeypatch, "aws_default", bucket.connection())
    connect(
        media_conn_id="aws_default",
        media_bucket=bucket.name,
        media_prefix="tiktok/",
        media_public_base_url=bucket.url,
    )
    photos = video.parent
    for name, path in {
        "clip.mp4": video,
        "cover.png": next(photos.glob("photo_*")),
        "chart.png": max(photos.glob("photo_*")),
    }.items():
        store.client.upload_file(str(path), "renders", f"2026-11-26/{name}")


@pytest.mark.parametrize("block", DAGS, ids=str)
@pytest.mark.usefixtures("renders", "clock")
def test_dags_run(block: Block, tiktok: Sandbox, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the local TikTok: each block publishes once."""
    dags, tasks = _made(block, monkeypatch)
    tasks = [*tasks, *(task for dag in dags for task in dag.topological_sort() if _is_ours(task))]
    for task in tasks:
        if str(getattr(task, "video", "")).startswith(ELSEWHERE):
            task.video = str(video)

    def creator() -> None:
        for draft in tiktok.drafts:
            tiktok.finish_draft(draft.publish_id)

    returned = played(tasks, "2026-11-26", creator)
    (publish,) = tiktok.publishes
    assert publish.publish_id in returned.values()
    states = {each["status"] for each in returned.values() if isinstance(each, dict)}
    assert states <= {"PUBLISH_COMPLETE"}


def _is_ours(task: Any) -> bool:
    """The reader's own tasks want a run of theirs; that they are parsed is seen above."""
    return type(task).__module__.startswith("airflow_provider_tiktok.")


def test_the_token_store(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a real client and a stand-in of AWS; values of the size that a grant has."""
    monkeypatch.setitem(sys.modules, "my_company_airflow", types.ModuleType("my_company_airflow"))
    vars(sys.modules["my_company_airflow"]).update(_loaded(_the("Where the grant lives")))
    monkeypatch.setenv("AIRFLOW__TIKTOK__TOKEN_STORE", "my_company_airflow.ParameterStore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    # not by moto within this process, which would empty what others have there
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    store = configured_store()
    assert store.load("tiktok_default") is None
    for text in ("a" * 1500, "b" * 1500):
        store.save("tiktok_default", text)
        assert configured_store().load("tiktok_default") == text


def test_a_test_with_the_local_tiktok(
    connect: Callable[..., Any], video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ``...`` is the reader's DAG: here a draft, the first of whose answers is lost."""
    from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

    sandbox = None

    class Reader(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST:
            if isinstance(node.value, ast.Constant) and node.value.value is ...:
                return ast.copy_location(ast.parse("reader(sandbox, connection)").body[0], node)
            return node

    def reader(running: Sandbox, connection: dict[str, Any]) -> None:
        nonlocal sandbox
        sandbox = running
        publish_connection(monkeypatch, "tiktok_default", connection)
        options = {"privacy_level": "SELF_ONLY"}
        running.creator("creator1").private = True
        run(
            TikTokPublishVideoOperator(
                task_id="publish", video=str(video), wait_for_completion=True, poll_interval=1, **options
            )
        )

    tree = ast.fix_missing_locations(Reader().visit(ast.parse(_the("A local TikTok").text)))
    exec(compile(tree, "README.md", "exec"), {"reader": reader})
    assert sandbox is not None
