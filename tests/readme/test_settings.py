"""Every setting that the README prints is one that Airflow, or the provider, knows."""

from __future__ import annotations

import configparser
import re

import pytest
from airflow.configuration import conf

from airflow_provider_tiktok.get_provider_info import get_provider_info
from tests.readme.blocks import README, Block, blocks


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_blocks_of_airflow_cfg(block: Block) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    assert parser.sections()
    for section in parser.sections():
        for option in parser[section]:
            assert option in conf.configuration_description[section]["options"], f"[{section}] {option}"


def test_the_providers_own() -> None:
    """The table of settings names all that there are, and no others."""
    text = README.read_text()
    table = text[text.index("in `airflow.cfg` under `[tiktok]`") :].split("\n\n")[1]
    printed = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert printed == get_provider_info()["config"]["tiktok"]["options"].keys()
