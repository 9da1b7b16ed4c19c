"""
What importing an operator costs beside ``airflow.sdk`` itself: DAG files do it every few seconds.

``python -m tests.benchmarks.import_time`` prints the median of some runs, each in a process of its own, in
CPU milliseconds, since these depend least on what else the machine is doing; ``airflow.sdk`` alone, measured
in the same runs, is the baseline. The goal for operators is below 50 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks.figures import Figure, shown

RUNS = 9
GOAL = 50.0
MODULES = ("operators", "sensors", "triggers", "hooks")
SCRIPT = """
import time
began = time.process_time()
from airflow.sdk import BaseOperator
sdk = time.process_time()
import airflow_provider_tiktok.{module}.tiktok
print(sdk - began, time.process_time() - sdk)
"""


def measured(module: str) -> tuple[float, float]:
    """Median CPU milliseconds of ``airflow.sdk`` and of a module of ours after it."""
    runs = []
    for _ in range(RUNS):
        command = [sys.executable, "-c", SCRIPT.format(module=module)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        runs.append([float(seconds) * 1000 for seconds in output.split()[-2:]])
    baseline, ours = zip(*runs, strict=True)
    return statistics.median(baseline), statistics.median(ours)


def figures() -> Iterator[Figure]:
    """Measure, and give each figure with its baseline."""
    for module in MODULES:
        baseline, ours = measured(module)
        goal = GOAL if module == "operators" else None
        yield Figure(f"import {module}.tiktok, beside airflow.sdk", ours, baseline, "ms CPU", below=goal)


if __name__ == "__main__":
    shown(figures())
