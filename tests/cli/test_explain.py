"""`explain`: every error and every sandbox fault, from the texts in the code."""

from __future__ import annotations

import pytest

from kling_async.cli.explain import explain
from kling_async.testing import FAULTS
from kling_async.types import errors
from kling_async.types.errors import KlingError

ERRORS = [name for name in errors.__all__ if issubclass(getattr(errors, name), KlingError)]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The paragraph has the name, the meaning, the money and the advice, and the attributes are left out."""
    assert 0 == explain(name)
    shown = capsys.readouterr().out
    kind: type[KlingError] = getattr(errors, name)
    assert shown.startswith(name)
    assert " ".join((kind.__doc__ or "").partition("\n\n")[0].split()).rstrip() in shown
    assert f"Money: {kind.billing}" in shown
    assert kind.advice in shown
    assert "Attributes:" not in shown


def test_each_error_says_whether_it_costs_money() -> None:
    """Only the base class leaves the question open, and a class that is always billed does not say that it is free."""
    kinds = {getattr(errors, name) for name in ERRORS}
    assert [KlingError] == [kind for kind in kinds if kind.billing == KlingError.billing]
    assert not [kind for kind in kinds if kind.may_be_billed and kind.billing.startswith("None")]


@pytest.mark.parametrize("name", FAULTS)
def test_a_sandbox_fault_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault has its meaning, whether it is charged, and how to request it."""
    assert 0 == explain(name)
    shown = capsys.readouterr().out
    assert FAULTS[name].meaning[1:] in shown
    assert f"[[{name}" in shown
    assert "Money: " in shown


def test_a_name_that_is_both_is_explained_as_both(capsys: pytest.CaptureFixture[str]) -> None:
    """Upper and lower case make no difference, and an alias names its class."""
    assert 0 == explain("refused")
    assert "Refused\n" in (shown := capsys.readouterr().out)
    assert "refused (a fault" in shown
    assert 0 == explain("unconfirmed")
    assert capsys.readouterr().out.startswith("Unconfirmed (alias of AnswerLost)")


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has every error and every fault."""
    assert 0 == explain()
    shown = capsys.readouterr().out
    assert [] == [name for name in (*ERRORS, *FAULTS) if name not in shown]


@pytest.mark.parametrize(("name", "near"), [("AnserLost", "AnswerLost"), ("pol_lost", "poll_lost")])
def test_an_unknown_name_is_answered_with_the_closest(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is bad input, with a suggestion and the way to the list."""
    assert 2 == explain(name)
    shown = capsys.readouterr()
    assert "" == shown.out
    assert f'named "{name}"; did you mean {near}?' in shown.err
    assert "`kling-async explain` lists all names" in shown.err
