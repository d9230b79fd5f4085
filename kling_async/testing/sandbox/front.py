"""The pages that the sandbox has of its own: what it is, and its books."""

from __future__ import annotations

from ...prediction import Json
from .http import Answer, json_answer, text
from .state import Sandbox

__all__ = ["front_page", "ledger_page"]


def front_page(origin: str) -> Answer:
    """Say what this is."""
    return text(
        "This is the sandbox of kling_async: GPTProto and API in One, pretended. Nothing here costs money.\n\n"
        f"GPTProto    POST {origin}/api/v3/kwaivgi/{{model}}/{{scene}}\n"
        f"            GET  {origin}/api/v3/predictions/{{id}}/result\n"
        f"API in One  POST {origin}/api/v1/images/generations\n"
        f"            POST {origin}/api/v1/videos/generations\n"
        f"            GET  {origin}/api/v1/tasks/{{task_id}}\n"
        f"Its books   GET  {origin}/sandbox/ledger\n"
    )


def ledger_page(sandbox: Sandbox) -> Answer:
    """Show the books as JSON; money is in strings, in US dollars."""
    entries: list[Json] = [
        {
            "id": entry.id,
            "provider": entry.provider,
            "model": entry.model,
            "prompt": entry.prompt,
            "at": entry.at,
            "amount": str(entry.amount),
            "answered": entry.answered,
            "refunded": entry.refunded,
        }
        for entry in sandbox.entries
    ]
    return json_answer(
        {
            "balance": str(sandbox.balance),
            "spent": str(sandbox.spent),
            "billed": sandbox.billed(),
            "submits": sandbox.submits,
            "polls": sandbox.polls,
            "downloads": sandbox.downloads,
            "entries": entries,
        }
    )
