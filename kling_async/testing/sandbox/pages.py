"""The sandbox's own pages: an index, and the ledger. A browser gets HTML, and everything else text and JSON."""

from __future__ import annotations

from typing import Final

from ...types.prediction import Json
from .browser_pages import front_page, icon, ledger_table, wants_html
from .callbacks import KEYS_PATHS, jwks
from .http import Request, Response, html_response, json_response, text_response
from .state import Sandbox

__all__ = ["index_page", "ledger_page", "own_page"]


_ROUTES: Final = """\
GPTProto    POST @/api/v3/kwaivgi/{model}/{scene}
            GET  @/api/v3/predictions/{id}/result
API in One  POST @/api/v1/images/generations
            POST @/api/v1/videos/generations
            GET  @/api/v1/tasks/{task_id}
WaveSpeedAI POST @/api/v3/kwaivgi/{model}/{scene}
            GET  @/api/v3/predictions/{id}/result
            POST @/api/v3/model/price
            GET  @/api/v3/balance
            GET  @/api/v3/models
            by another key than GPTProto: that of the sandbox, -wavespeed behind it
fal         POST @/{endpoint}
            GET  @/{owner}/{app}/requests/{id}/status
            GET  @/{owner}/{app}/requests/{id}
            PUT  @/{owner}/{app}/requests/{id}/cancel
            GET  @/models/{endpoint}/llms.txt
Replicate   POST @/v1/models/kwaivgi/{model}/predictions
            GET  @/v1/predictions/{id}
            POST @/v1/predictions/{id}/cancel
OpenRouter  POST @/api/v1/videos
            GET  @/api/v1/videos/{id}
            GET  @/api/v1/videos/{id}/content
            GET  @/api/v1/videos/models
Comfy       POST @/v2/models/kling/{model}/requests
            GET  @/v2/models/kling/{model}/requests/{id}/status
            GET  @/v2/models/kling/{model}/requests/{id}
            PUT  @/v2/models/kling/{model}/requests/{id}/cancel
            POST @/v2/models/kling/{model}/estimate
            GET  @/v2/models/kling/{model}/openapi.json
            GET  @/v2/models
Kling       POST @/{text-to-video,image-to-video,omni-video,motion-control}/{model}
            GET  @/tasks?task_ids={id}
            POST @/v1/{images,videos}/{product}
            GET  @/v1/{images,videos}/{product}/{task_id}
Atlas Cloud POST @/api/v1/model/generateVideo
            GET  @/api/v1/model/prediction/{id}
            GET  @/public/v1/balance
Ledger      GET  @/sandbox/ledger
"""
"""The routes; an @ is for the origin."""


def own_page(request: Request, sandbox: Sandbox) -> Response:
    """Return a page of the sandbox itself, or an uploaded content; 404 for any other path."""
    if request.method in {"GET", "HEAD"}:
        if sandbox.uploads.is_media(request.path):
            return sandbox.uploads.send(request)
        if request.path == "/":
            return index_page(request, sandbox)
        if request.path == "/sandbox/ledger":
            return ledger_page(request, sandbox)
        if request.path == "/favicon.ico":
            return icon()
        if (signer := KEYS_PATHS.get(request.path)) is not None:
            return json_response(jwks(signer, sandbox.key_for(signer)))
    return html_response(404, "Not Found")


def index_page(request: Request, sandbox: Sandbox) -> Response:
    """Return the index page: a description and the routes."""
    routes = _ROUTES.replace("@", request.origin)
    if wants_html(request):
        return front_page(request, sandbox, routes)
    description = "This is the sandbox of kling_async. It emulates providers of Kling. Nothing here costs money."
    return text_response(f"{description}\n\n{routes}")


def ledger_page(request: Request, sandbox: Sandbox) -> Response:
    """Return the ledger, for programs as JSON; money is in strings there, in US dollars."""
    if wants_html(request):
        return ledger_table(request, sandbox)
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
