"""What tools return: plain values that a model reads."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from ...providers import ModelSpec, Provider
from ..live_jobs import JobState
from ..live_run import LiveRun

__all__ = ["BatchView", "BudgetView", "JobView", "ModelView", "Plan", "budget_view", "job_view", "model_view"]


class BudgetView(BaseModel):
    """The budget of the run, in US dollars."""

    max_cost: str
    committed: str
    left: str


class JobView(BaseModel):
    """A job of the run. `may_cost` is in US dollars; `files` are paths on the machine of the server."""

    key: str
    status: str
    ended: bool
    model: str | None
    prompt: str
    may_cost: str
    files: list[str]
    error: str | None


class ModelView(BaseModel):
    """A model at a provider. `price` is in US dollars."""

    provider: str
    model: str
    makes: str
    scenes: list[str]
    price: str
    fields: dict[str, str]


class Plan(BaseModel):
    """What jobs would cost at most, in US dollars, and whether that fits into the budget."""

    jobs: int
    may_cost: str
    fits: bool
    budget: BudgetView


class BatchView(BaseModel):
    """How far the jobs of the run are."""

    statuses: dict[str, int]
    unfinished: int
    budget: BudgetView


def budget_view(run: LiveRun) -> BudgetView:
    """Return the budget of a run."""
    left = max(run.max_cost - run.committed, Decimal(0))
    return BudgetView(max_cost=str(run.max_cost), committed=str(run.committed), left=str(left))


def job_view(state: JobState) -> JobView:
    """Return what is known of a job."""
    prediction = state.prediction
    return JobView(
        key=state.key,
        status=state.status.value,
        ended=state.ended,
        model=state.job.input.model if prediction is None else prediction.model,
        prompt=state.job.input.prompt,
        may_cost=str(state.price),
        files=[str(_absolute(path)) for path in state.files],
        error=None if state.error is None else str(state.error),
    )


def model_view(provider: Provider, spec: ModelSpec) -> ModelView:
    """Return a model at a provider, with the rules of its fields."""
    return ModelView(
        provider=provider.name,
        model=spec.canonical,
        makes=spec.kind.value,
        scenes=[scene.value for scene in spec.scenes],
        price=spec.price_text,
        fields={one.name: str(one.rule) for one in spec.parameters if not one.extra},
    )


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else Path.cwd() / path
