"""What a component of the distributed Airflow calls its host: all run on one, and are to look like many."""

from __future__ import annotations

import os

VARIABLE = "TIKTOK_TESTS_HOST"


def name() -> str:
    """Give Airflow's ``[core] hostname_callable`` its answer."""
    return os.environ[VARIABLE]
