"""How long predictions take: the completion law of each kind of work, learned while working.

Theory of operation. A kind of work is a path, from the general to the special: kind of output, provider, model, scene,
size. What was seen of it is a `History` of intervals, from which `smoothing` makes a law; a changed provider is
believed once the ring of intervals has turned over.

A path that is new starts with the law of its relatives: all that is known of the same kind of output, corrected by
what is known under the same provider, then the same model, and so on; at the root stands a broad guess. Each step
counts for one or two predictions of the next, so that a path's own completions soon outweigh it.

Where a provider reports how long the work ran, that is taken as the time, shifted by what reports have fallen short of
the looks so far (the queue), but never against a look: then the interval is taken, and the shift gives way. Where
nothing is reported, an early hump may hide inside the first interval for ever; a few first looks, 1.5 % of them, are
therefore taken at an earlier age.

An engine calls `started`, `not_yet`, `finished` or `withdrawn`, and makes `Plan(Law.of(*learner.curve(path)))` of each
path that `finished` returns. All ages are seconds since the submission was accepted: `before` and `after` are when the
last look that said "not yet" was sent (0 if there was none), `by` is when the reply that said "finished" was there. A
failed look is no answer, and is not told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from ..errors import InputError
from ..prediction import Json
from .history import SAVED, History, Shares, fit
from .smoothing import AGES, BINS, as_prior, lognormal, survival

__all__ = ["Learner", "Path"]

Path: TypeAlias = tuple[str, ...]
"""A kind of work, from the general to the special: `("video", provider, model, scene, size)`."""

_GUESSES: Final = {"image": lognormal(9.0, 1.0), "video": lognormal(100.0, 1.0)}
_ANYTHING: Final = lognormal(30.0, 1.5)
_ROOT_WEIGHT, _KIN_WEIGHT = 1.0, 2.0
"""Predictions that a guess, and that the law of relatives counts for."""
_UNTIL: Final = 32
"""Completions after which relatives are not asked again."""
_EXPLORES: Final = 0.015
"""Share of first looks that come early: 1 to 2 % find a hidden hump, and cost other laws less than 1 %."""
_EARLIEST: Final = AGES[1]
_WARM_FITS: Final = 4
"""Fits after loading, each of some rounds: the estimate starts from the guess and has to come all the way."""
_VERSION: Final = 1
"""Of what is saved: the meaning of an edge is the grid of `smoothing`, so another grid is another version."""


class Learner:
    """The completion laws of all kinds of work, learned from looks."""

    def __init__(self) -> None:
        self._known: dict[Path, History] = {}

    def curve(self, path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return ages in seconds and the share still running at each, as `Law.of` takes them."""
        return AGES, survival(self._of(path).shares)

    def started(self, path: Path) -> None:
        """Note that a prediction runs, once for each that is accepted or restored."""
        self._of(path).started()

    def not_yet(self, path: Path, *, before: float, age: float) -> None:
        """Note that a look at `age` said "not yet", as the one at `before` did, 0 if there was none."""
        self._of(path).not_yet(before, age)

    def withdrawn(self, path: Path, *, after: float) -> None:
        """Note that a prediction will not be looked at any more, though it was not seen to finish."""
        self._of(path).withdrawn(after)

    def finished(self, path: Path, *, after: float, by: float, ran_for: float | None = None) -> tuple[Path, ...]:
        """Note that a prediction finished between two ages; return the paths whose law is a new one now.

        Args:
            path: the kind of work.
            after: the age of the last look that said "not yet", 0 if there was none.
            by: the age when it was found finished.
            ran_for: how long it ran by the provider's own account, if it gives one.
        """
        history = self._of(path)
        if not history.finished(after, by, ran_for):
            return ()
        news = [path]
        if history.fresh <= _UNTIL and not history.fresh & (history.fresh - 1):
            self._believe(path)
            for kin, other in self._known.items():
                if kin[0] == path[0] and kin != path and not other.window:
                    self._believe(kin)
                    news.append(kin)
        history.fit()
        return tuple(news)

    def early_look(self, path: Path, check: float, *, dice: Callable[[], float]) -> float | None:
        """Return the age, now and then, at which to look at a new prediction before its first check; mostly None.

        To be asked once for each prediction, and kept: it stands in for the first check, whatever the price does.

        Args:
            path: the kind of work.
            check: the age that the plan gives for the first check.
            dice: gives numbers from 0 to 1.
        """
        if check <= _EARLIEST or self._of(path).reported or dice() >= _EXPLORES:
            return None
        return _EARLIEST * math.exp(math.log(check / _EARLIEST) * dice())

    def save(self) -> Json:
        """Return what was learned, for `load` in a later run."""
        kinds: list[Json] = [
            {"path": list(path), "window": [edge for interval in list(history.window)[-SAVED:] for edge in interval]}
            for path, history in self._known.items()
            if history.window
        ]
        return {"version": _VERSION, "kinds": kinds}

    @classmethod
    def load(cls, saved: Json) -> Learner:
        """Return a learner that starts with what another one saved; none of its predictions is running.

        Raises:
            InputError: that was not made by `save`, or by a version that this one does not know.
        """
        learner = cls()
        for path, window in _read(saved):
            history = learner._known[path] = History(_guess(path), alpha=_ROOT_WEIGHT)
            for low, high in window:
                history.keep(low, high)
        for path, history in learner._known.items():
            learner._believe(path)
            for _ in range(_WARM_FITS):
                history.fit()
        return learner

    def _of(self, path: Path) -> History:
        history = self._known.get(path)
        if history is None:
            prior, alpha = self._prior(path)
            history = self._known[path] = History(prior, alpha=alpha)
        return history

    def _believe(self, path: Path) -> None:
        prior, alpha = self._prior(path)
        self._known[path].believe(prior, alpha=alpha)

    def _prior(self, path: Path) -> tuple[Shares, float]:
        """Return what the relatives of a path say of it, and how many predictions that counts for."""
        shares, alpha = _guess(path), _ROOT_WEIGHT
        known = [(kin, history) for kin, history in self._known.items() if kin != path and history.window]
        for depth in range(1, len(path)):
            near = [history for kin, history in known if kin[:depth] == path[:depth]]
            nearer = [history for kin, history in known if kin[: depth + 1] == path[: depth + 1]]
            # Where nobody else shares the next part too, the same completions would count twice.
            if near and (len(near) > len(nearer) or depth + 1 == len(path)):
                shares = as_prior(fit(near, shares, alpha=alpha, start=shares))
                alpha = _KIN_WEIGHT
        return shares, alpha


