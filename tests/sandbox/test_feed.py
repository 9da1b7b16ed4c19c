"""The feed page: everything posted is there, playable, and nothing that somebody wrote can run."""

from __future__ import annotations

import re

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, Host, one_chunk, picture, video

EVIL = """<script>alert(1)</script> "onload='x' &amp; <img src=x onerror=alert(2)> #tag @you.there"""


def page(sandbox: Sandbox, path: str = "/") -> str:
    answer = httpx.get(sandbox.url + path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


def test_an_empty_feed_says_what_to_do(sandbox: Sandbox) -> None:
    assert "Nothing posted yet" in page(sandbox)
    assert 'id="empty" class="empty">' in page(sandbox)


def test_a_post_is_shown_with_its_video(sandbox: Sandbox, alice: Caller) -> None:
    publish_id = alice.upload(video(), title="Hello #world", is_aigc=True)
    (post,) = sandbox.posts

    text = page(sandbox)

    assert f'<video controls playsinline preload="metadata" src="/media/{publish_id}/0">' in text
    assert "Hello <b>#world</b>" in text
    assert f"/@alice/video/{post.post_id}" in text
    assert "AI-generated" in text
    assert "everyone" in text
    assert publish_id in text


def test_whatever_somebody_writes_is_text(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    alice.upload(video(), title=EVIL)
    url = host.serve("/a", picture(), "image/jpeg")
    answer = alice.content_init([url], title="<i>title</i>", description=EVIL)
    alice.ended(answer.json()["data"]["publish_id"])

    for text in (page(sandbox), httpx.get(f"{sandbox.url}/feed/cards").text):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<i>title" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<b>#tag</b>" in text
        assert "<b>@you.there</b>" in text
    assert not re.search(r"<b>#x?\d+</b>;", page(sandbox)), "an escaped quote is no hashtag"


def test_a_creators_name_is_text_too(sandbox: Sandbox) -> None:
    sandbox.creator('"><script>alert(1)</script>')
    query = {
        "client_key": "sandbox-client-key",
        "response_type": "code",
        "scope": "video.publish",
        "redirect_uri": "https://app.example.com/a/",
        "state": '"><script>alert(2)</script>',
    }

    text = httpx.get(f"{sandbox.url}/v2/auth/authorize/", params=query).text

    assert "<script>alert" not in text


def test_a_lone_surrogate_breaks_nothing(sandbox: Sandbox, alice: Caller) -> None:
    body = b'{"post_info":{"privacy_level":"SELF_ONLY","title":"a\\ud83d"},"source_info":'
    source = b'{"source":"FILE_UPLOAD","video_size":5,"chunk_size":5,"total_chunk_count":1}}'
    headers = {
        "authorization": f"Bearer {alice.token['access_token']}",
        "content-type": "application/json",
    }
    answer = httpx.post(f"{sandbox.url}/v2/post/publish/video/init/", content=body + source, headers=headers)

    assert answer.status_code == 200
    assert "a?" in page(sandbox)


def test_drafts_failures_and_what_is_under_way(sandbox: Sandbox, alice: Caller) -> None:
    draft = alice.inbox_init(one_chunk(2000)).json()["data"]
    alice.put(draft["upload_url"], video(), 0, 2000)
    sandbox.fault("video_init", action="fail", fail_reason="spam_risk_text")
    alice.upload(video())
    assert '<meta http-equiv="refresh"' not in page(sandbox)
    alice.video_init(one_chunk(2000))

    text = page(sandbox)

    assert "Draft in inbox" in text
    assert "<code>spam_risk_text</code> the caption looks like spam" in text
    assert "Uploading" in text
    assert '<meta http-equiv="refresh"' in text
    assert httpx.get(f"{sandbox.url}/feed/cards").json()["busy"] is True


def test_newest_first_and_by_creator(sandbox: Sandbox, alice: Caller) -> None:
    first, second = alice.upload(video()), alice.upload(video())

    cards = [each["id"] for each in httpx.get(f"{sandbox.url}/feed/cards").json()["cards"]]
    assert cards == [f"p{each.rsplit('.', 1)[1]}" for each in (second, first)]
    sandbox.creator("bob")
    assert first not in page(sandbox, "/@bob")
    assert first in page(sandbox, "/@alice")
    assert httpx.get(f"{sandbox.url}/@nobody").status_code == 404


def test_a_post_has_a_page(sandbox: Sandbox, alice: Caller) -> None:
    alice.upload(video(), title="one")
    (post,) = sandbox.posts

    assert "one" in page(sandbox, f"/@alice/video/{post.post_id}")
    assert httpx.get(f"{sandbox.url}/@alice/video/1").status_code == 404
    assert httpx.get(f"{sandbox.url}/@alice/photo/{post.post_id}").status_code == 404


def test_media_can_be_sought_in(sandbox: Sandbox, alice: Caller) -> None:
    data = video()
    url = f"{sandbox.url}/media/{alice.upload(data)}/0"

    part = httpx.get(url, headers={"range": "bytes=100-199"})

    assert (part.status_code, part.content) == (206, data[100:200])
    assert part.headers["content-range"] == "bytes 100-199/2000"
    assert httpx.get(url).headers["content-type"] == "video/mp4"
    assert httpx.head(url).headers["content-length"] == "2000"
    assert httpx.get(f"{url}1").status_code == 404


def test_uploaded_html_never_runs_on_this_origin(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.media_check = "off"
    publish_id = alice.upload(b"<script>alert(1)</script>")

    headers = httpx.get(f"{sandbox.url}/media/{publish_id}/0").headers

    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "..%2fsecret", "link", "sub", "none"])
def test_the_public_folder_shows_nothing_beside_it(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "secret").write_text("x")
    (root / "public" / "sub").mkdir(parents=True)
    (root / "public" / "link").symlink_to(root / "secret")
    sandbox.knobs.update({"public_dir": root / "public"})

    assert httpx.get(f"{sandbox.url}/public/{path}").status_code == 404


def test_the_avatar_is_a_picture(sandbox: Sandbox) -> None:
    assert httpx.get(f"{sandbox.url}/avatar/alice.svg").headers["content-type"].startswith("image/svg+xml")
