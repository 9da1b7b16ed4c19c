"""``airflow-tiktok status``: every account, how it is, and how to mend what is broken."""

from __future__ import annotations

import time
from collections.abc import Sequence

from airflow_provider_tiktok.cli import connections, database, report
from airflow_provider_tiktok.cli.accounts import Looked, look
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.cli.verdict import judge
from airflow_provider_tiktok.exceptions import TikTokStoreError


def run(terminal: Terminal, *, conn_id: Sequence[str], as_json: bool, offline: bool, refresh: bool) -> int:
    """
    Show the accounts.

    :param terminal: the person at it
    :param conn_id: which; none = all that can be found
    :param as_json: for a program
    :param offline: do not ask TikTok
    :param refresh: refresh every grant
    :return: the exit code
    """
    for each in conn_id:
        connections.check_conn_id(each)
    fault = database.fault()
    if fault:
        terminal.say(f"Airflow's database cannot be used: {fault}.")
    ids = conn_id or sorted({*connections.environment_ids(), *(database.conn_ids() if not fault else ())})
    looked = [_look(each, fault, asks=not offline, refreshes=refresh) for each in ids]
    accounts = [report.fields(each, judge(each, now := time.time()), now) for each in looked]
    if as_json:
        terminal.show(report.as_json(accounts))
    elif accounts:
        report.show_table(terminal.results, accounts)
    else:
        terminal.say(
            f"No Connection of type {database.CONN_TYPE} was found. What to do: airflow-tiktok login."
        )
    unseen = bool(fault) and not conn_id
    return int(unseen or any(each["needs_person"] for each in accounts))


def _look(conn_id: str, fault: str, *, asks: bool, refreshes: bool) -> Looked:
    try:
        found = connections.find(conn_id, in_database=not fault)
    except TikTokStoreError as error:
        return Looked(conn_id=conn_id, failure=error)
    return look(conn_id, found, database_fault=fault, asks=asks, refreshes=refreshes)
