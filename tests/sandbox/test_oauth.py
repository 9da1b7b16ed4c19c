"""OAuth: strict rotation, codes good once, PKCE in hex, the authorize page, and flat errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from airflow_provider_tiktok.sandbox.oauth import challenge_of, redirect_uri_fault
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, code, one_chunk

REDIRECT = "http://127.0.0.1:5555/callback/"
VERIFIER = "a" * 43
#: The test vector of the fact sheet: hex, not base64url.
CHALLENGE = "66d34fba71f8f450f7e45598853e53bfc23bbd129027cbb131a2f4ffd7878cd0"


def authorize(sandbox: Sandbox, **changes: str | None) -> httpx.Response:
    query = {
        "client_key": "sandbox-client-key",
        "response_type": "code",
        "scope": "user.info.basic,video.publish",
        "redirect_uri": REDIRECT,
        "state": "s&1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return httpx.get(
        f"{sandbox.url}/v2/auth/authorize/", params={n: v for n, v in query.items() if v is not None}
    )


def decide(page: httpx.Response, *, allow: bool = True, **changes: str | list[str]) -> dict[str, str]:
    """Fill in the page's form as a browser does; gives the query of the redirect."""
    fields: dict[str, str | list[str]] = {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    }
    fields["granted"] = re.findall(r'name="granted" value="([^"]+)" checked', page.text)
    fields["creator"] = "creator2"
    fields["decision"] = "allow" if allow else "deny"
    answer = httpx.post(str(page.url).split("?")[0], data={**fields, **changes})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{fields['redirect_uri']}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def exchange(
    alice: Caller, code_: str, verifier: str = VERIFIER, redirect_uri: str = REDIRECT
) -> httpx.Response:
    fields = {"code": code_, "redirect_uri": redirect_uri, "code_verifier": verifier}
    return alice.form("token", grant_type="authorization_code", **fields)


def test_the_whole_way_to_a_grant(sandbox: Sandbox, alice: Caller) -> None:
    back = decide(authorize(sandbox))
    assert back["state"] == "s&1"
    assert back["scopes"] == "user.info.basic,video.publish"
    assert {"*", "!"} <= set(back["code"]), "codes hold characters that must be decoded first"

    answer = exchange(alice, back["code"]).json()

    assert answer["access_token"].startswith("act.")
    assert answer["refresh_token"].startswith("rft.")
    assert (answer["expires_in"], answer["refresh_expires_in"]) == (7200, 180 * 86400)
    assert (answer["scope"], answer["token_type"]) == (back["scopes"], "Bearer")
    assert answer["open_id"] == sandbox.creator("creator2").open_id


def test_a_creator_may_grant_less_than_was_asked(sandbox: Sandbox, alice: Caller) -> None:
    back = decide(authorize(sandbox), granted=["user.info.basic"])

    assert back["scopes"] == exchange(alice, back["code"]).json()["scope"] == "user.info.basic"


def test_a_creator_cannot_be_made_to_grant_more(sandbox: Sandbox) -> None:
    assert (
        decide(authorize(sandbox), granted=["user.info.basic", "video.list"])["scopes"] == "user.info.basic"
    )


def test_deny_goes_back_with_an_error(sandbox: Sandbox) -> None:
    assert decide(authorize(sandbox), allow=False) == {
        "error": "access_denied",
        "error_description": "The user denied the request",
        "state": "s&1",
    }


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"client_key": "other"}, "client_key"),
        ({"code_challenge": None}, "code_challenge"),
        ({"code_challenge_method": None}, "code_challenge_method"),
        ({"state": None}, "state"),
        ({"scope": None}, "scope"),
        ({"redirect_uri": "http://127.0.0.1/callback/"}, "redirect_uri"),
        ({"redirect_uri": "http://example.com/callback/"}, "redirect_uri"),
    ],
)
def test_what_no_redirect_may_answer_is_shown_on_the_page(
    sandbox: Sandbox, changes: dict[str, str | None], shown: str
) -> None:
    answer = authorize(sandbox, **changes)

    assert answer.status_code == 400
    assert f"<code>{shown}" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "user.info.basic video.publish"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_other_mistakes_go_back_to_the_app(sandbox: Sandbox, changes: dict[str, str], error: str) -> None:
    answer = authorize(sandbox, **changes)

    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_a_web_app_needs_no_pkce(sandbox: Sandbox, alice: Caller) -> None:
    web = "https://app.example.com/callback/"
    page = authorize(sandbox, redirect_uri=web, code_challenge=None, code_challenge_method=None)

    assert "access_token" in exchange(alice, decide(page)["code"], "", web).json()


