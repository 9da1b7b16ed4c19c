"""S3: ranges, versions, and what each refusal tells, against a real S3 protocol server (moto) on loopback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media import aws, readable
from airflow_provider_tiktok.media.aws import AwsLogin
from airflow_provider_tiktok.media.s3 import S3Object
from airflow_provider_tiktok.media.source import MediaAccess, open_source

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

DATA = bytes(range(256)) * 400
SECRETS = ("AKIAVERYSECRETKEY", "verysecretsecret", "verysecrettoken")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def login(endpoint: str) -> AwsLogin:
    return AwsLogin(*SECRETS, endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture(scope="module")
def store(login: AwsLogin):
    client = login.client()
    client.create_bucket(Bucket="videos")
    client.put_object(Bucket="videos", Key="clip.mp4", Body=DATA)
    return client


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "_FIRST_PAUSE", 0.0)


def test_any_range_is_exact(store, login: AwsLogin) -> None:
    @settings(deadline=None, max_examples=50)
    @given(data=st.data())
    def exact(data) -> None:
        start = data.draw(st.integers(0, len(DATA)))
        length = data.draw(st.integers(0, len(DATA) - start))
        assert source.read(start, length) == DATA[start : start + length]

    with S3Object("videos", "clip.mp4", login) as source:
        assert source.size == len(DATA)
        exact()


@pytest.mark.parametrize(
    "key", ["a b/ü 😀.mp4", "100%25.mp4", "what?x=1&y#z.mp4", "a+b.mp4", "//double//.mp4", "%2e%2e/x.mp4"]
)
def test_a_key_is_taken_exactly_as_it_is_stored(
    store, endpoint: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the Connection's fields reach boto3, while what else its extra holds does not."""
    store.put_object(Bucket="videos", Key=key, Body=key.encode())
    _connection(monkeypatch, endpoint)
    with open_source(f"s3://videos/{key}", MediaAccess(media_conn_id="media")) as source:
        assert source.read(0, source.size) == key.encode()
        assert source.name == f"s3://videos/{key}"


def _connection(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    extra = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_session_token": SECRETS[2],
        "verify": "no",
    }
    connection = SimpleNamespace(login=SECRETS[0], password=SECRETS[1], extra_dejson=extra)
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: connection)


