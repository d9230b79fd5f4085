"""`kling-async plan FILE --quote`: the price of each model in a job file, live where the provider tells one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

from attrs import evolve
from rich.table import Table

from ..client import Client
from ..providers import provider_named
from ..providers.pricing import Estimate
from ..providers.selection import accepting
from ..runs.jobfile import json_line
from ..types.errors import InputError
from ..types.formatting import format_count
from ..types.inputs import Input
from ..types.jobs import Job
from ..types.media_values import with_addresses
from .console import ExitCode, echo, escape, stderr, table_of, write_result
from .options import Options
from .plan import RunPlan, raise_for_faults
from .start import JobFile, check_api_keys

__all__ = ["quote_file"]

_Row: TypeAlias = tuple[str, str]
"""A provider and a model, by their names."""


async def quote_file(file: JobFile, options: Options, *, limit: int | None) -> ExitCode:
    """Check the jobs of a job file, and print what each model of it costs at each provider that takes it.

    Raises:
        InputError: a row is wrong, or there is no API key for a provider.
        AuthenticationError: a provider refuses its API key.
    """
    plan = RunPlan(file.options(options), limit=limit)
    jobs = file.read(plan)
    raise_for_faults(plan, file.path)
    quotes = await _quotes(_by_model(jobs, plan.options))
    if options.json:
        for row, one in quotes.items():
            write_result(json_line(_as_json(row, one)))
    else:
        stderr.print(_table(quotes))
    _print_total(plan, quotes)
    echo("Nothing was submitted.")
    return ExitCode.DONE


async def _quotes(rows: dict[_Row, list[Job]]) -> dict[_Row, Estimate]:
    """Return the cost of each row; a provider that tells no price is not asked, and needs no key."""
    asked = {row[0] for row, own in rows.items() if any(map(provider_named(row[0]).build_quote, _inputs(own)))}
    check_api_keys(asked)
    client = Client(next(iter(asked or {row[0] for row in rows})))
    quotes = {row: client.estimate(own, provider=row[0]) for row, own in rows.items()}
    if asked:
        async with client:
            live = {row: await client.quote(own, provider=row[0]) for row, own in rows.items() if row[0] in asked}
        quotes |= live
    return quotes


def _inputs(jobs: Iterable[Job]) -> Iterator[Input]:
    return (job.input for job in jobs)


def _by_model(jobs: Sequence[Job], options: Options) -> dict[_Row, list[Job]]:
    """Return jobs by provider and model: a job that several providers take is in a row of each."""
    rows: dict[_Row, list[Job]] = {}
    providers = [provider_named(name) for name in options.providers]
    for job in jobs:
        for provider in accepting(job, providers, storage=options.storage is not None):
            spec = provider.spec(job.input)
            rows.setdefault((provider.name, spec.canonical), []).append(
                evolve(job, provider=provider.name, input=with_addresses(job.input))
            )
    if not rows:
        raise InputError("There is no job to ask a price for")
    return rows


def _table(quotes: dict[_Row, Estimate]) -> Table:
    table = table_of("provider", "model", "jobs", "price from", "cost")
    for (provider, model), one in quotes.items():
        jobs = f"{one.priced + len(one.unpriced):,}"
        cost = str(evolve(one, unpriced=())) if one.priced else "unknown"
        table.add_row(provider, escape(model), jobs, _origin(one), cost)
    return table


def _origin(one: Estimate) -> str:
    """Return where prices are from: one word for all jobs, or a number for each."""
    counts = {"live": one.live, "table": one.priced - one.live, "unknown": len(one.unpriced)}
    named = {name: count for name, count in counts.items() if count}
    return next(iter(named)) if len(named) == 1 else ", ".join(f"{count:,} {name}" for name, count in named.items())


def _as_json(row: _Row, one: Estimate) -> dict[str, object]:
    return {
        "provider": row[0],
        "model": row[1],
        "jobs": one.priced + len(one.unpriced),
        "live": one.live,
        "table": one.priced - one.live,
        "unknown": len(one.unpriced),
        "low": str(one.low) if one.priced else None,
        "high": str(one.high) if one.priced else None,
    }


def _print_total(plan: RunPlan, quotes: dict[_Row, Estimate]) -> None:
    """Print the sum, unless jobs are in several rows: which provider gets them is open then."""
    rows = sum(one.priced + len(one.unpriced) for one in quotes.values())
    if rows > plan.summary.jobs:
        echo(f"{format_count(plan.summary.jobs, 'job')}, with a line at each provider that takes them.")
        return
    total = Estimate(
        low=sum((one.low for one in quotes.values()), Decimal(0)),
        high=sum((one.high for one in quotes.values()), Decimal(0)),
        priced=sum(one.priced for one in quotes.values()),
        unpriced=tuple(model for one in quotes.values() for model in one.unpriced),
    )
    echo(f"{format_count(plan.summary.jobs, 'job')}, expected cost: {escape(str(total))}.")
