"""The queue of an account, and a job's place in it."""

from __future__ import annotations

from attrs import frozen

from .limits import SpeedLimit

__all__ = ["QueueStatus"]


@frozen(kw_only=True)
class QueueStatus:
    """The queue of submissions of one client at one provider, and a job's place in it.

    The seconds are expectations: from the limits of the account and from how long predictions take, both of which are
    learned. They count on no failure, and on no job that another client puts before.

    Attributes:
        provider: the provider's name.
        queued: jobs that wait to be submitted.
        running: jobs that are being submitted, or are accepted and not finished, in slots.
        position: jobs that are submitted before this one, 0 is next; None if it is not queued. Without a key, that of
            a job of one slot that comes now.
        submit_seconds: expected seconds until it is submitted; None if it is not queued.
        finish_seconds: expected seconds until it is finished; None if it is neither queued nor running here.
        limited_by: what holds the head of the queue back now; None if nothing does.
    """

    provider: str
    queued: int
    running: int
    position: int | None
    submit_seconds: float | None
    finish_seconds: float | None
    limited_by: SpeedLimit | None
