"""``airflow-tiktok media sweep``: remove what was staged for TikTok and left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from airflow_provider_tiktok.auth.account import Account, read_account
from airflow_provider_tiktok.cli import connections, database
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError
from airflow_provider_tiktok.media.aws import AwsLogin
from airflow_provider_tiktok.media.bucket import Bucket, Leftover
from airflow_provider_tiktok.media.hosting import MediaHost
from airflow_provider_tiktok.media.readable import MediaAccess
from airflow_provider_tiktok.media.source import read_login


def run(terminal: Terminal, *, conn_id: Sequence[str], older_than: float, dry_run: bool) -> int:
    """
    Sweep the buckets of the accounts.

    :param terminal: the person at it
    :param conn_id: of the accounts; none = all that can be found
    :param older_than: hours since something was put there
    :param dry_run: show only
    :return: the exit code: 1 if a bucket could not be swept
    """
    fault = database.fault()
    if fault:
        terminal.say(f"Airflow's database cannot be used: {fault}.")
    ids = conn_id or sorted({*connections.environment_ids(), *(database.conn_ids() if not fault else ())})
    before = datetime.now(UTC) - timedelta(hours=older_than)
    swept: set[tuple[str, str, str]] = set()
    failed = bool(fault) and not conn_id
    for each in ids:
        try:
            account = _account(each, in_database=not fault)
            place = (account.media_conn_id, account.hosting.bucket, account.hosting.prefix)
            if not account.hosting.bucket or place in swept:  # several accounts may share a bucket
                if conn_id and not account.hosting.bucket:
                    terminal.say(f"{each}: its Connection names no media_bucket.")
                continue
            swept.add(place)
            with closing(_host(account, in_database=not fault)) as host:
                _sweep(terminal, each, host, before, dry_run=dry_run)
        except TikTokError as error:
            terminal.say(f"{each}: {error}")
            failed = True
    if not swept and not failed:
        terminal.say("No Connection of type tiktok names a media_bucket: there is nothing to sweep.")
    return int(failed)


def _sweep(terminal: Terminal, conn_id: str, host: MediaHost, before: datetime, *, dry_run: bool) -> None:
    found = host.leftovers(before)
    for each in found:
        if not dry_run:
            host.sweep(each)
        terminal.show(_line(each, dry_run=dry_run))
    done = "would be removed" if dry_run else "removed"
    terminal.say(f"{conn_id}: {len(found)} left behind in {host.name}, {done}.")


def _line(leftover: Leftover, *, dry_run: bool) -> str:
    what = "an unfinished upload" if leftover.upload_id else f"{leftover.size} bytes"
    verb = "would remove" if dry_run else "removed"
    return f"{verb} {leftover.key} ({what}, of {leftover.modified:%Y-%m-%d %H:%M} UTC)"


def _account(conn_id: str, *, in_database: bool) -> Account:
    connections.check_conn_id(conn_id)
    found = connections.find(conn_id, in_database=in_database)
    if found is None or not found.is_ours:
        raise TikTokConfigError(f"There is no Connection {conn_id} of type {database.CONN_TYPE}.")
    return read_account(found.connection, found.connection.extra_dejson)


def _host(account: Account, *, in_database: bool) -> MediaHost:
    login = AwsLogin()
    if account.media_conn_id:
        found = connections.find(account.media_conn_id, in_database=in_database)
        if found is None:
            raise TikTokConfigError(
                f"There is no Connection {account.media_conn_id}, which media_conn_id names."
            )
        login = read_login(found.connection)
    hosting = account.hosting
    access = MediaAccess(account.media_conn_id, allow_loopback=account.is_local)
    return MediaHost(Bucket(hosting.bucket, login), hosting.prefix, hosting.public_base_url, access)
