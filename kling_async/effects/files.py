"""Outputs are fetched: without a key, from public machines only, and on from where a broken connection left off."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import anyio
import httpx

from ..errors import DownloadError
from ..prediction import Output
from ..printable import one_line
from .addresses import Blocked, find_addresses, is_public
from .clock import Clock
from .credentials import is_loopback
from .lanes import TlsContext, drain
from .parts import Part, data_of
from .receiving import Passing, begin, check_whole, headers_for, take
from .signals import interrupts_resent
from .turns import Patience, Turns

__all__ = ["Files"]

_REDIRECTS: Final = 3
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.5
"""Seconds, doubled for each try before: what a pause has at most."""
_STALL: Final = 30.0
"""Seconds without a byte after which a connection is given up."""
_DEADLINE: Final = 1800.0
"""Seconds that one output may take in all, pauses between tries included, once it is its turn."""
_PER_HOST: Final = 4
"""Connections to one host at once: more of them share the same line, and look like an attack."""


class Files:
    """Fetches outputs and saves them.

    Args:
        deadline: seconds that one output may take in all, pauses between tries included, once it is its turn.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tls: TlsContext,
        shared: httpx.AsyncBaseTransport | None = None,
        deadline: float = _DEADLINE,
    ) -> None:
        self._clock = clock
        self._tls = tls
        self._shared = shared
        self._deadline = deadline
        self._hosts = Turns(_PER_HOST)

    async def save(self, output: Output, directory: Path, stem: str, *, overwrite: bool, loopback: bool) -> Path:
        """Save an output as `stem` with the suffix of what it turns out to be.

        Args:
            overwrite: replace a file that has the name already.
            loopback: allow this very machine, and http to it, for a provider that runs on it.

        Raises:
            DownloadError: it could not be fetched, is no image or video, or may not have its name.
        """
        shown = output.url.partition("?")[0][:200]
        part = Part(directory, stem)
        try:
            # The query of an output's address is a signature, which changes while the file stays the same.
            part.open(source=hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest())
            if output.url.startswith("data:"):
                part.restart()
                part.write(data_of(output.url))
            else:
                await self._fetch(output.url, part, loopback=loopback)
            return await part.finish(overwrite=overwrite)
        except DownloadError as error:
            error.url = error.url or shown
            raise
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise DownloadError(f"The output cannot be saved: {words}", url=shown, path=str(part.path)) from error
        finally:
            part.close()

    async def _fetch(self, url: str, part: Part, *, loopback: bool) -> None:
        patience, last = Patience(self._deadline), ""
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    # Under the same deadline: to the caller a pause takes no less time than an answer.
                    with patience.spent():
                        await self._clock.sleep(_PAUSE * 2**attempt * self._clock.dice())
                async with self._open(url, headers_for(part), patience, loopback=loopback) as response:
                    begin(part, response.status_code, response.headers)
                    await drain(response, lambda piece: take(part, piece))
                    check_whole(part)
            except TimeoutError as error:
                raise DownloadError(f"The output did not arrive within {self._deadline:g} s{last}") from error
            except (Passing, httpx.TransportError, ConnectionError) as error:
                words = one_line(f"{type(error).__name__}: {error}")
                if attempt + 1 == _ATTEMPTS:
                    raise DownloadError(f"The output did not arrive: {words}") from error
                last = f"; the last try ended with {words}"
            else:
                return

    @asynccontextmanager
    async def _open(
        self, url: str, headers: Mapping[str, str], patience: Patience, *, loopback: bool
    ) -> AsyncGenerator[httpx.Response]:
        """Open an address, following a few redirects, each checked as the first was."""
        for _ in range(_REDIRECTS + 1):
            target = _checked(url, loopback=loopback)
            async with self._hosts.take(target.host):
                with patience.spent():
                    async with self._connect(target, headers, loopback=loopback) as response:
                        if response.status_code not in (301, 302, 303, 307, 308):
                            yield response
                            return
                url = str(_parsed(response.headers.get("location", ""), base=target))
        raise DownloadError(f"The output's address redirects more than {_REDIRECTS} times")

    @asynccontextmanager
    async def _connect(
        self, url: httpx.URL, headers: Mapping[str, str], *, loopback: bool
    ) -> AsyncGenerator[httpx.Response]:
        waits = {"connect": _STALL, "read": _STALL, "write": _STALL, "pool": None}
        if self._shared is not None:
            request = httpx.Request("GET", url, headers=headers, extensions={"timeout": waits})
            with anyio.fail_after(_STALL), interrupts_resent():
                response = await self._shared.handle_async_request(request)
            try:
                yield response
            finally:
                await _close(response)
            return
        numbers = await _numbers(url, loopback=loopback)
        context = await self._tls.get(f"{url.scheme}://")
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as lane:
            with interrupts_resent():
                response = await _first_answer(lane, url, numbers, headers, waits)
            try:
                yield response
            finally:
                await _close(response)


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True):
        await response.aclose()


async def _first_answer(
    lane: httpx.AsyncHTTPTransport,
    url: httpx.URL,
    numbers: list[str],
    headers: Mapping[str, str],
    waits: Mapping[str, float | None],
) -> httpx.Response:
    """Ask each number of a host until one answers, under the host's own name."""
    named = {**headers, "Host": url.netloc.decode("ascii")}
    extensions = {"timeout": waits, "sni_hostname": url.host}
    for number in numbers[:-1]:
        try:
            return await lane.handle_async_request(_request(url, number, named, extensions))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await lane.handle_async_request(_request(url, numbers[-1], named, extensions))


def _request(
    url: httpx.URL, number: str, headers: Mapping[str, str], extensions: Mapping[str, object]
) -> httpx.Request:
    return httpx.Request("GET", url.copy_with(host=number), headers=headers, extensions=dict(extensions))


def _parsed(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """Read an address, which may be relative to another one."""
    with suppress(httpx.InvalidURL, ValueError):
        return httpx.URL(text) if base is None else base.join(text)
    # Not from their error: its frames hold half an address, whose repr fails in a traceback that prints locals.
    raise DownloadError("The output's address is malformed")


def _checked(url: str, *, loopback: bool) -> httpx.URL:
    target = _parsed(url)
    here = loopback and is_loopback(target.host)
    if not here and _is_private_number(target.host):
        raise DownloadError("The output's address is not on the public internet", url=target.host)
    if target.scheme != "https" and not (here and target.scheme == "http"):
        raise DownloadError("The output's address is not https", url=f"{target.scheme}://{target.host}")
    if not target.host or target.userinfo:
        raise DownloadError("The output's address names no host, or a user", url=target.host)
    return target


def _is_private_number(host: str) -> bool:
    try:
        return not is_public(ip_address(host))
    except ValueError:
        return False


async def _numbers(url: httpx.URL, *, loopback: bool) -> list[str]:
    try:
        return await find_addresses(url.raw_host.decode("ascii"), url.port or 443, loopback=loopback)
    except Blocked as error:
        raise DownloadError(f"The output's address is not allowed: {error}", url=url.host) from error
    except OSError as error:
        raise Passing(f"{url.host} cannot be found") from error
