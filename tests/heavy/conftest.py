"""One PostgreSQL for all heavy tests; their Airflows come one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="session")
def part_of(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Give every n-th of many rounds with ``--brief``, else all; or that many of a number of rounds."""
    is_brief = request.config.getoption("--brief")

    def part_of(rounds: Any, part: int = 2) -> Any:
        if not is_brief:
            return rounds
        return -(-rounds // part) if isinstance(rounds, int) else list(rounds)[::part]

    return part_of


@pytest.fixture(scope="session")
def deployed(
    postgres: Postgres, request: pytest.FixtureRequest
) -> Callable[..., AbstractContextManager[Deployment]]:
    """Make a deployment; its home stays where it is if a test has failed."""

    @contextmanager
    def make(**options: Any) -> Iterator[Deployment]:
        with Deployment(postgres, **options) as deployment:
            yield deployment
            deployment.airflow.keep_home = request.session.testsfailed > 0

    return make


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write(report.shown())
