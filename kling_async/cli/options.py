"""What the commands for many jobs are told: flags, and what a folder has kept of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal, cast

from attrs import asdict, evolve, frozen
from cyclopts import Parameter

from ..errors import InputError, InputFault

__all__ = ["NOTHING_SAID", "Options"]


@Parameter(name="*")
@frozen(kw_only=True)
class Options:
    """How a run is done; None was not said.

    Attributes:
        provider: Who shall do it: gptproto or apiinone; with several, each job goes to the one with the least to do.
            By default gptproto.
        max_open: Jobs that are read and not over, at most.
        max_cost: US dollars that are never exceeded; what earlier runs in this folder have spent counts.
        price: What a job of a model costs, as MODEL=USD, where no price is published. May be repeated.
        timeout: Seconds that one job may take, from when it is read. By default 3600.
        download: Save the files, or only tell where they are.
        fail_fast: Submit no more after the first failure.
        retry_failed: Submit again, and pay again, what has failed before.
        accept_changed: Submit, and pay, a job whose key is known with another input.
        accept_lost_log: Go on although the log of the journal is missing or cut. What was only in there is paid again.
        progress: A panel, plain lines, or nothing; by default what suits the terminal.
        json: Put one JSON object for each job on stdout, in place of the paths of its files.
    """

    provider: Annotated[tuple[str, ...] | None, Parameter(name=["--provider", "-p"], negative="")] = None
    max_open: int | None = None
    max_cost: Decimal | None = None
    price: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    timeout: float | None = None
    download: bool | None = None
    fail_fast: bool | None = None
    retry_failed: Annotated[bool, Parameter(negative="", show_default=False)] = False
    accept_changed: Annotated[bool, Parameter(negative="", show_default=False)] = False
    accept_lost_log: Annotated[bool, Parameter(negative="", show_default=False)] = False
    progress: Literal["live", "plain", "none"] | None = None
    json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False

    @property
    def providers(self) -> tuple[str, ...]:
        """Who may do what names no provider itself."""
        return self.provider or ("gptproto",)

    @property
    def prices(self) -> dict[str, Decimal]:
        """Prices by model. Raises InputError if one cannot be read."""
        return dict(map(_price, self.price or ()))

    def kept(self) -> Mapping[str, object]:
        """Return what a folder keeps of it."""
        said = {name: value for name, value in asdict(self).items() if name in _KEPT and value is not None}
        return said | ({"max_cost": str(self.max_cost)} if self.max_cost is not None else {})

    def after(self, kept: object) -> Options:
        """Return it with what a folder has kept, where this says nothing. Raises InputError if that is damaged."""
        if not isinstance(kept, Mapping):
            raise InputError("run.json has no settings")
        said = {name: value for name, value in cast("Mapping[str, Any]", kept).items() if name in _KEPT}
        try:
            for name in ("provider", "price"):
                if name in said:
                    said[name] = tuple(said[name])
            if "max_cost" in said:
                said["max_cost"] = Decimal(said["max_cost"])
        except (TypeError, ArithmeticError) as error:
            raise InputError(f"The settings in run.json cannot be read: {error}") from error
        return evolve(self, **{name: value for name, value in said.items() if getattr(self, name) is None})

    def told(self) -> dict[str, str]:
        """Return what a report tells of it."""
        return {name.replace("_", " "): _text(value) for name, value in self.kept().items()}


NOTHING_SAID: Final = Options()
_KEPT: Final = ("provider", "max_open", "max_cost", "price", "timeout", "download", "fail_fast")
"""What holds for the whole run, however often it is gone on with."""


def _price(text: str) -> tuple[str, Decimal]:
    model, _, amount = text.partition("=")
    try:
        price = Decimal(amount)
        if model and price.is_finite() and price >= 0:
            return model.strip(), price
    except InvalidOperation:
        pass
    raise InputError.of("Wrong setting", [InputFault("price", text, "must be MODEL=USD, such as kling-3=0.42")])


def _text(value: object) -> str:
    return ", ".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)
