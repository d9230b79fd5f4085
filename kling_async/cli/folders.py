"""`kling-async status`, `report` and `unconfirmed`: what stands in the folder of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ..effects.clock import SystemClock
from ..effects.journal import SqliteJournal
from ..errors import InputError, InputFault
from ..folder import RunFolder
from ..planning.moves import State
from ..planning.submissions import Decision, Submission
from ..providers.fields import valid_id
from ..recorder import Recorder
from ..report.totals import count_totals
from ..report.words import say_money
from ..sheets import json_line
from .options import NOTHING_SAID
from .runner import figures, money, tell_totals
from .talk import ExitCode, data, escape, put, run, say, table_of

__all__ = ["report", "status", "unconfirmed"]

AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


def status(folder: Path, /, *, json: AsJson = False) -> int:
    """Show how the run of a folder stands, also while it is under way in another process.

    Args:
        folder: The folder of a run.
        json: Put one JSON object on stdout.
    """

    def command() -> ExitCode:
        here = RunFolder(folder)
        about, reading = here.about(), here.read()
        totals = count_totals(here.rows(reading))
        if json:
            put(json_line({"sheet": about.get("sheet"), "under_way": reading.owner, **figures(totals)}))
            return ExitCode.DONE
        for name, count in totals.statuses.items():
            put(f"{count:>7,}  {name}")
        put(f"{totals.jobs:>7,}  jobs of {about.get('sheet')}; {money(totals)}")
        say(f"Under way: {escape(reading.owner)}" if reading.owner else "Nobody is at work on it.")
        if totals.statuses.get("unconfirmed"):
            say(f"What nobody knows: kling-async unconfirmed {escape(str(folder))}")
        return ExitCode.DONE

    return run(command)


def report(folder: Path, /) -> int:
    """Make the report and the results of a folder anew, and put the report's path on stdout.

    Args:
        folder: The folder of a run.
    """

    def command() -> ExitCode:
        here = RunFolder(folder)
        about = here.about()
        settings = NOTHING_SAID.after(about.get("settings"))
        rows, title = here.rows(here.read()), f"Run of {about.get('sheet')}"
        totals = here.write(rows, title=title, settings=settings.told(), made_at=datetime.now().astimezone())
        tell_totals(totals)
        put(str(here.report))
        return ExitCode.DONE

    return run(command)


def unconfirmed(
    folder: Path,
    decision: Literal["attach", "resubmit", "abandon"] | None = None,
    key: str | None = None,
    id: str | None = None,
    /,
    *,
    json: AsJson = False,
) -> int:
    """List the submissions of which nobody knows whether they arrived, or decide about one of them.

    Args:
        folder: The folder of a run.
        decision: What became of it, or shall.
        key: The job's key.
        id: The provider's id, for attach.
        json: Put one JSON object for each on stdout.
    """
    if decision is None:
        return run(lambda: _list(folder, as_json=json))
    return run(lambda: _decide(folder, decision, key, id))


def _list(folder: Path, *, as_json: bool) -> ExitCode:
    here = RunFolder(folder)
    here.about()
    found = [one for one in here.read().submissions if one.state is State.UNCONFIRMED and one.decision is None]
    if as_json:
        for one in found:
            put(json_line(_told(one)))
    elif found:
        table = table_of("key", "provider", "model", "sent (UTC)", "may have cost")
        for one in found:
            told = _told(one)
            price = "unknown" if one.price is None else say_money(one.price)
            table.add_row(
                escape(one.key), one.provider, one.model, str(told["sent_at"] or "")[:19].replace("T", " "), price
            )
        data.print(table)
        where = escape(str(folder))
        say("Look for each in the provider's own history, then say which it is:")
        say(f"  kling-async unconfirmed {where} attach KEY ID    it is there, under this id")
        say(f"  kling-async unconfirmed {where} resubmit KEY     it is not: once more, perhaps paid twice")
        say(f"  kling-async unconfirmed {where} abandon KEY      it does not matter any more")
    if not found:
        say("Nothing is unconfirmed.")
    return ExitCode.DONE


def _told(submission: Submission) -> dict[str, object]:
    sent_at = submission.sent_at
    return {
        "key": submission.key,
        "provider": submission.provider,
        "model": submission.model,
        "sent_at": None if sent_at is None else datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds"),
        "price": None if submission.price is None else float(submission.price),
        "why": submission.trouble.message if submission.trouble is not None else None,
    }


async def _decide(
    folder: Path, decision: Literal["attach", "resubmit", "abandon"], key: str | None, id: str | None
) -> ExitCode:
    faults = [] if key is not None else [InputFault("KEY", None, "must name the job")]
    if decision == "attach" and valid_id(id) is None:
        faults.append(InputFault("ID", id, "must be the provider's id"))
    if decision != "attach" and id is not None:
        faults.append(InputFault("ID", id, "is for attach only"))
    if faults or key is None:
        raise InputError.of("Nothing is decided", faults)
    here = RunFolder(folder)
    here.about()
    # The journal itself, and no client: a decision is a line in it, and needs neither a key nor a connection.
    recorder = Recorder(SqliteJournal(here.journal), clock=SystemClock())
    await recorder.open()
    try:
        await recorder.decide(key, _DECISIONS[decision], id=id or "")
    finally:
        await recorder.aclose()
    say(f"{escape(key)} is {_DECISIONS[decision].value}.")
    if decision != "abandon":
        say(f"Put it into effect with: [bold]kling-async resume {escape(str(folder))}[/]")
    return ExitCode.DONE


_DECISIONS = {"attach": Decision.ATTACHED, "resubmit": Decision.RESUBMITTED, "abandon": Decision.ABANDONED}
