"""What a client has learned, as JSON: how long predictions take, and the limits of its accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..scheduling.learning import AccountLimits
from ..scheduling.polling.durations import DurationModel
from ..types.errors import InputError
from ..types.prediction import Json

__all__ = ["account_name", "load_timings", "provider_of", "save_timings"]

_DAMAGED: Final = "The saved record of the limits of accounts is damaged."


def account_name(provider: str, key_hash: str) -> str:
    """Return the name of an account among those whose limits are known, from its provider and a hash of its key."""
    return f"{provider} {key_hash}"


def provider_of(account: str) -> str:
    """Return the provider of an account's name; nothing else of it is to be shown."""
    return account.partition(" ")[0]


def save_timings(durations: DurationModel, limits: Mapping[str, AccountLimits]) -> Json:
    """Return what was learned; limits are named by provider and a hash of the API key."""
    saved = durations.save()
    if not limits or not isinstance(saved, dict):
        return saved
    known: dict[str, Json] = {name: {"per_second": one.per_second, "slots": one.slots} for name, one in limits.items()}
    return {**saved, "limits": known}


def load_timings(saved: Json) -> tuple[DurationModel, dict[str, AccountLimits]]:
    """Return what an earlier client has learned; None is nothing. Raises InputError if it is no such record."""
    if saved is None:
        return DurationModel(), {}
    if not isinstance(saved, Mapping) or "limits" not in saved:
        return DurationModel.load(saved), {}
    durations = DurationModel.load({name: value for name, value in saved.items() if name != "limits"})
    limits = saved["limits"]
    if not isinstance(limits, Mapping):
        raise InputError(_DAMAGED)
    return durations, {name: _account_limits(one) for name, one in limits.items()}


def _account_limits(saved: Json) -> AccountLimits:
    if not isinstance(saved, Mapping) or set(saved) != {"per_second", "slots"}:
        raise InputError(_DAMAGED)
    rate, slots = saved["per_second"], saved["slots"]
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0.0 < rate < 1e6):
        raise InputError(_DAMAGED)
    if slots is not None and (type(slots) is not int or not 0 < slots < 10**6):
        raise InputError(_DAMAGED)
    return AccountLimits(per_second=None if rate is None else float(rate), slots=slots)
