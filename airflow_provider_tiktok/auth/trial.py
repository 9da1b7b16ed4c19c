"""Tries a Connection without spending its refresh token."""

from __future__ import annotations

import time

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import seed_grant
from airflow_provider_tiktok.exceptions import (
    TikTokAppError,
    TikTokConsentError,
    TikTokRequestError,
    TikTokTokenError,
)

DEADLINE_SECONDS = 10.0


class GivenToken:
    """
    One access token, and no other where it is refused.

    :param token: the token
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, refused: str = "") -> str:  # noqa: ARG002
        """Give it."""
        return self._token

    async def atoken(self, refused: str = "") -> str:
        """Give it."""
        return self.token(refused)


def try_account(account: Account) -> str:
    """
    Ask TikTok whether an account works, as far as can be asked without changing anything.

    :param account: read from the Connection
    :return: what was found
    :raises TikTokError: it does not work; the message says why
    """
    policy = Policy(account.base_url, deadline=DEADLINE_SECONDS, repeats=0)
    seed = account.seed
    client = Client(policy, GivenToken(seed.access_token))
    try:
        if seed.given and seed_grant(account).lives(time.time()):
            try:
                user = client.call(endpoints.user_info())
            except TikTokTokenError:
                if not seed.refresh_token:
                    raise
            except TikTokConsentError:
                return (
                    "TikTok takes the access token, which lacks the scope user.info.basic to say whose it is."
                )
            else:
                return f"TikTok answers for {user.display_name or user.open_id or 'this creator'}."
        _try_app(client, account)
    finally:
        client.close()
    if not seed.refresh_token:
        return (
            "TikTok answers, and knows the app. The Connection holds no refresh_token, so tasks can only go "
            "on with a grant that was stored earlier."
        )
    return (
        "TikTok answers, and knows the app. The refresh token was not tried: it works only once, and the "
        "first task will spend it."
    )


def _try_app(client: Client, account: Account) -> None:
    try:
        client.call(endpoints.client_token(account.client_key, account.client_secret))
    except (TikTokAppError, TikTokRequestError) as error:
        if error.code == "invalid_client":
            raise
        # an app without this grant is refused for another reason, after its key and secret were found right
