"""Who is who: creators, the grants they gave the app, and the tokens of each grant, strictly rotated."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from airflow_provider_tiktok.api.models import PrivacyLevel, Scope
from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.wire import Refusal

ALL_SCOPES = tuple(str(scope) for scope in Scope)


@dataclass
class Creator:
    """A TikTok account. Every field may be changed while the server runs; ``post_cap`` overrides the knob."""

    username: str
    open_id: str
    nickname: str
    private: bool = False
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_post_duration_sec: int = 600
    banned: bool = False
    old_app: bool = False
    post_cap: int | None = None

    @property
    def privacy_options(self) -> list[str]:
        """The three levels this account may choose from (Query Creator Info reference)."""
        widest = PrivacyLevel.FOLLOWER_OF_CREATOR if self.private else PrivacyLevel.PUBLIC_TO_EVERYONE
        return [str(widest), str(PrivacyLevel.MUTUAL_FOLLOW_FRIENDS), str(PrivacyLevel.SELF_ONLY)]


@dataclass(eq=False)
class Grant:
    """One consent of one creator: the live refresh token and all that were spent before it."""

    creator: Creator
    scopes: tuple[str, ...]
    refresh_token: str = ""
    refresh_expires_at: float = 0.0
    generation: int = 0
    revoked: bool = False


@dataclass(eq=False)
class AccessToken:
    """A bearer token. ``name`` stands for it in logs; ``grant`` is None for a client token."""

    token: str
    name: str
    expires_at: float
    grant: Grant | None


@dataclass(eq=False)
class Code:
    """An authorization code: good once, for a short time, for one redirect URI."""

    creator: Creator
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    expires_at: float


@dataclass
class Accounts:
    """
    All creators and tokens.

    A refresh kills the refresh token before it at once (token pages of 2026-11-02). The *access* token before
    it lives on until its own end: no page says that a refresh ends it, and every client with a call in flight
    would have seen it. The knob ``refresh_kills_access_token`` shows the other reading.
    """

    knobs: Knobs
    creators: dict[str, Creator] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    reuses: int = 0
    _access: dict[str, AccessToken] = field(default_factory=dict)
    _refresh: dict[str, Grant] = field(default_factory=dict)
    _issued: dict[str, int] = field(default_factory=dict)

    @property
    def secrets(self) -> list[str]:
        """Every token that was ever handed out, spent ones included."""
        return [*self._access, *self._refresh, *self.codes]

    def creator(self, username: str) -> Creator:
        """
        The account of this name, made if there is none.

        :param username: without ``@``.
        """
        if username not in self.creators:
            # The same open_id after a restart of the sandbox, and another for another app, as at TikTok.
            open_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.knobs.client_key}/{username}"))
            self.creators[username] = Creator(
                username, open_id, nickname=username.title(), private=self.knobs.private_accounts
            )
        return self.creators[username]

    def mint(
        self, creator: Creator, scopes: tuple[str, ...], now: float, expires_in: float | None = None
    ) -> dict[str, object]:
        """
        A new grant, as if the creator had just consented.

        :param creator: who.
        :param scopes: what is granted.
        :param now: the time.
        :param expires_in: life of the first access token in seconds, if not the usual one.
        :return: the token endpoint's answer.
        """
        return self._issue(Grant(creator, scopes), now, expires_in)

    def redeem(self, text: str, redirect_uri: str, now: float) -> Code:
        """
        The code, which is spent by being asked for.

        :param text: the code.
        :param redirect_uri: what the token request says; must be what the authorize request said.
        :param now: the time.
        """
        code = self.codes.pop(text, None)
        if code is None or code.expires_at <= now:
            raise Refusal("invalid_grant", "Authorization code is invalid, expired or used.")
        if code.redirect_uri != redirect_uri:
            raise Refusal("invalid_request", "Redirect_uri is not matched with the uri when requesting code.")
        return code

    def refresh(self, refresh_token: str, now: float) -> dict[str, object]:
        """
        A new pair of tokens; the old refresh token is dead from here on.

        :param refresh_token: the live one.
        :param now: the time.
        """
        grant = self._refresh.get(refresh_token)
        if grant is None or grant.revoked:
            raise Refusal("invalid_grant", "Refresh token is invalid or revoked.")
        if grant.refresh_token != refresh_token:
            self.reuses += 1
            grant.revoked = self.knobs.burn_on_reuse
            raise Refusal("invalid_grant", "Refresh token has been used before.")
        if grant.refresh_expires_at <= now:
            raise Refusal("invalid_grant", "Refresh token is expired.")
        if self.knobs.refresh_kills_access_token:
            self._access = {key: token for key, token in self._access.items() if token.grant is not grant}
        return self._issue(grant, now)

    def client_token(self, now: float) -> dict[str, object]:
        """
        A client access token: real, and of no use for posting (Client access token page).

        :param now: the time.
        """
        token = f"clt.{secrets.token_urlsafe(30)}"
        self._access[token] = AccessToken(token, "client", now + 7200, None)
        return {"access_token": token, "expires_in": 7200, "token_type": "Bearer"}

    def find(self, token: str) -> AccessToken | None:
        """
        The token's record, dead or alive.

        :param token: what the bearer header says.
        """
        return self._access.get(token)

    def bearer(self, token: str, now: float) -> AccessToken:
        """
        The record of a token that is good for a user's endpoint.

        :param token: what the bearer header says.
        :param now: the time.
        """
        found = self._access.get(token)
        if found is None or found.grant is None or found.grant.revoked or found.expires_at <= now:
            raise Refusal("access_token_invalid", "The access token is invalid or not found in the request.")
        return found

    def remove(self, creator: Creator) -> None:
        """
        The creator removes the app in TikTok's settings: every grant is dead.

        :param creator: who.
        """
        for grant in self._refresh.values():
            grant.revoked = grant.revoked or grant.creator is creator

    def _issue(self, grant: Grant, now: float, expires_in: float | None = None) -> dict[str, object]:
        knobs, name = self.knobs, grant.creator.username
        life = knobs.access_token_seconds / knobs.time_scale if expires_in is None else expires_in
        if not grant.generation or knobs.refresh_restarts:
            grant.refresh_expires_at = now + knobs.refresh_token_seconds / knobs.time_scale
        grant.generation += 1
        grant.refresh_token = f"rft.{secrets.token_urlsafe(36)}!{secrets.randbelow(9000) + 1000}.sb"
        self._refresh[grant.refresh_token] = grant
        self._issued[name] = self._issued.get(name, 0) + 1
        token = f"act.{secrets.token_urlsafe(36)}!{secrets.randbelow(9000) + 1000}.sb"
        self._access[token] = AccessToken(token, f"{name}#{self._issued[name]}", now + life, grant)
        return {
            "access_token": token,
            "expires_in": int(life),
            "open_id": grant.creator.open_id,
            "refresh_token": grant.refresh_token,
            "refresh_expires_in": int(grant.refresh_expires_at - now),
            "scope": ",".join(grant.scopes),
            "token_type": "Bearer",
        }
