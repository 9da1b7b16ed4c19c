"""A bucket as a team has one: private, but for what a CDN, or here a policy, shows of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_tiktok.media.aws import AwsLogin
from airflow_provider_tiktok.media.bucket import Bucket as StoreBucket

KEYS = ("AKIAOFTHEBUCKETONLY", "secret-of-the-bucket-only", "")


@dataclass
class Bucket:
    """
    A bucket of a local store.

    :param name: of the bucket
    :param endpoint: of the store
    """

    name: str
    endpoint: str

    @property
    def login(self) -> AwsLogin:
        return AwsLogin(*KEYS, endpoint_url=self.endpoint, region_name="us-east-1")

    @cached_property
    def client(self) -> Any:
        return self.login.client()

    def opened(self) -> StoreBucket:
        """As the provider opens it."""
        return StoreBucket(self.name, self.login)

    @property
    def url(self) -> str:
        """Where its objects are seen."""
        return f"{self.endpoint}/{self.name}/"

    def listed(self, prefix: str = "") -> list[str]:
        answer = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [each["Key"] for each in answer.get("Contents", ())]

    def connection(self) -> dict[str, Any]:
        """The ``aws`` Connection that reaches it."""
        extra = {"endpoint_url": self.endpoint, "region_name": "us-east-1"}
        return {"conn_type": "aws", "login": KEYS[0], "password": KEYS[1], "extra": extra}

    def make(self) -> None:
        client = self.client
        client.create_bucket(Bucket=self.name)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{self.name}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))

    def empty(self) -> None:
        client = self.client
        for key in self.listed():
            client.delete_object(Bucket=self.name, Key=key)
        for each in client.list_multipart_uploads(Bucket=self.name).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=self.name, Key=each["Key"], UploadId=each["UploadId"])
