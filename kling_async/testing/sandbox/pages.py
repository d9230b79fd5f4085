"""The sandbox's own pages: an index, and the ledger."""

from __future__ import annotations

from ...types.prediction import Json
from .http import Response, json_response, text_response
from .state import Sandbox

__all__ = ["index_page", "ledger_page"]


def index_page(origin: str) -> Response:
    """Return the index page: a description and the routes."""
    return text_response(
        "This is the sandbox of kling_async. It emulates providers of Kling. Nothing here costs money.\n\n"
        f"GPTProto    POST {origin}/api/v3/kwaivgi/{{model}}/{{scene}}\n"
        f"            GET  {origin}/api/v3/predictions/{{id}}/result\n"
        f"API in One  POST {origin}/api/v1/images/generations\n"
        f"            POST {origin}/api/v1/videos/generations\n"
        f"            GET  {origin}/api/v1/tasks/{{task_id}}\n"
        f"WaveSpeedAI POST {origin}/api/v3/kwaivgi/{{model}}/{{scene}}\n"
        f"            GET  {origin}/api/v3/predictions/{{id}}/result\n"
        f"            POST {origin}/api/v3/model/price\n"
        f"            GET  {origin}/api/v3/balance\n"
        f"            GET  {origin}/api/v3/models\n"
        "            by another key than GPTProto: that of the sandbox, -wavespeed behind it\n"
        f"fal         POST {origin}/{{endpoint}}\n"
        f"            GET  {origin}/{{owner}}/{{app}}/requests/{{id}}/status\n"
        f"            GET  {origin}/{{owner}}/{{app}}/requests/{{id}}\n"
        f"            PUT  {origin}/{{owner}}/{{app}}/requests/{{id}}/cancel\n"
        f"            GET  {origin}/models/{{endpoint}}/llms.txt\n"
        f"Replicate   POST {origin}/v1/models/kwaivgi/{{model}}/predictions\n"
        f"            GET  {origin}/v1/predictions/{{id}}\n"
        f"            POST {origin}/v1/predictions/{{id}}/cancel\n"
        f"OpenRouter  POST {origin}/api/v1/videos\n"
        f"            GET  {origin}/api/v1/videos/{{id}}\n"
        f"            GET  {origin}/api/v1/videos/{{id}}/content\n"
        f"            GET  {origin}/api/v1/videos/models\n"
        f"Comfy       POST {origin}/v2/models/kling/{{model}}/requests\n"
        f"            GET  {origin}/v2/models/kling/{{model}}/requests/{{id}}/status\n"
        f"            GET  {origin}/v2/models/kling/{{model}}/requests/{{id}}\n"
        f"            PUT  {origin}/v2/models/kling/{{model}}/requests/{{id}}/cancel\n"
        f"            POST {origin}/v2/models/kling/{{model}}/estimate\n"
        f"            GET  {origin}/v2/models/kling/{{model}}/openapi.json\n"
        f"            GET  {origin}/v2/models\n"
        f"Kling       POST {origin}/{{text-to-video,image-to-video,omni-video,motion-control}}/{{model}}\n"
        f"            GET  {origin}/tasks?task_ids={{id}}\n"
        f"            POST {origin}/v1/{{images,videos}}/{{product}}\n"
        f"            GET  {origin}/v1/{{images,videos}}/{{product}}/{{task_id}}\n"
        f"Atlas Cloud POST {origin}/api/v1/model/generateVideo\n"
        f"            GET  {origin}/api/v1/model/prediction/{{id}}\n"
        f"            GET  {origin}/public/v1/balance\n"
        f"Ledger      GET  {origin}/sandbox/ledger\n"
    )


def ledger_page(sandbox: Sandbox) -> Response:
    """Return the ledger as JSON; money is in strings, in US dollars."""
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
    return json_response(
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
