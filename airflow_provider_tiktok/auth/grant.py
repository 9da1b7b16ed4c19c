"""
The live grant of one account, and how it is written down.

Written down, its tokens are encrypted by us (Fernet, with a key derived from the Connection's client secret):
who may read Variables but not Connections learns nothing, the Variables page shows nothing, and Airflow's log
masker does not grow with every rotation. What a person wants to know stands beside them in clear.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api.answers import DEFAULT_EXPIRES_IN
from airflow_provider_tiktok.api.models import Token
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.cipher import seal, unseal
from airflow_provider_tiktok.exceptions import TikTokConfigError

_FORMAT = 1
_PURPOSE = "grant"
_CLEAR: dict[str, Callable[[Any], Any]] = {
    "generation": int,
    "expires_at": float,
    "lifetime": float,
    "refresh_expires_at": float,
    "open_id": str,
    "scope": str,
    "seed": str,
    "past_seeds": lambda seeds: tuple(str(seed) for seed in seeds),
}
#: Logins that are remembered as past; a process that runs with an older Connection than these is an oddity.
_REMEMBERED_SEEDS = 20


@dataclass(frozen=True, kw_only=True)
class State:
    """
    What may be known of a grant without its tokens.

    :param expires_at: of the access token, seconds since 1970; 0 = not known
    :param lifetime: seconds the access token had when it was new
    :param refresh_expires_at: of the refresh token, seconds since 1970; 0 = not known
    :param open_id: the creator
    :param scope: what was allowed, comma-separated; empty = not known
    :param seed: fingerprint of the login (the Connection's grant) that this one comes from
    :param past_seeds: fingerprints of the logins before it
    :param generation: how many refreshes since the login; the higher wins
    """

    expires_at: float = 0.0
    lifetime: float = 7200.0
    refresh_expires_at: float = 0.0
    open_id: str = ""
    scope: str = ""
    seed: str = ""
    past_seeds: tuple[str, ...] = ()
    generation: int = 0


@dataclass(frozen=True)
class Grant(State):
    """
    What a creator has allowed, as it is now.

    :param access_token: sent with each call
    :param refresh_token: gives the next grant, once
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def state(self) -> State:
        """What may be shown of it."""
        return State(**{each.name: getattr(self, each.name) for each in fields(State)})

    def lives(self, now: float) -> bool:
        """Tell whether the access token can be used: one without a known end can, until TikTok refuses it."""
        return bool(self.access_token) and (self.expires_at == 0 or now < self.expires_at)

    def due(self, now: float, jitter: float) -> bool:
        """
        Tell whether it is time for a refresh: a tenth of the lifetime or a minute before the end.

        :param now: seconds since 1970
        :param jitter: 0 to 1, so that processes do not all come at the same moment
        """
        if not self.lives(now):
            return True
        margin = min(max(self.lifetime / 10, 60.0), self.lifetime / 2) * (0.9 + 0.2 * jitter)
        return self.expires_at != 0 and now >= self.expires_at - margin

    def refreshed(self, token: Token, now: float) -> Grant:
        """
        Give the next grant. What TikTok's answer leaves out stays as it was.

        :param token: TikTok's answer
        :param now: seconds since 1970 when it was asked, so that no lifetime is taken for longer than it is
        """
        return Grant(
            access_token=token.access_token,
            refresh_token=token.refresh_token or self.refresh_token,
            expires_at=now + token.expires_in,
            lifetime=float(token.expires_in),
            refresh_expires_at=(
                now + token.refresh_expires_in if token.refresh_expires_in else self.refresh_expires_at
            ),
            open_id=token.open_id or self.open_id,
            scope=token.scope or self.scope,
            seed=self.seed,
            past_seeds=self.past_seeds,
            generation=self.generation + 1,
        )


def seed_grant(account: Account, past_seeds: tuple[str, ...] = ()) -> Grant:
    """
    Give the grant as the Connection has it.

    :param account: read from the Connection
    :param past_seeds: fingerprints of the logins that this one replaces
    :raises TikTokConfigError: it has none
    """
    seed = account.seed
    if not seed.given:
        raise TikTokConfigError(
            f"Connection {account.conn_id}: there is no grant. What to do: airflow-tiktok login --conn-id "
            f"{account.conn_id}, or put the refresh_token that TikTok gave into the Connection's extra."
        )
    return Grant(
        access_token=seed.access_token,
        refresh_token=seed.refresh_token,
        expires_at=seed.expires_at,
        # not told; what is left of it is a bound, but taken for the whole it would never be due
        lifetime=max(float(DEFAULT_EXPIRES_IN), seed.expires_at - time.time()),
        refresh_expires_at=seed.refresh_expires_at,
        open_id=seed.open_id,
        scope=seed.scope,
        seed=seed.fingerprint,
        past_seeds=past_seeds[-_REMEMBERED_SEEDS:],
    )


def written(grant: Grant, account: Account) -> str:
    """
    Write a grant down.

    :param grant: the grant
    :param account: whose client secret the key is made of
    """
    tokens = {"access_token": grant.access_token, "refresh_token": grant.refresh_token}
    clear = {name: getattr(grant, name) for name in _CLEAR}
    sealed = seal(account, _PURPOSE, json.dumps(tokens))
    return json.dumps({"format": _FORMAT, **clear, "sealed": sealed})


def clear_fields(text: str, conn_id: str) -> State:
    """
    Read what a grant that was written down says in clear; needs no key.

    :param text: from :func:`written`
    :param conn_id: for the error
    :raises TikTokConfigError: it is no grant
    """
    try:
        given = json.loads(text)
        given.setdefault("past_seeds", [])  # the first release knew none
        return State(**{name: made(given[name]) for name, made in _CLEAR.items()})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise _unreadable(conn_id) from None


def read_back(text: str, account: Account) -> Grant:
    """
    Read a grant that was written down.

    :param text: from :func:`written`
    :param account: whose client secret the key is made of
    :raises TikTokConfigError: it was written with another client secret, or is no grant
    """
    state = clear_fields(text, account.conn_id)
    try:
        tokens = json.loads(unseal(account, _PURPOSE, json.loads(text)["sealed"]))
        if not all(isinstance(each, str) for each in tokens.values()):
            raise _unreadable(account.conn_id)
        return Grant(**tokens, **{name: getattr(state, name) for name in _CLEAR})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unreadable(account.conn_id) from None


def _unreadable(conn_id: str) -> TikTokConfigError:
    return TikTokConfigError(
        f"Connection {conn_id}: the stored grant cannot be read. Either the client secret (password) has "
        "changed since it was stored, or something else has written to its place. What to do: airflow-tiktok "
        f"login --conn-id {conn_id}; if that does not help, remove the Variable "
        f"{register.name('grant', conn_id)} (or what your token store keeps) and log in again."
    )
