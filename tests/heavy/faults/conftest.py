"""One Airflow for all faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.heavy.deployment import Deployment


@pytest.fixture(scope="package")
def deployment(deployed) -> Iterator[Deployment]:
    # Who dies as the holder of a claim lets the next one wait for 15 times as long, and an outage is shorter
    # than a claim is held. DAG processor and triggerer, which end with the database, stay away for long: two
    # cores have enough to do, and nobody needs them then.
    with deployed(claim_write_seconds=2.0, restart_pause=60.0) as running:
        yield running
