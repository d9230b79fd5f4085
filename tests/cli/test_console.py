"""What the command line prints: nothing that a terminal obeys, but its own colours."""

from __future__ import annotations

import io
import sys

import pytest

from kling_async.cli import console as talk

CODES = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2J\x9b31m\u202ec\u2066\r\x08d"
GONE = "\N{REPLACEMENT CHARACTER}"
CLEAN = "a?]52;c;ZXZpbA==?b?[2J?31m?c???d".replace("?", GONE)


def test_talk_and_tables_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of talk, a heading and a cell show what somebody else wrote without its codes."""
    talk.echo(talk.escape(CODES))
    table = talk.table_of("name")
    table.add_row(talk.escape("a\x1b[2J"))
    talk.stdout.print(table)
    shown = capsys.readouterr()
    # rich leaves out some codes by itself.
    assert CLEAN.replace(GONE, "") == shown.err.strip().replace(GONE, "")
    assert f"a{GONE}[2J" in shown.out
    assert not [sign for sign in shown.out + shown.err if sign in CODES and not sign.isprintable()]


def test_colours_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is styled by the command line itself keeps its style in a terminal."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(talk.stderr, "_force_terminal", True)
    monkeypatch.setattr(talk.stderr, "_color_system", talk.stderr._color_system or 1)
    monkeypatch.setattr(talk.stderr, "no_color", False)
    talk.echo(f"[red]{talk.escape(CODES)}[/]")
    shown = sys.stderr.getvalue()
    assert shown.startswith("\x1b[31ma")
    assert "\x1b[2J" not in shown
    assert "\x1b]" not in shown


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "expected"), [(Terminal(), CLEAN), (io.StringIO(), CODES)])
def test_results_are_printable_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, expected: str
) -> None:
    """A line of results is cleaned where somebody looks at it, and left as it is where a program reads it."""
    monkeypatch.setattr(sys, "stdout", stream)
    talk.write_result(CODES)
    assert f"{expected}\n" == stream.getvalue()
