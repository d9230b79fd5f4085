"""Ask providers for the live prices of inputs; where one tells none, the price is that of its table.

A question is a request that charges nothing, so it needs no slot and no journal. It takes the connections of the polls,
at the rate that polls are allowed, apart from theirs.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

import anyio

from ..providers import Price, Provider
from ..providers.pricing import Estimate, estimate
from ..scheduling.rate_limit import RateLimiter
from ..system.background import Tasks
from ..system.clock import Clock
from ..system.interrupts import defer_interrupts
from ..types.errors import (
    AuthenticationError,
    InsufficientBalance,
    KlingError,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
)
from ..types.http import HttpRequest
from ..types.inputs import Input
from ..types.media_values import with_addresses
from .accounts import Accounts
from .provider_api import ProviderAPI
from .settings import Settings

__all__ = ["quote", "table_price"]

_log = logging.getLogger(__name__)

_MAX_QUESTIONS: Final = 8
"""Requests for prices in flight at once, at each provider."""
_NO_MORE: Final = (AuthenticationError, InsufficientBalance, PermissionDenied, ProviderUnavailable, RateLimited)
"""Errors after which a provider is asked for no more prices: they would be the answer to each of them."""


def table_price(input: Input, provider: Provider) -> tuple[str, Price | None]:
    """Return the model of an input, and its published price there; None if none is published."""
    spec = provider.spec(input)
    return spec.name, spec.price(input)


async def quote(inputs: Iterable[tuple[Input, Provider]], *, accounts: Accounts, settings: Settings) -> Estimate:
    """Add up the prices of inputs, each at a provider: live ones, or those of the tables where there are none.

    Raises:
        InputError: there is no API key for a provider that is asked.
        AuthenticationError: a provider refuses the API key.
        RuntimeError: the client is not open.
    """
    accounts.check_open()
    rows = [(*table_price(input, at), _Questions.key(input, at)) for input, at in inputs]
    questions: dict[str, _Questions] = {}
    for _, _, key in rows:
        if key is not None:
            provider, request = key
            if provider.name not in questions:
                limiter = RateLimiter(per_second=settings.limits(provider).poll_per_second, burst=_MAX_QUESTIONS)
                questions[provider.name] = _Questions(accounts.account(provider).api, limiter, accounts.clock)
            questions[provider.name].add(request)
    async with Tasks() as tasks:
        for one in questions.values():
            one.start(tasks)
        for one in questions.values():
            await one.answered.wait()
    for one in questions.values():
        one.check()
    answers = [None if key is None else questions[key[0].name].answer(key[1]) for _, _, key in rows]
    prices = [(model, live or table) for (model, table, _), live in zip(rows, answers, strict=True)]
    return estimate(prices, live=sum(one is not None for one in answers))


class _Questions:
    """Asks one provider for prices, each request once and a few at a time."""

    def __init__(self, api: ProviderAPI, limiter: RateLimiter, clock: Clock) -> None:
        self._api = api
        self._limiter = limiter
        self._clock = clock
        self._answers: dict[HttpRequest, Price | None] = {}
        self._left: deque[HttpRequest] = deque()
        self._problem: KlingError | None = None
        self._workers = 0
        self.answered = anyio.Event()

    @staticmethod
    def key(input: Input, provider: Provider) -> tuple[Provider, HttpRequest] | None:
        """Return the provider and the request for an input's price; None if it cannot be asked for."""
        request = provider.build_quote(with_addresses(input)) if provider.capabilities.quote.value else None
        return None if request is None else (provider, request)

    def add(self, request: HttpRequest) -> None:
        """Ask a question, unless it is asked already."""
        if request not in self._answers:
            self._answers[request] = None
            self._left.append(request)

    def start(self, tasks: Tasks) -> None:
        """Start to ask, with tasks among these; `answered` tells the end."""
        self._workers = min(_MAX_QUESTIONS, len(self._left))
        for _ in range(self._workers):
            tasks.start(self._work)

    def answer(self, request: HttpRequest) -> Price | None:
        """Return the live price; None if the provider told none."""
        return self._answers[request]

    def check(self) -> None:
        """Raise AuthenticationError if the key was refused; log any other reason for missing prices."""
        if isinstance(self._problem, AuthenticationError):
            raise self._problem
        if self._problem is not None:
            missing = sum(price is None for price in self._answers.values())
            name = self._api.provider.title
            _log.warning("%s told no live price for %d of its requests: %s", name, missing, self._problem.message)

    @defer_interrupts
    async def _work(self) -> None:
        while self._left:
            now = self._clock.now()
            if (at := self._limiter.ready_at(now)) > now:
                await self._clock.sleep(at - now)
                continue
            self._limiter.consume(now)
            await self._ask(self._left.popleft())
        self._workers -= 1
        if not self._workers:
            self.answered.set()

    async def _ask(self, request: HttpRequest) -> None:
        try:
            self._answers[request] = await self._api.quote(request)
        except KlingError as error:
            is_last = isinstance(error, _NO_MORE)
            self._problem = error if is_last else self._problem or error
            if is_last:
                self._left.clear()
