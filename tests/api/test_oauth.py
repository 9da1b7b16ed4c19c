"""The authorize address, PKCE as TikTok wants it, and what the redirect brings."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from airflow_provider_tiktok.api import oauth
from airflow_provider_tiktok.api.oauth import Authorization, TikTokRedirectError, authorization
from airflow_provider_tiktok.exceptions import (
    TikTokAppError,
    TikTokConsentError,
    TikTokInputError,
    TikTokServerError,
)

DESKTOP = "http://127.0.0.1:4711/callback/"
WEB = "https://airflow.example.com/tiktok/"
SCOPES = ("user.info.basic", "video.publish")


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def answer(question: Authorization, **fields: str) -> str:
    return f"{question.redirect_uri}?{urlencode({'state': question.state, **fields})}"


class TestAddress:
    def test_of_a_desktop_app(self) -> None:
        question = authorization("key", SCOPES, DESKTOP)
        url = question.url()
        assert url.startswith("https://www.tiktok.com/v2/auth/authorize/?")
        assert query_of(url) == {
            "client_key": "key",
            "response_type": "code",
            "scope": "user.info.basic,video.publish",
            "redirect_uri": DESKTOP,
            "state": question.state,
            "code_challenge": oauth.challenge_of(question.code_verifier),
            "code_challenge_method": "S256",
        }

    def test_of_a_web_app_has_no_pkce_and_always_asks(self) -> None:
        question = authorization("key", SCOPES, WEB)
        query = query_of(question.url())
        assert question.code_verifier == ""
        assert query["disable_auto_auth"] == "1"
        assert not {"code_challenge", "code_challenge_method"} & query.keys()

    def test_of_a_sandbox_is_on_its_own_host(self) -> None:
        url = authorization("key", SCOPES, DESKTOP).url("http://127.0.0.1:8765")
        assert url.startswith("http://127.0.0.1:8765/v2/auth/authorize/?")

    def test_does_not_tell_the_verifier(self) -> None:
        question = authorization("key", SCOPES, DESKTOP)
        assert question.code_verifier not in question.url()
        assert question.code_verifier not in repr(question)
        assert question.state not in repr(question)


class TestPkce:
    def test_the_challenge_is_hex(self) -> None:
        """Not base64url as in RFC 7636: TikTok's token endpoint refuses that for desktop apps."""
        expected = "66d34fba71f8f450f7e45598853e53bfc23bbd129027cbb131a2f4ffd7878cd0"
        assert oauth.challenge_of("a" * 43) == expected

    def test_the_verifier_is_of_the_allowed_shape(self) -> None:
        for _ in range(50):
            assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", authorization("k", SCOPES, DESKTOP).code_verifier)

    def test_nothing_is_used_twice(self) -> None:
        questions = [authorization("k", SCOPES, DESKTOP) for _ in range(20)]
        assert len({each.state for each in questions}) == 20
        assert len({each.code_verifier for each in questions}) == 20


class TestAnswer:
    question = authorization("key", SCOPES, DESKTOP)

    def test_the_code_is_decoded(self) -> None:
        code = "abc*0!6410.u1"
        text = f"{DESKTOP}?code={quote(code, safe='')}&scopes=video.publish&state={self.question.state}"
        assert "%2A0%216410" in text
        consent = self.question.consent(text)
        assert consent.code == code
        assert consent.scopes == ("video.publish",)
        assert code not in repr(consent)

    @pytest.mark.parametrize("around", ["{}", "  {}\n", "{}#_=_"])
    def test_may_be_pasted_with_what_surrounds_it(self, around: str) -> None:
        text = around.format(answer(self.question, code="c", scopes="a,b"))
        assert self.question.consent(text).scopes == ("a", "b")

    def test_may_be_the_query_alone(self) -> None:
        assert self.question.consent(f"code=c&state={self.question.state}").code == "c"

    @pytest.mark.parametrize("state", ["", "x", "é"])
    def test_of_another_login_is_refused(self, state: str) -> None:
        with pytest.raises(TikTokRedirectError, match="another login"):
            self.question.consent(f"{DESKTOP}?{urlencode({'code': 'c', 'state': state})}")

    def test_with_a_parameter_twice_is_refused(self) -> None:
        text = answer(self.question, code="c") + "&state=other"
        with pytest.raises(TikTokRedirectError):
            self.question.consent(text)

    @pytest.mark.parametrize(
        "text", ["", "hello", "https://www.tiktok.com/", DESKTOP, "http://[bad?code", "?" + "&a=1" * 100]
    )
    def test_that_is_none_says_where_to_find_it(self, text: str) -> None:
        with pytest.raises(TikTokRedirectError, match="address bar"):
            self.question.consent(text)

    def test_without_a_code(self) -> None:
        with pytest.raises(TikTokRedirectError, match="no code"):
            self.question.consent(answer(self.question, scopes="a"))

    def test_an_error_of_another_login_is_none_of_this_one(self) -> None:
        with pytest.raises(TikTokRedirectError):
            self.question.consent(f"{DESKTOP}?error=access_denied&state=x")

    @pytest.mark.parametrize(
        ("error", "raised"),
        [
            ("access_denied", TikTokConsentError),
            ("invalid_scope", TikTokAppError),
            ("unauthorized_client", TikTokAppError),
            ("server_error", TikTokServerError),
        ],
    )
    def test_that_is_an_error_is_raised_as_what_it_means(self, error: str, raised: type[Exception]) -> None:
        with pytest.raises(raised, match=error) as caught:
            self.question.consent(answer(self.question, error=error, error_description="why not"))
        assert "why not" in str(caught.value)
        assert self.question.state not in str(caught.value)


@pytest.mark.parametrize(
    ("redirect_uri", "fault"),
    [
        ("http://airflow.example.com/", "https"),
        ("ftp://127.0.0.1:1/", "https"),
        ("https:///callback/", "host"),
        ("http://127.0.0.1/callback/", "port"),
        ("https://a.example/?x=1", "query"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/" + "a" * 500, "512"),
        ("http://127.0.0.1:x/", "no address|not an address"),
        ("", "https"),
    ],
)
def test_a_redirect_uri_that_could_not_be_registered(redirect_uri: str, fault: str) -> None:
    with pytest.raises(TikTokInputError, match=fault):
        authorization("key", SCOPES, redirect_uri)


@pytest.mark.parametrize("redirect_uri", [DESKTOP, WEB, "http://localhost:8080/x", "https://127.0.0.1:1/"])
def test_one_that_could_be(redirect_uri: str) -> None:
    authorization("key", SCOPES, redirect_uri)


@pytest.mark.parametrize("text", ["a,b", "a, b", " a b ", "a,,b,a"])
def test_scopes_are_parted_by_whatever_people_write(text: str) -> None:
    assert oauth.scopes_of(text) == ("a", "b")
