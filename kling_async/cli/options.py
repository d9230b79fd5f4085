"""The options of a run: from flags, and from the settings stored in its directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import Annotated, Any, Final, Literal, cast

from attrs import asdict, evolve, frozen
from cyclopts import Parameter

from ..providers import DEFAULT_PROVIDER, PROVIDERS, Provider
from ..providers.selection import Prefer
from ..runtime.api_keys import ApiKeys, default_provider
from ..types.errors import InputError, InputFault
from ..types.limits import Limits
from ..types.provenance import ProvenanceMode

__all__ = ["DEFAULTS", "DEFAULT_TEXT", "PROVIDER_TEXT", "Options"]

DEFAULT_TEXT: Final = f"Default: the only one with an API key; {DEFAULT_PROVIDER} of several, or if there is none."
"""What help says of --provider."""

PROVIDER_TEXT: Final = f"Provider: {' or '.join(PROVIDERS)}. Repeat to spread jobs across providers. {DEFAULT_TEXT}"


@Parameter(name="*")
@frozen(kw_only=True)
class Options:
    """The options of a run; None means not given.

    Attributes:
        max_open: Maximum number of jobs queued or running at once.
        rate: Maximum submissions per second at each provider. [default: learned, from the provider's starting limit]
        concurrency: Maximum slots in use at each provider: an image job uses one per image, a video job one. [default:
            learned, from the provider's starting limit]
        max_cost: Spending limit in USD, including earlier runs in this directory.
        failover: Let a job move on to the next of several providers if one is out of reach, refuses the account or is
            over its limit. Never after a lost answer or a refusal of the input.
        prefer: Of several providers, use the least loaded or the cheapest one. [default: least_loaded]
        price: Price per job, for models without a published price (MODEL=USD). May be repeated.
        storage: Bucket of yours for local media, such as s3://bucket/prefix, for providers that take none.
        timeout: Per-job timeout in seconds, including time in the queue. [default: 3600]
        download: Save the files, or print output URLs instead of saving files. [default: --download]
        provenance: Save what each file was made from: `sidecar` as a JSON file beside it, `embed` inside PNG and MP4
            files as well. A file with a C2PA credential is never changed.
        dataset: Write metadata.jsonl beside the files, so that loaders of datasets read prompts and labels with them.
        save_to: URL of the object store that -o has named.
        presign: Sign the report's links to objects, valid for this many seconds, at most 604800. Anyone with the report
            can open them. [default: the URLs of the objects]
        copy_run: Copy the files of the run directory into the object store at the end, below run/.
        fail_fast: Stop submitting after the first failure.
        retry_failed: Retry jobs that failed (billed again).
        accept_changed: Resubmit jobs whose input changed (billed again).
        accept_lost_log: Continue although the journal's log is missing or truncated. Jobs recorded only there are
            billed again.
        progress: Progress display: live, plain or none. [default: auto]
        profile: Profile of kling.toml, or of [tool.kling-async] in pyproject.toml, to take settings from. [env:
            KLING_PROFILE]
        configured: the options that are from these settings.
        listed: What goes to stdout: `new` results, `all` with those of earlier runs, or `none`. [default: new; on a
            terminal with the live display, which shows them, none]
        serve: Serve a live page of the run on this machine, until Ctrl-C, and print its URL on stderr.
        json: Print one JSON object per job on stdout instead of file paths.
        verbose: Log each submission, end and save on stderr, with key, provider, id, seconds and cost. KLING_LOG=debug
            logs every event.
    """

    provider: Annotated[
        tuple[str, ...] | None, Parameter(name=["--provider", "-p"], negative="", help=PROVIDER_TEXT)
    ] = None
    max_open: int | None = None
    rate: float | None = None
    concurrency: int | None = None
    max_cost: Decimal | None = None
    prefer: Prefer | None = None
    failover: bool | None = None
    price: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    storage: str | None = None
    timeout: float | None = None
    download: bool | None = None
    provenance: ProvenanceMode | None = None
    dataset: Annotated[bool | None, Parameter(negative="", show_default=False)] = None
    save_to: Annotated[str | None, Parameter(parse=False)] = None
    presign: float | None = None
    copy_run: bool | None = None
    fail_fast: bool | None = None
    retry_failed: Annotated[bool, Parameter(negative="", show_default=False)] = False
    accept_changed: Annotated[bool, Parameter(negative="", show_default=False)] = False
    accept_lost_log: Annotated[bool, Parameter(negative="", show_default=False)] = False
    progress: Literal["live", "plain", "none"] | None = None
    listed: Annotated[Literal["new", "all", "none"] | None, Parameter(name="--print")] = None
    profile: str | None = None
    configured: Annotated[tuple[str, ...], Parameter(negative="", show=False)] = ()
    serve: Annotated[bool, Parameter(negative="", show_default=False)] = False
    json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", show_default=False)] = False

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers for jobs that do not name one. Raises InputError if none is given and several have a key."""
        return self.provider or (default_provider(ApiKeys()),)

    @property
    def prices(self) -> dict[str, Decimal]:
        """Prices by model. Raises InputError if one is invalid."""
        return dict(map(_price, self.price or ()))

    @property
    def explicit(self) -> Options:
        """The same without what is from the settings of the project."""
        configured = {name.replace("-", "_") for name in self.configured}
        cleared: dict[str, Any] = {name: None for name in _SETTINGS if name in configured}
        return evolve(self, **cleared)

    def limits_of(self, providers: Iterable[Provider]) -> dict[str, Limits] | None:
        """Return the limits of the accounts by provider; None if the options set none, so that they are learned.

        Raises:
            InputError: a limit is not above 0.
        """
        given = {"rate": self.rate, "concurrency": self.concurrency}
        faults = [
            InputFault(name, value, "must be a number above 0")
            for name, value in given.items()
            if value is not None and not 0 < value < float("inf")
        ]
        if faults:
            raise InputError.of("Invalid limits", faults)
        if self.rate is None and self.concurrency is None:
            return None
        return {one.name: self._limited(one.limits) for one in providers}

    def _limited(self, limits: Limits) -> Limits:
        if self.concurrency is not None:
            limits = evolve(limits, max_open=self.concurrency)
        if self.rate is None:
            return limits
        burst = max(1, min(limits.submit_burst, ceil(self.rate)))
        return evolve(limits, submit_per_second=self.rate, submit_burst=burst)

    def to_settings(self) -> Mapping[str, object]:
        """Return the settings that are stored in run.json."""
        given = {name: value for name, value in asdict(self).items() if name in _SETTINGS and value is not None}
        return given | ({"max_cost": str(self.max_cost)} if self.max_cost is not None else {})

    def merged_with(self, stored: object) -> Options:
        """Return these options with stored settings where none is given. Raises InputError if those are damaged.

        What is from the settings of the project counts as not given: the run keeps its own.
        """
        if not isinstance(stored, Mapping):
            raise InputError("run.json has no settings")
        # A run that stored no provider had this one, whatever the environment has today.
        settings: dict[str, Any] = {"provider": [DEFAULT_PROVIDER]}
        settings |= {name: value for name, value in cast("Mapping[str, Any]", stored).items() if name in _SETTINGS}
        try:
            for name in ("provider", "price"):
                if name in settings:
                    settings[name] = tuple(settings[name])
            if "max_cost" in settings:
                settings["max_cost"] = Decimal(settings["max_cost"])
        except (TypeError, ArithmeticError) as error:
            raise InputError(f"The settings in run.json cannot be read: {error}") from error
        given = self.explicit
        return evolve(given, **{name: value for name, value in settings.items() if getattr(given, name) is None})

    def for_report(self) -> dict[str, str]:
        """Return the settings as a report shows them."""
        return {name.replace("_", " "): _text(value) for name, value in self.to_settings().items()}


DEFAULTS: Final = Options()
_SETTINGS: Final = (
    "provider",
    "prefer",
    "failover",
    "max_open",
    "rate",
    "concurrency",
    "max_cost",
    "price",
    "storage",
    "timeout",
    "download",
    "provenance",
    "dataset",
    "save_to",
    "presign",
    "copy_run",
    "fail_fast",
)
"""Options of the whole run, which stay when it is resumed."""


def _price(text: str) -> tuple[str, Decimal]:
    model, _, amount = text.partition("=")
    try:
        price = Decimal(amount)
        if model and price.is_finite() and price >= 0:
            return model.strip(), price
    except InvalidOperation:
        pass
    raise InputError.of("Invalid price", [InputFault("price", text, "must be MODEL=USD, such as kling-3=0.42")])


def _text(value: object) -> str:
    return ", ".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)
