"""
How a creator is asked to allow the app: the address to open, and what comes back by the redirect.

Login Kit for web and for desktop, and the Login Kit overview, as of 2026-09-11. The token endpoint stands in
:mod:`airflow_provider_tiktok.api.endpoints`. Nothing here does I/O.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow_provider_tiktok.api.endpoints import API_HOST
from airflow_provider_tiktok.exceptions import TikTokInputError, answer_error

WEB_HOST = "https://www.tiktok.com"
AUTHORIZE_PATH = "/v2/auth/authorize/"
#: Desktop apps may be led back to these only; everything else is a web app, which wants no PKCE.
LOOPBACK_NAMES = ("127.0.0.1", "localhost")
#: TikTok wants 43 to 128 characters; this many random bytes make 86.
_VERIFIER_BYTES = 64
_LONGEST_REDIRECT_URI = 511
_APART = re.compile(r"[,\s]+")


class TikTokRedirectError(TikTokInputError):
    """An address that is no answer to the login that waits: nothing was done with it."""


@dataclass(frozen=True)
class Consent:
    """
    What the redirect brought.

    :param code: to be traded for tokens, once; URL-decoded
    :param scopes: what the creator has really allowed; empty = not told
    """

    code: str = field(repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Authorization:
    """
    One question to a creator, and how its answer is recognised.

    :param client_key: of the app
    :param scopes: what is asked for
    :param redirect_uri: one that the app has registered; a loopback one makes it a desktop app's
    :param state: comes back unchanged, and tells this login's answer from a forged one
    :param code_verifier: kept here; only its hash travels. For desktop apps only
    """

    client_key: str
    scopes: tuple[str, ...]
    redirect_uri: str
    state: str = field(repr=False)
    code_verifier: str = field(default="", repr=False)

    def url(self, base_url: str = API_HOST) -> str:
        """
        Give the address to open in a browser.

        :param base_url: of the API; a sandbox has the page on the same host
        """
        host = WEB_HOST if base_url == API_HOST else base_url
        query = {
            "client_key": self.client_key,
            "response_type": "code",
            "scope": ",".join(self.scopes),
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            **self._challenge(),
        }
        return f"{host}{AUTHORIZE_PATH}?{urlencode(query)}"

    def _challenge(self) -> Mapping[str, str]:
        if not self.code_verifier:
            # documented for web only: always ask, so that the person sees whose account it is about
            return {"disable_auto_auth": "1"}
        return {"code_challenge": challenge_of(self.code_verifier), "code_challenge_method": "S256"}

    def consent(self, redirected: str) -> Consent:
        """
        Read the address that TikTok has led the browser to.

        :param redirected: the whole address, or its query
        :raises TikTokRedirectError: it is none, or answers another login
        :raises TikTokConsentError: the creator has not allowed the app (code ``access_denied``)
        :raises TikTokAnswerError: TikTok has another objection
        """
        fields = _fields(redirected)
        if not hmac.compare_digest(fields.get("state", "").encode(), self.state.encode()):
            raise TikTokRedirectError(
                "This address answers another login than the one that waits: open the address that was shown "
                "last, and take the one that it ends on."
            )
        if error := fields.get("error", ""):
            raise answer_error("authorize", error, detail=fields.get("error_description", ""))
        if not fields.get("code"):
            raise TikTokRedirectError("TikTok's answer brings no code: log in again.")
        return Consent(fields["code"], scopes_of(fields.get("scopes", "")))


def authorization(client_key: str, scopes: tuple[str, ...], redirect_uri: str) -> Authorization:
    """
    Make a new question, with a state and (for desktop apps) a code verifier of its own.

    :param client_key: of the app
    :param scopes: what is asked for
    :param redirect_uri: as registered; the same, to the letter, goes into the code exchange
    :raises TikTokInputError: TikTok would not register such a redirect URI
    """
    check_redirect_uri(redirect_uri)
    verifier = secrets.token_urlsafe(_VERIFIER_BYTES) if is_desktop(redirect_uri) else ""
    return Authorization(client_key, scopes, redirect_uri, secrets.token_urlsafe(32), verifier)


def challenge_of(verifier: str) -> str:
    """
    TikTok's S256: the lower-case hex digest, not base64url as in RFC 7636 (Login Kit for desktop).

    :param verifier: the code verifier
    """
    return hashlib.sha256(verifier.encode()).hexdigest()


def scopes_of(text: str) -> tuple[str, ...]:
    """
    Part a list of scopes, which TikTok parts by commas.

    :param text: spaces part as well, since people write them
    """
    return tuple(dict.fromkeys(filter(None, _APART.split(text))))


def is_desktop(redirect_uri: str) -> bool:
    """
    Tell whether it is the redirect URI of a desktop app.

    :param redirect_uri: which
    """
    return urlsplit(redirect_uri).hostname in LOOPBACK_NAMES


def check_redirect_uri(redirect_uri: str) -> None:
    """
    See that TikTok could have registered it (Login Kit for web, for desktop).

    :param redirect_uri: which
    :raises TikTokInputError: it could not; the message says why
    """
    try:
        parts, port = urlsplit(redirect_uri), urlsplit(redirect_uri).port
    except ValueError:
        raise TikTokInputError("The redirect URI is not an address.") from None
    desktop = parts.hostname in LOOPBACK_NAMES
    faults = {
        "must be https": parts.scheme != "https" and not (desktop and parts.scheme == "http"),
        "must name a host": not parts.hostname,
        "must name a port, since it leads to this machine": desktop and port is None,
        "must have no query and no fragment": "?" in redirect_uri or "#" in redirect_uri,
        "must be shorter than 512 characters": len(redirect_uri) > _LONGEST_REDIRECT_URI,
    }
    if found := [fault for fault, given in faults.items() if given]:
        raise TikTokInputError(f"The redirect URI {found[0]}, and be registered with the app to the letter.")


def _fields(redirected: str) -> dict[str, str]:
    """Take the query apart; what is there twice is not what TikTok sends."""
    text = redirected.strip().encode("utf-8", "replace").decode()  # a terminal may give what is no UTF-8
    try:
        query = parse_qs(urlsplit(text).query if "?" in text else text, max_num_fields=50)
    except ValueError:
        query = {}
    fields = {name: values[0] for name, values in query.items() if len(values) == 1}
    if not {"state", "code", "error"} & fields.keys():
        raise TikTokRedirectError(
            "This is not the address that TikTok leads back to: that holds ?code=...&state=..., and stands "
            "in the browser's address bar after Allow."
        )
    return fields
