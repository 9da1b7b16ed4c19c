"""A local bucket whose objects anybody can read, as behind a CDN: moto's server, for the demo."""

from __future__ import annotations

import json
import logging
from typing import Any, Self

NAME = "tiktok-demo"
#: Any will do: moto takes them all.
_KEYS = ("demo-access-key", "demo-secret-key")


class DemoBucket:
    """A bucket on a free loopback port, in memory; a context manager."""

    def __enter__(self) -> Self:
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self._client: Any = boto3.session.Session(*_KEYS).client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1"
        )
        self._client.create_bucket(Bucket=NAME)
        resource = f"arn:aws:s3:::{NAME}/*"
        readable = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [readable]}
        self._client.put_bucket_policy(Bucket=NAME, Policy=json.dumps(policy))
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()
        self._server.stop()

    def connection(self) -> dict[str, Any]:
        """Give the ``aws`` Connection that reaches it."""
        extra = {"endpoint_url": self.endpoint, "region_name": "us-east-1"}
        return {"conn_type": "aws", "login": _KEYS[0], "password": _KEYS[1], "extra": extra}

    def extras(self, media_conn_id: str) -> dict[str, Any]:
        """
        Give the extras of a TikTok Connection that puts its media here.

        :param media_conn_id: the ``aws`` Connection
        """
        return {
            "media_bucket": NAME,
            "media_prefix": "tiktok/",
            "media_public_base_url": f"{self.endpoint}/{NAME}/",
            "media_conn_id": media_conn_id,
        }

    def keys(self) -> list[str]:
        """List what lies in it."""
        return [each["Key"] for each in self._client.list_objects_v2(Bucket=NAME).get("Contents", ())]
