"""The options of `kling-async plan`: those of a run that mean something before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from .options import PROVIDER_TEXT, Options

__all__ = ["PLAN_DEFAULTS", "PlanOptions"]


@Parameter(name="*")
@frozen(kw_only=True)
class PlanOptions:
    """The options of a plan; None means not given.

    Attributes:
        max_cost: Spending limit in USD that the expected cost is compared with.
        price: Price per job, for models without a published price (MODEL=USD). May be repeated.
        rate: Maximum submissions per second at each provider, as the run is to have it.
        concurrency: Maximum slots in use at each provider, as the run is to have it.
        storage: Bucket of yours for local media, such as s3://bucket/prefix, for providers that take none.
        profile: Profile of kling.toml, or of [tool.kling-async] in pyproject.toml, to take settings from. [env:
            KLING_PROFILE]
        configured: the options that are from these settings.
        json: Print one JSON object on stdout for each job, or for each fault.
    """

    provider: Annotated[
        tuple[str, ...] | None, Parameter(name=["--provider", "-p"], negative="", help=PROVIDER_TEXT)
    ] = None
    max_cost: Decimal | None = None
    price: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    rate: float | None = None
    concurrency: int | None = None
    storage: str | None = None
    profile: str | None = None
    configured: Annotated[tuple[str, ...], Parameter(negative="", show=False)] = ()
    json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False

    @property
    def full(self) -> Options:
        """The options of a run with these."""
        return Options(**asdict(self))


PLAN_DEFAULTS: Final = PlanOptions()