def test_only_registered_redirect_uris_where_some_are_registered(sandbox: Sandbox) -> None:
    sandbox.knobs.redirect_uris = ("https://app.example.com/callback/",)

    assert "it is not registered" in authorize(sandbox).text


@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        ("http://127.0.0.1:8080/", True),
        ("https://localhost:8080/a/", True),
        ("http://localhost/a/", False),
        ("https://app.example.com/a/", True),
        ("https://app.example.com/a/?b=c", False),
        ("https://app.example.com/a/#b", False),
        ("https://93.184.216.34/a/", False),
        ("ftp://127.0.0.1:80/", False),
        ("https://app.example.com/" + "a" * 500, False),
        ("http://[::1]:80/", False),
        ("", False),
    ],
)
def test_redirect_uris_that_tiktok_registers(uri: str, fine: bool) -> None:
    assert (redirect_uri_fault(uri) == "") is fine


def test_the_challenge_is_hex() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE


def test_a_base64url_challenge_fails_at_the_token_endpoint(sandbox: Sandbox, alice: Caller) -> None:
    """What every generic OAuth library sends: RFC 7636's form of the same digest."""
    back = decide(authorize(sandbox, code_challenge="ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA"))

    answer = exchange(alice, back["code"]).json()

    assert answer["error"] == "invalid_request"
    assert "challenge" in answer["error_description"]


def test_a_code_is_good_once(sandbox: Sandbox, alice: Caller) -> None:
    back = decide(authorize(sandbox))
    assert "access_token" in exchange(alice, back["code"]).json()

    assert exchange(alice, back["code"]).json()["error"] == "invalid_grant"


def test_a_code_dies_soon(sandbox: Sandbox, alice: Caller) -> None:
    back = decide(authorize(sandbox))
    sandbox.clock.advance(301)

    assert exchange(alice, back["code"]).json()["error"] == "invalid_grant"


def test_the_redirect_uri_must_be_the_same(sandbox: Sandbox, alice: Caller) -> None:
    back = decide(authorize(sandbox))

    answer = exchange(alice, back["code"], redirect_uri=REDIRECT.rstrip("/")).json()

    assert answer["error"] == "invalid_request"


def test_a_refresh_kills_the_refresh_token_before_it(sandbox: Sandbox, alice: Caller) -> None:
    second = alice.refresh(alice.token["refresh_token"])
    assert second["refresh_token"] != alice.token["refresh_token"]
    assert second["access_token"] != alice.token["access_token"]
    assert code(alice.creator_info()) == (200, "ok"), "the access token before it lives to its own end"

    assert alice.refresh(second["refresh_token"])["token_type"] == "Bearer"
    assert sandbox.reuses == 0


def test_reuse_burns_the_whole_grant(sandbox: Sandbox, alice: Caller) -> None:
    second = alice.refresh(alice.token["refresh_token"])

    reused = alice.refresh(alice.token["refresh_token"])

    assert set(reused) == {"error", "error_description", "log_id"}
    assert reused["error"] == "invalid_grant"
    assert sandbox.reuses == 1
    assert alice.refresh(second["refresh_token"])["error"] == "invalid_grant"
    assert code(alice.creator_info()) == (401, "access_token_invalid")


