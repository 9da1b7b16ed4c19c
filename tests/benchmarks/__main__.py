"""
Every benchmark that has a baseline, and one table of their figures.

``python -m tests.benchmarks`` runs all of them, which takes half an hour and wants the machine for itself;
names choose some: ``python -m tests.benchmarks upload_throughput import_time``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

from tests.benchmarks.figures import Figure, shown

NAMES = ("import_time", "upload_throughput", "prepare_pictures", "poll_publishes", "drain_backlog")


def measured(names: list[str]) -> Iterator[Figure]:
    """Run some benchmarks, one after the other."""
    for name in names:
        yield from import_module(f"tests.benchmarks.{name}").figures()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES), default=NAMES)
    shown(measured(parser.parse_args().names))
