"""`kling-async explain`: explain an error or a sandbox fault, offline, from the texts in the code."""

from __future__ import annotations

import inspect
import re
import sys

from ..providers.parameter_rules import suggestion
from ..testing import FAULTS
from ..types import errors
from ..types.errors import InputError, KlingError
from .console import ExitCode, escape, run, stdout, table_of

__all__ = ["explain"]


def explain(name: str | None = None, /) -> int:
    """Explain an error or a sandbox fault: its meaning, whether money may be spent, and what to do.

    Args:
        name: Class of the error, such as AnswerLost, or name of a sandbox fault, such as lost. Without it all are
            listed.
    """
    return run(_list if name is None else lambda: _explain(name))


def _list() -> ExitCode:
    table = table_of("name", "meaning")
    table.columns[0].no_wrap = True
    for error_name, error in _errors().items():
        table.add_row(error_name, escape(_paragraphs(error)[0]))
    for fault_name, fault in FAULTS.items():
        table.add_row(fault_name, f"sandbox fault: {escape(fault.meaning)}")
    stdout.print(table)
    return ExitCode.DONE


def _explain(name: str) -> ExitCode:
    """Print all entries of a name. An error and a fault may have the same one, such as Refused and refused."""
    texts = [_error_text(title, error) for title, error in _errors().items() if title.lower() == name.lower()]
    texts += [_fault_text(title) for title in FAULTS if title == name.lower()]
    if not texts:
        names = [*_errors(), *FAULTS]
        raise InputError(
            f'No error or sandbox fault is named "{name}"{suggestion(name, names)}',
            advice="`kling-async explain` lists all names.",
        )
    stdout.print("\n\n".join(texts), soft_wrap=not sys.stdout.isatty())
    return ExitCode.DONE


def _errors() -> dict[str, type[KlingError]]:
    """Return the classes of errors by their public names, aliases included."""
    return {name: kind for name in errors.__all__ if issubclass(kind := getattr(errors, name), KlingError)}


def _paragraphs(error: type[KlingError]) -> list[str]:
    """Return the paragraphs of a class's docstring before its list of attributes."""
    text = (inspect.getdoc(error) or error.__name__).partition("\nAttributes:")[0]
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def _error_text(title: str, error: type[KlingError]) -> str:
    alias = "" if title == error.__name__ else f" (alias of {error.__name__})"
    lines = [f"[bold]{title}[/]{alias}", *map(escape, _paragraphs(error)), f"Money: {escape(error.billing)}"]
    return "\n".join([*lines, f"What to do: {escape(error.advice)}"] if error.advice else lines)


def _fault_text(name: str) -> str:
    fault = FAULTS[name]
    marker = f"[[{name}:ARG]], where ARG is {fault.arg}" if fault.arg else f"[[{name}]]"
    free = "Polls, downloads and webhooks are free."
    money = {None: free, True: "The submission is charged.", False: "Nothing is charged."}
    lines = (
        f"[bold]{name}[/] (a fault that the sandbox injects)",
        escape(f"{fault.meaning[0].upper()}{fault.meaning[1:]}."),
        f"Money: {money[fault.billed]}",
        f"How to request it: {escape(marker)} in a prompt, or the header X-Sandbox-Fault: {name}",
    )
    return "\n".join(lines)
