"""The page of commands has all commands and options of the program."""

from __future__ import annotations

from pathlib import Path

from ..conftest import load_from_docs

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_command_and_option_is_there(tmp_path: Path) -> None:
    """Each command is a section, with its options and exit codes; the guide names each command, too."""
    module = load_from_docs("commands_page.py")
    module.write_commands_page(tmp_path / "commands.md")
    page = (tmp_path / "commands.md").read_text(encoding="utf-8")
    guide = (DOCS / "howto" / "command_line.md").read_text(encoding="utf-8")
    names = (
        "batch",
        "plan",
        "compare",
        "resume",
        "retry",
        "runs",
        "get",
        "wait",
        "open",
        "costs",
        "cancel",
        "watch",
        "status",
        "report",
        "contact-sheet",
        "enqueue",
        "worker",
        "unconfirmed",
        "generate",
        "models",
        "providers",
        "sandbox",
        "explain",
    )
    for name in (*names, "explain", "doctor", "demo"):
        assert f"## kling-async {name}\n" in page
        assert f"`kling-async {name}" in guide or f"$ kling-async {name}" in guide, name
    for option in ("--max-cost", "--price", "--fail-fast", "--retry-failed", "--progress", "--no-download", "--set"):
        assert option in page
        assert option in guide
