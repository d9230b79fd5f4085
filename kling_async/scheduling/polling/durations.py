"""How long predictions take: a survival curve per kind of work, learned while working.

Theory of operation. A kind of work is a tuple, from the general to the special: kind of output, provider, model, scene,
size. Its observations are a `History` of intervals, from which `survival` estimates a curve; a change at the provider
shows once the window of intervals has turned over.

A new kind starts with the curve of its relatives: everything known of the same kind of output, corrected by what is
known of the same provider, then the same model, and so on; at the root is a broad guess. Each step counts for one or
two predictions of the next, so that a kind's own completions soon outweigh it.

Where a provider reports how long the work ran, that is taken as the duration, shifted by the average difference between
reports and polls so far (the queue), but never against a poll: then the interval is taken, and the shift is corrected.
Where nothing is reported, an early hump may hide inside the first interval forever; a few first polls, 1.5 % of them,
are therefore taken at an earlier age.

A `PollPolicy` calls `observe_start`, `observe_running`, `observe_completion` or `censor`, and makes a new `PollPlan` of
`SurvivalCurve.of(*model.survival(kind))` for each kind that `observe_completion` returns. All ages are seconds since
the submission was accepted: `before` and `after` are the age at which the last poll that said "not yet" was sent (0 if
there was none), `by` is the age at which the reply that said "finished" arrived. A failed poll is no observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from ...types.errors import InputError
from ...types.prediction import Json
from .expectation import expected_seconds
from .history import SAVED, History, Shares, fit
from .survival import AGES, BINS, as_prior, lognormal, survival

__all__ = ["DurationModel", "WorkKind"]

WorkKind: TypeAlias = tuple[str, ...]
"""A kind of work, from the general to the special: `("video", provider, model, scene, size)`."""

_GUESSES: Final = {"image": lognormal(9.0, 1.0), "video": lognormal(100.0, 1.0)}
_ANY_KIND: Final = lognormal(30.0, 1.5)
_ROOT_WEIGHT, _KIN_WEIGHT = 1.0, 2.0
"""Predictions that a guess counts for, and that the curve of relatives counts for."""
_MAX_PRIOR_UPDATES: Final = 32
"""Completions after which the prior is not updated from relatives any more."""
_EXPLORATION: Final = 0.015
"""Share of first polls that come early: 1 to 2 % find a hidden hump, and cost other curves less than 1 %."""
_MIN_EXPLORATION_AGE: Final = AGES[1]
_WARM_FITS: Final = 4
"""Fits after loading, each of some rounds: the estimate starts from the guess, which may be far off."""
_LATEST: Final = 0.01
"""The share of predictions that take longer than nearly all."""
_UNKNOWN_SECONDS: Final = 600.0
_VERSION: Final = 1
"""Version of the saved format: an edge is an index of the grid of `survival`, so another grid is another version."""


class DurationModel:
    """Survival curves of all kinds of work, learned from polls."""

    def __init__(self) -> None:
        self._known: dict[WorkKind, History] = {}

    def survival(self, kind: WorkKind) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return ages in seconds and the share still running at each, as `SurvivalCurve.of` takes them."""
        return AGES, survival(self._history(kind).shares)

    def slot_seconds(self, kind: WorkKind) -> float:
        """Return the seconds for which a lost submission may still be running: the 99th percentile, 600 if unknown."""
        history = self._known.get(kind)
        if history is None or not history.window:
            return _UNKNOWN_SECONDS
        running = survival(history.shares)
        return next((age for age, share in zip(AGES, running, strict=False) if share <= _LATEST), AGES[-1])

    def expected_seconds(self, kind: WorkKind, *, age: float = 0.0) -> float:
        """Return for how many more seconds a prediction of an age runs, in expectation."""
        return expected_seconds(*self.survival(kind), age=age)

    def observe_start(self, kind: WorkKind) -> None:
        """Record that a prediction runs, once for each that is accepted or restored."""
        self._history(kind).observe_start()

    def observe_running(self, kind: WorkKind, *, before: float, age: float) -> None:
        """Record that a poll at `age` said "not yet", as the one at `before` did, 0 if there was none."""
        self._history(kind).observe_running(before, age)

    def censor(self, kind: WorkKind, *, after: float) -> None:
        """Record that a prediction is polled no more; its duration is right-censored."""
        self._history(kind).censor(after)

    def observe_completion(
        self, kind: WorkKind, *, after: float, by: float, ran_for: float | None = None
    ) -> tuple[WorkKind, ...]:
        """Record that a prediction finished between two ages; return the kinds whose curve has changed.

        Args:
            kind: the kind of work.
            after: the age at the last poll that said "not yet", 0 if there was none.
            by: the age at which it was found finished.
            ran_for: seconds that it ran as the provider reports it, if it does.
        """
        history = self._history(kind)
        if not history.observe_completion(after, by, ran_for):
            return ()
        changed = [kind]
        if history.fresh <= _MAX_PRIOR_UPDATES and not history.fresh & (history.fresh - 1):
            self._update_prior(kind)
            for kin, other in self._known.items():
                if kin[0] == kind[0] and kin != kind and not other.window:
                    self._update_prior(kin)
                    changed.append(kin)
        history.fit()
        return tuple(changed)

    def exploration_age(self, kind: WorkKind, check: float, *, random: Callable[[], float]) -> float | None:
        """Return, now and then, an age at which to poll a new prediction before its first check; mostly None.

        To be called once for each prediction, and kept: it replaces the first check, whatever the price does.

        Args:
            kind: the kind of work.
            check: the age that the plan gives for the first check.
            random: returns numbers drawn evenly from 0 up to 1.
        """
        if check <= _MIN_EXPLORATION_AGE or self._history(kind).reported or random() >= _EXPLORATION:
            return None
        return _MIN_EXPLORATION_AGE * math.exp(math.log(check / _MIN_EXPLORATION_AGE) * random())

    def save(self) -> Json:
        """Return the learned durations as JSON, for `load` in a later run."""
        kinds: list[Json] = [
            {"path": list(kind), "window": [edge for interval in list(history.window)[-SAVED:] for edge in interval]}
            for kind, history in self._known.items()
            if history.window
        ]
        return {"version": _VERSION, "kinds": kinds}

    @classmethod
    def load(cls, saved: Json) -> DurationModel:
        """Return a model that starts with saved durations; none of its predictions is running.

        Raises:
            InputError: they were not made by `save`, or by a version that this one does not know.
        """
        model = cls()
        for kind, window in _read(saved):
            history = model._known[kind] = History(_guess(kind), alpha=_ROOT_WEIGHT)
            for low, high in window:
                history.append(low, high)
        for kind, history in model._known.items():
            model._update_prior(kind)
            for _ in range(_WARM_FITS):
                history.fit()
        return model

    def _history(self, kind: WorkKind) -> History:
        history = self._known.get(kind)
        if history is None:
            prior, alpha = self._prior(kind)
            history = self._known[kind] = History(prior, alpha=alpha)
        return history

    def _update_prior(self, kind: WorkKind) -> None:
        prior, alpha = self._prior(kind)
        self._known[kind].set_prior(prior, alpha=alpha)

    def _prior(self, kind: WorkKind) -> tuple[Shares, float]:
        """Return the distribution that the relatives of a kind suggest, and the predictions that it counts for."""
        shares, alpha = _guess(kind), _ROOT_WEIGHT
        known = [(kin, history) for kin, history in self._known.items() if kin != kind and history.window]
        for depth in range(1, len(kind)):
            near = [history for kin, history in known if kin[:depth] == kind[:depth]]
            nearer = [history for kin, history in known if kin[: depth + 1] == kind[: depth + 1]]
            # Where no relative leaves at the next part, the same completions would count twice.
            if near and (len(near) > len(nearer) or depth + 1 == len(kind)):
                shares = as_prior(fit(near, shares, alpha=alpha, start=shares))
                alpha = _KIN_WEIGHT
        return shares, alpha


