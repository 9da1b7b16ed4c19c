"""Asks TikTok whose access token this is, which spends nothing."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.api.models import Scope
from airflow_provider_tiktok.auth.trial import GivenToken
from airflow_provider_tiktok.exceptions import TikTokConsentError

DEADLINE_SECONDS = 10.0


def name_of(base_url: str, access_token: str, scopes: Collection[str]) -> str:
    """
    Give the creator's name, as far as the scopes let it be known.

    :param base_url: of the API
    :param access_token: is tried
    :param scopes: what the creator has allowed; none = not known
    :return: empty where TikTok takes the token, but may not say whose it is
    :raises TikTokTokenError: TikTok does not take the token
    :raises TikTokError: there is no answer
    """
    client = Client(Policy(base_url, deadline=DEADLINE_SECONDS, repeats=0), GivenToken(access_token))
    try:
        if Scope.VIDEO_PUBLISH in scopes and Scope.USER_INFO_BASIC not in scopes:
            creator = client.call(endpoints.creator_info())
            return creator.nickname or creator.username
        return client.call(endpoints.user_info()).display_name
    except TikTokConsentError:
        return ""  # without the scope for it; the token itself was taken
    finally:
        client.close()