def _guess(path: Path) -> Shares:
    return _GUESSES.get(path[0], _ANYTHING)


def _read(saved: Json) -> list[tuple[Path, list[tuple[int, int]]]]:
    """Return the paths and windows of what was saved, each checked."""
    if not isinstance(saved, Mapping) or set(saved) != {"version", "kinds"} or not isinstance(saved["kinds"], list):
        raise InputError("This is not a saved record of how long predictions take.")
    if type(saved["version"]) is not int or saved["version"] != _VERSION:
        raise InputError(
            f"How long predictions take was saved by another version: {saved['version']!r}, not {_VERSION}."
        )
    read = [_read_kind(kind) for kind in saved["kinds"]]
    if len({path for path, _ in read}) != len(read):
        raise InputError("The saved record of how long predictions take names one kind of work twice.")
    return read


def _read_kind(kind: Json) -> tuple[Path, list[tuple[int, int]]]:
    if isinstance(kind, Mapping) and set(kind) == {"path", "window"}:
        names, flat = kind["path"], kind["window"]
        if isinstance(names, list) and isinstance(flat, list) and names and 0 < len(flat) <= 2 * SAVED:
            path = tuple(name for name in names if isinstance(name, str))
            edges = [edge for edge in flat if type(edge) is int and 0 <= edge <= BINS]
            window = list(zip(edges[::2], edges[1::2], strict=False))
            whole = len(path) == len(names) and len(edges) == len(flat) == 2 * len(window)
            if whole and all(low < high for low, high in window):
                return path, window
    raise InputError("The saved record of how long predictions take is damaged.")
