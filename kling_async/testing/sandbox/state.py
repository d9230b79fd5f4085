"""Both providers behind their doors: tasks, money, limits and faults. Time is an argument, chance is a seed."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from attrs import define, field
from attrs.validators import gt, in_, optional

from .chance import Latency, LogNormal, digest_of, draw
from .faults import RESULT_SHAPES, Moment
from .ledger import Entry, Kind, Ledger, Seen
from .meter import Meter
from .mischief import Mischief
from .work import Order, Task

__all__ = ["Sandbox"]

_IMAGE, _VIDEO = LogNormal(8.0), LogNormal(90.0)


@define(kw_only=True, eq=False)
class Sandbox:
    """Two providers that cost nothing, as one state machine.

    One sandbox keeps one time: serve it by one app. Reading it from another thread is safe while it serves.

    Attributes:
        key: the API key that it accepts, at both providers.
        balance: US dollars left.
        seed: what latencies and ids are drawn from. The same prompts take the same time, in whatever order they come.
        time_scale: what generation times are multiplied by; 0.01 is a hundred times faster.
        image_latency: how long an image takes, in seconds before scaling.
        video_latency: how long a video takes.
        submit_per_second: submissions allowed per second; more are answered 429. None is no limit.
        submit_burst: how many of them may come at once.
        poll_per_second: polls allowed per second; None is no limit.
        poll_burst: how many of them may come at once.
        max_open: submissions are answered 429 while so many tasks are unfinished; None is no limit.
        slots: so many tasks run at the same time, and more wait for their turn; None is no limit.
        retry_after: the Retry-After header of the fault ``rate_limited``, as written; None leaves it out.
        sync_for: seconds that a submission with ``enable_sync_mode`` waits before it is told to poll.
        outputs_for: seconds that the address of an output lives after the poll that told it; None is for ever.
        result_shape: which shape API in One's finished body has, one of `RESULT_SHAPES`.
        strict: whether a parameter that no document names is refused, and not ignored.
    """

    key: str = "sk-sandbox"
    balance: Decimal = field(default=Decimal(100), converter=Decimal)
    seed: int = 0
    time_scale: float = field(default=1.0, validator=gt(0))
    image_latency: Latency = _IMAGE
    video_latency: Latency = _VIDEO
    submit_per_second: float | None = field(default=None, validator=optional(gt(0)))
    submit_burst: int = field(default=1, validator=gt(0))
    poll_per_second: float | None = field(default=None, validator=optional(gt(0)))
    poll_burst: int = field(default=1, validator=gt(0))
    max_open: int | None = field(default=None, validator=optional(gt(0)))
    slots: int | None = field(default=None, validator=optional(gt(0)))
    retry_after: str | None = "1"
    sync_for: float = 90.0
    outputs_for: float | None = None
    result_shape: str = field(default="data.output", validator=in_(RESULT_SHAPES))
    strict: bool = False
    ledger: Ledger = field(factory=Ledger, init=False)
    tasks: dict[str, Task] = field(factory=dict[str, Task], init=False)
    """Every accepted task by its id."""
    mischief: Mischief = field(factory=Mischief, init=False)
    _meters: dict[Moment, Meter] = field(init=False)
    _repeats: Counter[str] = field(factory=Counter[str], init=False)
    _busy_until: list[float] = field(factory=list[float], init=False)
    _slots_until: list[float] = field(factory=list[float], init=False)
    _refunds: list[tuple[float, str]] = field(factory=list[tuple[float, str]], init=False)

    def __attrs_post_init__(self) -> None:
        self._meters = {
            Moment.SUBMIT: Meter(self.submit_per_second, self.submit_burst),
            Moment.POLL: Meter(self.poll_per_second, self.poll_burst),
        }

    @property
    def entries(self) -> list[Entry]:
        """Every charge, in the order they were made."""
        return self.ledger.entries

    @property
    def spent(self) -> Decimal:
        """What all charges come to, without those given back, in US dollars."""
        return self.ledger.spent

    @property
    def log(self) -> list[Seen]:
        """The latest 100,000 requests, in the order they came."""
        return list(self.ledger.log)

    @property
    def submits(self) -> int:
        """How many submissions came, whatever they were answered."""
        return self.ledger.count("submit")

    @property
    def polls(self) -> int:
        """How many polls came, whatever they were answered."""
        return self.ledger.count("poll")

    @property
    def downloads(self) -> int:
        """How many requests for files came, whatever they were answered."""
        return self.ledger.count("download")

    def billed(self, prompt: str | None = None) -> int:
        """Count the charges for a prompt, or all; those given back do not count."""
        return self.ledger.billed(prompt)

    def count(self, kind: Kind) -> int:
        """Count the requests of a kind, whatever they were answered."""
        return self.ledger.count(kind)

    # What tests arrange.

    def script(self, faults: Iterable[str | None]) -> None:
        """Throw these at the next submissions, one each; None throws nothing. Raises ValueError for an unknown name."""
        self.mischief.script(Moment.SUBMIT, faults)

    def script_polls(self, faults: Iterable[str | None]) -> None:
        """Throw these at the next polls, one each, named with or without ``poll_``."""
        self.mischief.script(Moment.POLL, faults)

    def script_downloads(self, faults: Iterable[str | None]) -> None:
        """Throw these at the next downloads, one each, named with or without ``file_``."""
        self.mischief.script(Moment.FILE, faults)

    # What the wires ask.

    def wait_for(self, moment: Moment, *, now: float) -> float:
        """Count one request against its limit; return 0, or the seconds until one would be allowed."""
        return self._meters[moment].take(now)

    def is_full(self, *, now: float) -> bool:
        """Tell whether no further task may be open."""
        while self._busy_until and self._busy_until[0] <= now:
            heapq.heappop(self._busy_until)
        return self.max_open is not None and len(self._busy_until) >= self.max_open

    def settle(self, *, now: float) -> None:
        """Give back what is due back by now."""
        while self._refunds and self._refunds[0][0] <= now:
            self.balance += self.ledger.refund(heapq.heappop(self._refunds)[1])

    def accept(
        self, order: Order, *, now: float, utc: datetime, faults: Mapping[str, str | None], answered: bool = True
    ) -> Task:
        """Start a task and charge for it; `answered` tells whether the caller will learn its id."""
        started_at = self._start_of(now)
        done_at = started_at + self._work_for(order, faults)
        if self.slots is not None:
            heapq.heappush(self._slots_until, done_at)
        heapq.heappush(self._busy_until, done_at)
        number = digest_of(self.seed, "id", len(self.tasks)).hex()[:32]
        task = Task(
            id=order.id_form.format(number),
            order=order,
            at=now,
            utc=utc,
            started_at=started_at,
            done_at=done_at,
            faults=dict(faults),
        )
        self.tasks[task.id] = task
        self.balance -= order.price
        self.ledger.charge(
            Entry(
                id=task.id,
                provider=order.provider,
                model=order.model,
                prompt=order.prompt,
                at=now,
                amount=order.price,
                answered=answered,
            )
        )
        if order.refunds and not task.files:
            heapq.heappush(self._refunds, (done_at, task.id))
        return task

    def _start_of(self, now: float) -> float:
        if self.slots is None or len(self._slots_until) < self.slots:
            return now
        return max(now, heapq.heappop(self._slots_until))

    def _work_for(self, order: Order, faults: Mapping[str, str | None]) -> float:
        self._repeats[order.prompt] += 1
        latency = self.image_latency if order.kind == "image" else self.video_latency
        factor = float(faults["slow"] or 10) if "slow" in faults else 1.0
        return factor * self.time_scale * latency.at(draw(self.seed, order.prompt, self._repeats[order.prompt]))
