"""``airflow-tiktok revoke``: give the creator's permission back to TikTok."""

from __future__ import annotations

from contextlib import closing

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.auth.account import read_account
from airflow_provider_tiktok.auth.keeper import TokenKeeper
from airflow_provider_tiktok.cli import connections, database
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError


def run(terminal: Terminal, *, conn_id: str, yes: bool) -> int:
    """
    Revoke.

    :param terminal: the person at it
    :param conn_id: of the account
    :param yes: do not ask
    :return: the exit code
    :raises TikTokError: TikTok has not taken the permission away
    """
    connections.check_conn_id(conn_id)
    fault = database.fault()
    found = connections.find(conn_id, in_database=not fault)
    if found is None or not found.is_ours:
        why = f" Airflow's database cannot be used: {fault}." if fault else ""
        raise TikTokConfigError(f"There is no Connection {conn_id} of type {database.CONN_TYPE}.{why}")
    account = read_account(found.connection, found.connection.extra_dejson)
    if not terminal.agrees(f"Take the app's permission for {conn_id} away; its tasks will fail", yes=yes):
        terminal.say("Nothing was changed. (Where nobody can be asked: --yes.)")
        return 1
    with closing(TokenKeeper(account)) as keeper, closing(Client(Policy(account.base_url))) as client:
        token = keeper.token()
        client.call(endpoints.revoke(account.client_key, account.client_secret, access_token=token))
    terminal.say(
        f"TikTok has taken the permission away. What remains, without use: Connection {conn_id} (in the "
        f"{found.source}), and the stored grant (Variable {register.name('grant', conn_id)}, or your token "
        f"store). airflow-tiktok login --conn-id {conn_id} brings the account back."
    )
    return 0
