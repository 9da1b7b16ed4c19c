"""
What importing an operator costs beside ``airflow.sdk`` itself: DAG files do it every few seconds.

``python tests/benchmarks/import_time.py`` prints the median of some runs, each in a process of its own, in
CPU milliseconds, since these depend least on what else the machine is doing; ``airflow.sdk`` alone, measured
in the same runs, is the baseline. The goal for operators is below 50 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 9
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


def main() -> None:
    """Print the table."""
    print(f"{'module':<12} {'ours, ms':>9} {'airflow.sdk, ms':>16} {'ratio':>7}")
    for module in MODULES:
        baseline, ours = measured(module)
        print(f"{module:<12} {ours:>9.1f} {baseline:>16.0f} {ours / baseline:>7.3f}")


if __name__ == "__main__":
    main()