def test_reuse_may_be_refused_only(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.burn_on_reuse = False
    second = alice.refresh(alice.token["refresh_token"])
    assert alice.refresh(alice.token["refresh_token"])["error"] == "invalid_grant"

    assert "access_token" in alice.refresh(second["refresh_token"])


def test_a_lost_answer_has_rotated_all_the_same(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("token", action="drop", when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        alice.refresh(alice.token["refresh_token"])

    assert alice.refresh(alice.token["refresh_token"])["error"] == "invalid_grant"
    assert sandbox.reuses == 1


def test_a_request_dropped_before_has_rotated_nothing(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("token", action="drop", when="before")
    with pytest.raises(httpx.RemoteProtocolError):
        alice.refresh(alice.token["refresh_token"])

    assert "access_token" in alice.refresh(alice.token["refresh_token"])


def test_tokens_end(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.clock.advance(7201)
    assert code(alice.creator_info()) == (401, "access_token_invalid")
    sandbox.clock.advance(180 * 86400)
    assert alice.refresh(alice.token["refresh_token"])["error"] == "invalid_grant"


def test_lifetimes_follow_the_time_scale(sandbox: Sandbox, caller: Callable[..., Caller]) -> None:
    sandbox.knobs.time_scale = 3600

    token = caller("alice").token

    assert (token["expires_in"], token["refresh_expires_in"]) == (2, 4320)


def test_a_grant_may_begin_near_its_end(caller: Callable[..., Caller]) -> None:
    alice = caller("alice", expires_in=0)

    assert code(alice.creator_info()) == (401, "access_token_invalid")
    assert alice.refresh(alice.token["refresh_token"])["expires_in"] == 7200


def test_the_refresh_tokens_life_may_not_restart(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.refresh_restarts = False
    sandbox.clock.advance(1000)

    assert alice.refresh(alice.token["refresh_token"])["refresh_expires_in"] <= 180 * 86400 - 1000


def test_a_refresh_may_kill_the_access_token(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.refresh_kills_access_token = True
    alice.refresh(alice.token["refresh_token"])

    assert code(alice.creator_info()) == (401, "access_token_invalid")


def test_revoke_ends_the_grant_and_what_is_under_way(sandbox: Sandbox, alice: Caller) -> None:
    alice.video_init(one_chunk(2000))

    answer = alice.form("revoke", token=alice.token["access_token"])

    assert (answer.status_code, answer.json()) == (200, {})
    assert code(alice.creator_info()) == (401, "access_token_invalid")
    assert alice.refresh(alice.token["refresh_token"])["error"] == "invalid_grant"
    assert [each.fail_reason for each in sandbox.publishes] == ["auth_removed"]
    assert alice.form("revoke", token=alice.token["access_token"]).json()["error"] == "invalid_grant"


def test_a_client_token_posts_nothing(alice: Caller) -> None:
    token = alice.form("token", grant_type="client_credentials").json()
    assert token["access_token"].startswith("clt.")
    alice.token = token

    assert code(alice.creator_info()) == (401, "access_token_invalid")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "rft.x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "refresh_token", "client_key": "wrong"}, "invalid_client"),
        ({}, "invalid_request"),
    ],
)
def test_errors_are_flat_and_come_with_200(alice: Caller, fields: dict[str, str], error: str) -> None:
    answer = alice.form("token", **fields)

    assert answer.status_code == 200
    assert set(answer.json()) == {"error", "error_description", "log_id"}
    assert answer.json()["error"] == error


@pytest.mark.parametrize("status", [400, 401])
def test_errors_may_have_a_status(sandbox: Sandbox, alice: Caller, status: int) -> None:
    sandbox.knobs.oauth_error_status = status

    assert alice.form("token", grant_type="password").status_code == status


def test_oauth_takes_forms_only_and_no_secret_in_the_url(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/v2/oauth/token/?client_secret=x"

    assert httpx.post(url, json={"grant_type": "client_credentials"}).json()["error"] == "invalid_request"
    assert sandbox.violations == ["token: client secret in the URL"]


def test_the_same_form_from_another_site_is_refused(sandbox: Sandbox) -> None:
    answer = httpx.post(
        f"{sandbox.url}/v2/auth/authorize/",
        data={"decision": "allow"},
        headers={"origin": "https://evil.example"},
    )

    assert answer.status_code == 400
