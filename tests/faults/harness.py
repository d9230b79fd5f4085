"""Starts the scripted provider's process, opens sites in it, and reads their logs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
from attrs import field, frozen

from .answers import Answer, Script
from .line_process import LineProcess

__all__ = ["LoggedRequest", "ProviderProcess", "ServerLog", "Site"]

PROVIDER = Path(__file__).with_name("provider.py")


@frozen(kw_only=True)
class LoggedRequest:
    """One request that a site saw. Its headers hold the key, so they are in no repr."""

    kind: str
    method: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body_bytes: int
    whole: bool
    prompt: str | None
    client_id: str | None
    connection: int
    at: float

    def header(self, name: str) -> str | None:
        return next((value for one, value in self.headers if one.lower() == name.lower()), None)


@frozen
class ServerLog:
    """What a site saw and charged.

    Attributes:
        charges: ids by prompt: one for each time that the job was charged.
        requests: in the order in which they came.
        connections: how many were opened.
        answered, closed: to how many requests everything was sent, and how many connections were closed from there.
        most_submitting, most_serving: submissions, and downloads, under way at once at most.
        key_seen: whether the key was in any byte that came.
    """

    charges: Mapping[str, Sequence[str]]
    requests: Sequence[LoggedRequest]
    connections: int
    answered: int
    closed: int
    most_submitting: int
    most_serving: int
    key_seen: bool

    def of(self, kind: str) -> list[LoggedRequest]:
        return [one for one in self.requests if one.kind == kind]

    def submissions(self) -> Counter[str]:
        """Count whole submissions by prompt."""
        return Counter(one.prompt for one in self.of("submit") if one.whole and one.prompt is not None)


class Site:
    """One port of the scripted provider."""

    def __init__(self, process: ProviderProcess, port: int, origin: str) -> None:
        self._process = process
        self.port = port
        self.origin = origin

    def script(self, script: Script) -> None:
        """Forget the old script and follow this one."""
        self._process.ask({"port": self.port, "script": script.told()})

    async def until(self, seen: Callable[[ServerLog], bool]) -> None:
        """Wait until the log says something."""
        while not seen(self.log):
            await anyio.sleep(0.005)

    @property
    def log(self) -> ServerLog:
        told = self._process.ask({"log": self.port})
        failures = told.pop("failures")
        assert [] == failures, "\n".join(failures)
        return ServerLog(**{**told, "requests": [LoggedRequest(**one) for one in told["requests"]]})


class ProviderProcess(LineProcess):
    """The scripted provider."""

    def __init__(self) -> None:
        # Without site-packages: it starts in a blink, and coverage leaves it alone.
        super().__init__([sys.executable, "-I", "-S", str(PROVIDER)])

    @contextmanager
    def site(
        self,
        script: Script | None = None,
        *,
        canary: str,
        running_for: int = 0,
        outputs: Sequence[str] = ("<<origin>>/files/<<id>>.png",),
        certificate: Path | None = None,
        host: str | None = None,
        greeting: Answer | None = None,
        links: str | None = None,
    ) -> Iterator[Site]:
        """Open a site.

        Args:
            script: what it answers.
            canary: the key to look out for.
            running_for: looks at a prediction that find it running.
            outputs: addresses of what it makes.
            certificate: a file with a chain and its key, to speak TLS.
            host: the name in its addresses, if not its number.
            greeting: what it does with a connection instead of reading a request.
            links: the origin of the addresses that it gives for polling, for a result and for cancelling, if not its
                own.
        """
        told = {
            "script": (script or Script()).told(),
            "canary": canary,
            "running_for": running_for,
            "outputs": list(outputs),
            "certificate": None if certificate is None else str(certificate),
            "host": host,
            "greeting": None if greeting is None else list(greeting.steps),
            "links": links,
        }
        answer = self.ask({"open": told})
        try:
            yield Site(self, answer["port"], answer["origin"])
        finally:
            self.ask({"close": answer["port"]})