def _guess(kind: WorkKind) -> Shares:
    return _GUESSES.get(kind[0], _ANY_KIND)


def _read(saved: Json) -> list[tuple[WorkKind, list[tuple[int, int]]]]:
    """Return the kinds and windows of saved durations, each checked."""
    if not isinstance(saved, Mapping) or set(saved) != {"version", "kinds"} or not isinstance(saved["kinds"], list):
        raise InputError("This is not a saved record of how long predictions take.")
    if type(saved["version"]) is not int or saved["version"] != _VERSION:
        raise InputError(
            f"How long predictions take was saved by another version: {saved['version']!r}, not {_VERSION}."
        )
    read = [_read_kind(kind) for kind in saved["kinds"]]
    if len({kind for kind, _ in read}) != len(read):
        raise InputError("The saved record of how long predictions take names one kind of work twice.")
    return read


def _read_kind(saved: Json) -> tuple[WorkKind, list[tuple[int, int]]]:
    if isinstance(saved, Mapping) and set(saved) == {"path", "window"}:
        names, flat = saved["path"], saved["window"]
        if isinstance(names, list) and isinstance(flat, list) and names and 0 < len(flat) <= 2 * SAVED:
            kind = tuple(name for name in names if isinstance(name, str))
            edges = [edge for edge in flat if type(edge) is int and 0 <= edge <= BINS]
            window = list(zip(edges[::2], edges[1::2], strict=False))
            complete = len(kind) == len(names) and len(edges) == len(flat) == 2 * len(window)
            if complete and all(low < high for low, high in window):
                return kind, window
    raise InputError("The saved record of how long predictions take is damaged.")
