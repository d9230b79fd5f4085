"""What tells jobs apart: their keys, and the hash of what they ask for."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Final

from attrs import asdict, evolve

from .inputs import Input, Job

__all__ = ["Names", "fingerprint"]


class Names:
    """Names jobs that have no key: after their input, and how many of that input there were before."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def named(self, item: Job | Input) -> Job:
        """Return a job with a key: its own, if it has one."""
        job = item if isinstance(item, Job) else Job(item)
        if job.key is not None:
            return job
        mark = fingerprint(job.input)[:12]
        self._seen[mark] += 1
        return evolve(job, key=f"{mark}-{self._seen[mark] - 1}")


def fingerprint(input: Input) -> str:
    """Return a hash of all fields of an input, the same on every machine.

    Signatures in addresses do not count: they change with every day, and the input is the same.
    """
    fields = {"kind": type(input).__name__} | asdict(input)
    for name in ("image", "last_image", "video"):
        if isinstance(fields.get(name), str):
            fields[name] = _unsigned(fields[name])
    fields["images"] = [_unsigned(address) for address in fields["images"]]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_SIGNING: Final = frozenset(
    {
        *("awsaccesskeyid", "auth_key", "expires", "googleaccessid", "key-pair-id", "ossaccesskeyid", "policy"),
        *("se", "security-token", "sig", "signature", "sip", "skoid", "sks", "skt", "ske", "sktid", "skv", "sp", "spr"),
        *("sr", "st", "sv", "token"),
    }
)
"""Parameters of signed addresses at S3, Google, Azure, Alibaba and CloudFront, beside those of `_SIGNING_PREFIXES`."""
_SIGNING_PREFIXES: Final = ("x-amz-", "x-goog-", "x-oss-", "x-cos-", "q-")


def _unsigned(address: str) -> str:
    before, mark, query = address.partition("?")
    if not mark or address.startswith("data:"):
        return address
    kept = [part for part in query.split("&") if not _signs(part.partition("=")[0].lower())]
    return before + ("?" + "&".join(kept) if kept else "")


def _signs(name: str) -> bool:
    return name in _SIGNING or name.startswith(_SIGNING_PREFIXES)
