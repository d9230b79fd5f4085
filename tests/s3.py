"""A bucket over HTTP on this machine, for tests: what is in it, what goes wrong with it, and what was asked of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
from attrs import frozen

__all__ = ["PATIENCE", "SECRET", "Bucket", "S3Process"]

SERVER = Path(__file__).with_name("s3_server.py")
KEY_ID, SECRET = "AKIACANARY5B1D", "s3-canary-9f31c07d"
PATIENCE: Final = 60.0
"""Seconds for an answer: the server loads what it needs upon the first request, and the machine has more to do."""


@frozen
class Bucket:
    """A bucket.

    Attributes:
        origin: that of its server.
        name: its name.
    """

    origin: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/runs/one"

    @property
    def environ(self) -> dict[str, str]:
        """What the environment holds of it."""
        return {
            "AWS_ENDPOINT_URL": self.origin,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def faults(self, *faults: dict[str, Any]) -> None:
        """Let these go wrong from now on, and nothing else; forget what was asked."""
        httpx.put(f"{self.origin}/-/faults", json=list(faults), timeout=PATIENCE).raise_for_status()

    def log(self) -> list[tuple[str, str, str]]:
        """Return the method, the target and the status of each request since the last time."""
        return [tuple(one) for one in httpx.get(f"{self.origin}/-/log", timeout=PATIENCE).json()]

    def objects(self, below: str = "runs/one/") -> dict[str, bytes]:
        """Return the bytes of each object by its name."""
        listed = self._boto().list_objects_v2(Bucket=self.name, Prefix=below).get("Contents", [])
        return {one["Key"].removeprefix(below): self._body(one["Key"]) for one in listed}

    def _body(self, key: str) -> bytes:
        with self._boto().get_object(Bucket=self.name, Key=key)["Body"] as body:
            content: bytes = body.read()
        return content

    def type_of(self, name: str) -> str:
        """Return the type of an object."""
        return str(self._boto().head_object(Bucket=self.name, Key=f"runs/one/{name}")["ContentType"])

    def put(self, name: str, content: bytes) -> None:
        """Put an object there, as somebody else does."""
        self._boto().put_object(Bucket=self.name, Key=f"runs/one/{name}", Body=content)

    def uploads(self) -> list[str]:
        """Return the names of the multipart uploads that were begun and not ended."""
        found = self._boto().list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [one["Key"].removeprefix("runs/one/") for one in found]

    def _boto(self) -> Any:
        return _client_of(self.origin)


@cache
def _client_of(origin: str) -> Any:
    import boto3  # noqa: PLC0415 - it takes half a second
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=origin,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


class S3Process:
    """The process that has the buckets."""

    def __init__(self, process: subprocess.Popen[str], origin: str) -> None:
        self._process = process
        self.origin = origin
        self._buckets = 0

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[S3Process]:
        """Start it, and end it behind the tests."""
        command = [sys.executable, str(SERVER)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield cls(process, f"http://127.0.0.1:{int(process.stdout.readline())}")
            finally:
                process.kill()

    def bucket(self) -> Bucket:
        """Make a new bucket."""
        self._buckets += 1
        made = Bucket(self.origin, f"bucket-{self._buckets}")
        made.faults()
        httpx.put(f"{self.origin}/{made.name}", timeout=PATIENCE).raise_for_status()
        made.log()
        return made