def test_without_a_connection_the_workers_own_credentials_are_used(
    store, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with open_source("s3://videos/clip.mp4", MediaAccess()) as source:
        assert source.size == len(DATA)


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    aws._session.cache_clear()  # it has found some before
    with pytest.raises(TikTokMediaError, match=r"NoCredentialsError.*media_conn_id"):
        open_source("s3://videos/clip.mp4", MediaAccess())
    aws._session.cache_clear()


@pytest.mark.parametrize("uri", ["s3://videos/none.mp4", "s3://no-such-bucket/clip.mp4"])
def test_what_is_not_there(store, endpoint: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _connection(monkeypatch, endpoint)
    with pytest.raises(TikTokMediaError, match="does not exist") as caught:
        open_source(uri, MediaAccess(media_conn_id="media"))
    assert uri in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://videos", "s3://videos/", "s3:///clip.mp4", "s3://videos/folder/"])
def test_what_names_no_object(uri: str) -> None:
    with pytest.raises(TikTokMediaError, match="names no object"):
        open_source(uri, MediaAccess())


def test_a_bucket_name_that_cannot_be_one(login: AwsLogin) -> None:
    with pytest.raises(TikTokMediaError, match="ParamValidationError"):
        S3Object("not a bucket", "x", login)


@pytest.mark.parametrize("url", ["nonsense", "ftp//x"])
def test_an_endpoint_that_is_no_url(url: str) -> None:
    with pytest.raises(TikTokMediaError, match="endpoint_url is not a URL"):
        S3Object("videos", "x", AwsLogin("a", "b", endpoint_url=url))


def test_an_object_that_was_overwritten_is_noticed(store, login: AwsLogin) -> None:
    store.put_object(Bucket="videos", Key="moving.mp4", Body=b"one" * 100)
    with S3Object("videos", "moving.mp4", login) as source:
        assert source.read(0, 3) == b"one"
        store.put_object(Bucket="videos", Key="moving.mp4", Body=b"two" * 100)
        with pytest.raises(TikTokMediaReadError, match="changed while"):
            source.read(3, 3)


class _Body:
    """An answer's body that breaks off, or does not."""

    def __init__(self, data: bytes | Exception) -> None:
        self.data = data

    def read(self) -> bytes:
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _answers(monkeypatch: pytest.MonkeyPatch, source: S3Object, *answers: dict | Exception) -> list[dict]:
    asked: list[dict] = []

    def get_object(**arguments):
        asked.append(arguments)
        answer = answers[len(asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(source._client, "get_object", get_object)
    return asked


def test_an_answer_that_breaks_off_is_asked_for_again(
    store, login: AwsLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with S3Object("videos", "clip.mp4", login) as source:
        asked = _answers(
            monkeypatch,
            source,
            {"ContentLength": 4, "Body": _Body(OSError("http://x?X-Amz-Signature=verysecret"))},
            {"ContentLength": 4, "Body": _Body(b"12")},
            {"ContentLength": 4, "Body": _Body(b"1234")},
        )
        assert source.read(8, 4) == b"1234"
        assert {each["Range"] for each in asked} == {"bytes=8-11"}


def test_and_in_the_end_given_up(store, login: AwsLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Object("videos", "clip.mp4", login) as source:
        broken = {"ContentLength": 4, "Body": _Body(OSError("X-Amz-Signature=verysecret"))}
        _answers(monkeypatch, source, broken, broken, broken)
        with pytest.raises(TikTokMediaReadError, match="broke off") as caught:
            source.read(8, 4)
    assert "verysecret" not in "".join(traceback.format_exception(caught.value))


def test_a_store_that_ignores_ranges_is_not_read(
    store, login: AwsLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with S3Object("videos", "clip.mp4", login) as source:
        whole = {"ContentLength": 4_000_000_000, "Body": _Body(AssertionError("it was read"))}
        _answers(monkeypatch, source, whole)
        with pytest.raises(TikTokMediaReadError, match="does not answer ranges"):
            source.read(0, 4)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", TikTokMediaError),
        (403, "RequestTimeTooSkewed", TikTokMediaError),
        (404, "NoSuchKey", TikTokMediaError),
        (400, "ExpiredToken", TikTokMediaError),
        (400, "RequestTimeout", TikTokMediaReadError),
        (400, "ThrottlingException", TikTokMediaReadError),
        (403, "RequestThrottled", TikTokMediaReadError),
        (301, "PermanentRedirect", TikTokMediaError),
        (412, "PreconditionFailed", TikTokMediaReadError),
        (429, "TooManyRequests", TikTokMediaReadError),
        (500, "InternalError", TikTokMediaReadError),
        (503, "SlowDown", TikTokMediaReadError),
    ],
)
def test_what_each_answer_means(
    *,
    store,
    login: AwsLogin,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    error: type[Exception],
) -> None:
    """Whether a retry of the task helps depends on it. And AWS's own text, which can name keys, stays out."""
    from botocore.exceptions import ClientError

    answer = {
        "Error": {"Code": code, "Message": f"key {SECRETS[0]}", "AWSAccessKeyId": SECRETS[0]},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with S3Object("videos", "clip.mp4", login) as source:
        _answers(monkeypatch, source, ClientError(answer, "GetObject"))
        with pytest.raises((TikTokMediaError, TikTokMediaReadError)) as caught:
            source.read(0, 4)
    assert type(caught.value) is error
    assert "s3://videos/clip.mp4" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(login)
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_store_that_is_down_is_worth_a_retry() -> None:
    login = AwsLogin(*SECRETS, endpoint_url="http://127.0.0.1:9", region_name="us-east-1")
    with pytest.raises(TikTokMediaReadError, match="EndpointConnectionError") as caught:
        S3Object("videos", "clip.mp4", login)
    assert not [secret for secret in SECRETS if secret in "".join(traceback.format_exception(caught.value))]
