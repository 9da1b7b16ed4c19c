"""Everything that comes with the provider may be used where the provider may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

#: An older Airflow's packages are its own affair: what is judged is what is installed with the newest.
pytestmark = pytest.mark.skipif(
    not (Path(__file__).parents[1] / "airflow_provider_tiktok").is_dir(), reason="there is no checkout"
)

EXTRAS = ("heif", "sandbox", "video")
#: Permissive ones, and one that asks for its own files' changes only, as packages spell them.
ALLOWED = {
    "3-Clause BSD License",
    "Apache Software License",
    "Apache-2.0",
    "BSD",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CNRI-Python",
    "DFSG approved",
    "ISC",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
    "The Unlicense (Unlicense)",
    "Unlicense",
    "0BSD",
    "ZPL-2.1",
}
#: What is none of those, and why it may come along.
KNOWN = {
    "text-unidecode": "Artistic or GPL, as one likes; Airflow brings it, through python-slugify",
}


def _licences(found: Distribution) -> set[str]:
    metadata = found.metadata
    classifiers = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or [] if "License ::" in each
    ]
    text = metadata.get("License-Expression") or "; ".join(classifiers) or metadata.get("License") or ""
    return {each.strip("() ") if "(" not in each else each for each in re.split(r"; | AND | OR ", text)}


def _needed() -> Iterator[Distribution]:
    """Everything that is installed with the provider and all its extras, here."""
    to_do, done = [("airflow-provider-tiktok", EXTRAS)], set()
    while to_do:
        name, extras = to_do.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
        yield found
        wanted = [Requirement(each) for each in found.requires or ()]
        to_do += [
            (each.name.lower(), tuple(sorted(each.extras))) for each in wanted if _applies(each, extras)
        ]


def _applies(wanted: Requirement, extras: tuple[str, ...]) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate({"extra": each}) for each in extras or ("",))


@pytest.fixture(scope="module")
def needed() -> dict[str, Distribution]:
    return {each.metadata["Name"].lower(): each for each in _needed()}


def test_the_walk_finds_what_is_needed(needed: dict[str, Distribution]) -> None:
    assert {"airflow-provider-tiktok", "apache-airflow", "httpx", "cryptography", "jinja2"} <= set(needed)
    assert len(needed) > 80


def test_every_licence_is_a_known_one(needed: dict[str, Distribution]) -> None:
    strange = {name: _licences(each) - ALLOWED for name, each in needed.items() if name not in KNOWN}
    assert {name: licences for name, licences in strange.items() if licences} == {}
    assert KNOWN.keys() <= needed.keys(), "what came no more need not be known"
