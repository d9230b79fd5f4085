"""The caller's own id of a submission."""

from __future__ import annotations

from attrs import frozen

__all__ = ["ClientId"]


@frozen(kw_only=True)
class ClientId:
    """The caller's own id of a submission, by which the provider can find one whose answer is lost.

    It is looked up at the same origin with the same key only: another account could not see the submission.

    Attributes:
        value: a fresh UUID for each time that a submission is sent, never made from the job's key.
        origin: the origin that the submission was sent to.
        key_hash: a hash of the API key.
    """

    value: str
    origin: str
    key_hash: str

    def is_of(self, origin: str, key_hash: str) -> bool:
        """Return whether it was sent to this origin with this key."""
        return (self.origin, self.key_hash) == (origin, key_hash)
