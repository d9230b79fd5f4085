"""Targets: the providers and models at which the same job is run, to compare them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self, TypeAlias

from attrs import evolve, frozen

from ..providers import PROVIDERS, ModelSpec, Provider, provider_named
from ..providers.parameter_rules import suggestion
from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint

__all__ = ["Target", "alias_faults", "known_model", "name_faults", "parse_targets", "refusals"]


@frozen
class Target:
    """A provider, a model, or both.

    Attributes:
        provider: the provider's name; None is that of the job or of the run.
        model: the model's name; None is that of the input, or the provider's default.
    """

    provider: str | None = None
    model: str | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the target that a job names."""
        return cls(job.provider, job.input.model)

    @property
    def labels(self) -> dict[str, str]:
        """What it sets, by the name of the field."""
        named = {"provider": self.provider, "model": self.model}
        return {name: value for name, value in named.items() if value is not None}

    def __str__(self) -> str:
        return ":".join(self.labels.values())


def parse_targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """Parse targets, each PROVIDER:MODEL, PROVIDER or :MODEL. Models get their canonical names.

    Raises:
        InputError: there is none, or one is unknown or given twice; it has all faults.
    """
    found: dict[Target, str] = {}
    faults: list[InputFault] = []
    for text in texts:
        try:
            target = _parse(text)
        except InputError as error:
            faults += [fault._replace(field="on", value=text) for fault in error.faults]
        else:
            if target in found:
                faults.append(InputFault("on", text, f"is the same as {found[target]}"))
            found.setdefault(target, text)
    if not found and not faults:
        faults.append(InputFault("on", None, "must be PROVIDER:MODEL, PROVIDER or :MODEL, at least once"))
    if faults:
        raise InputError.of("Invalid targets", faults)
    return tuple(found)


def _parse(text: str) -> Target:
    name, _, model = (part.strip() for part in text.partition(":"))
    if not name and not model:
        raise InputError.of("Invalid target", [InputFault("on", text, "must be PROVIDER:MODEL, PROVIDER or :MODEL")])
    if not model and name not in PROVIDERS and any(provider.find_model(name) for provider in PROVIDERS.values()):
        advice = f"is a model; write :{name} for the run's provider, or PROVIDER:{name}"
        raise InputError.of("Invalid target", [InputFault("on", text, advice)])
    providers = [provider_named(name)] if name else list(PROVIDERS.values())
    return Target(name or None, known_model(model, providers).canonical if model else None)


def known_model(name: str, providers: Iterable[Provider] | None = None) -> ModelSpec:
    """Return the model with that name at the first of some providers, by default of all. Raises InputError."""
    asked = list(PROVIDERS.values() if providers is None else providers)
    for provider in asked:
        if (spec := provider.find_model(name)) is not None:
            return spec
    names = sorted({spec.canonical for provider in asked for spec in provider.models.values()})
    known = {known for provider in asked for known in provider.model_names}
    where = f" at {asked[0].name}" if len(asked) == 1 else ""
    allowed = f"must be one of {', '.join(names)}{where}{suggestion(name, known)}"
    raise InputError.of("Unknown model", [InputFault("model", name, allowed)])


def refusals(jobs: Iterable[Job]) -> dict[Target, list[InputFault]]:
    """Check jobs at their targets, without a default provider: a job that names none is asked of all with its model.

    Returns the faults by target; a target without a fault has an empty list.
    """
    found: dict[Target, list[InputFault]] = {}
    for job in jobs:
        found.setdefault(Target.of(job), []).extend(_refusal(job))
    return found


def _refusal(job: Job) -> Sequence[InputFault]:
    model, found = job.input.model, list[InputError]()
    try:
        asked = [provider_named(job.provider)] if job.provider else list(PROVIDERS.values())
        if model is not None:
            known_model(model, asked)
    except InputError as error:
        return error.faults
    for provider in asked:
        if job.provider or model is None or provider.find_model(model) is not None:
            try:
                provider.check(job.input)
            except InputError as error:
                found.append(error)
            else:
                return ()
    return found[0].faults


def name_faults(found: Mapping[Target, Iterable[InputFault]], *, alone: bool = False) -> list[InputFault]:
    """Return faults with the target that each is of, once each.

    A fault of every target is one of the job itself and stays as it is; a single target is named if `alone`.
    """
    faults = {target: {_identity(fault): fault for fault in own} for target, own in found.items()}
    first, *others = map(set[_Identity], faults.values())
    shared = set[_Identity]() if alone and not others else first.intersection(*others)
    named: dict[_Identity, InputFault] = {}
    for target, own in faults.items():
        for identity, fault in own.items():
            one = fault if identity in shared else fault._replace(allowed=f"at {target}, {fault.allowed}")
            named.setdefault(_identity(one), one)
    return list(named.values())


_Identity: TypeAlias = tuple[str, str, str]


def _identity(fault: InputFault) -> _Identity:
    return fault.field, repr(fault.value), fault.allowed  # a value may be a list, which has no hash


def alias_faults(jobs: Iterable[Job]) -> Iterator[InputFault]:
    """Yield a fault for each job that is the same as another by two names of its model: it would be paid twice."""
    listed = list(jobs)
    names: dict[tuple[str | None, str], set[str]] = {}
    for target in dict.fromkeys(map(Target.of, listed)):
        if (canonical := _canonical(target)) is not None and target.model is not None:
            names.setdefault((target.provider, canonical), set()).add(target.model)
    seen: dict[tuple[str | None, str], str] = {}
    for job in listed:
        canonical, model = _canonical(Target.of(job)), job.input.model
        if canonical is None or model is None or len(names[job.provider, canonical]) == 1:
            continue
        first = seen.setdefault((job.provider, fingerprint(evolve(job.input, model=canonical))), model)
        if first != model:
            yield InputFault("vars.model", model, f"is another name of {first}")


def _canonical(target: Target) -> str | None:
    """Return the canonical name of a target's model; None if it names none, or one that is unknown there."""
    named = PROVIDERS.get(target.provider or "")
    providers = PROVIDERS.values() if named is None else [named]
    found = (provider.find_model(target.model or "") for provider in providers)
    return next((spec.canonical for spec in found if spec is not None), None)
