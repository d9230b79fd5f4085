"""The front page and the ledger as HTML, for a person with a browser.

Theory of operation. The pages have no script, and load nothing. Text that a caller sent, such as a prompt, is escaped
wherever it stands; the content security policy, which allows one style by its hash, is the second defence. Only the
latest rows are shown, so that a page of a long test run stays small; the JSON has them all.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import timedelta
from html import escape
from itertools import islice
from typing import Final

from ...types.formatting import format_duration, format_money
from .browser_style import ICON, STYLE
from .faults import FAULTS, FaultStage
from .files import url_of
from .http import Request, Response
from .ledger import Charge
from .state import Sandbox
from .tasks import Phase, Task

__all__ = ["VARIABLES", "front_page", "icon", "ledger_table", "wants_html"]

VARIABLES: Final = {
    "gptproto": ("GPTPROTO_BASE_URL", "GPTPROTO_API_KEY"),
    "apiinone": ("APIINONE_BASE_URL", "APIINONE_API_KEY"),
    "wavespeed": ("WAVESPEED_BASE_URL", "WAVESPEED_API_KEY"),
    "fal": ("FAL_BASE_URL", "FAL_KEY"),
    "replicate": ("REPLICATE_BASE_URL", "REPLICATE_API_TOKEN"),
    "openrouter": ("OPENROUTER_BASE_URL", "OPENROUTER_API_KEY"),
    "comfy": ("COMFY_ROUTER_BASE_URL", "COMFY_API_KEY"),
    "kling": ("KLING_BASE_URL", "KLING_API_KEY"),
    "atlascloud": ("ATLASCLOUD_BASE_URL", "ATLASCLOUD_API_KEY"),
}
"""The variables of a client's origin and key, by provider."""
_MAX_TASKS: Final = 20
_MAX_CHARGES: Final = 500
_MAX_TEXT: Final = 160
"""Characters of a prompt or an id that are shown."""
_STAGES: Final = {
    FaultStage.SUBMIT: "A submission",
    FaultStage.TASK: "The work itself",
    FaultStage.POLL: "A poll",
    FaultStage.FILE: "A download",
    FaultStage.WEBHOOK: "A webhook",
    FaultStage.UPLOAD: "An upload",
}
_TONES: Final = {Phase.COMPLETED: "good", Phase.FAILED: "bad", Phase.CANCELLED: "bad"}
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def wants_html(request: Request) -> bool:
    """Return whether the caller is a browser: its Accept header names text/html, and not JSON with the same right."""
    if "format=json" in request.query.split("&"):
        return False
    ranks = dict(_rank(entry) for entry in request.headers.get("accept", "").split(","))
    wanted = ranks.get("text/html", 0.0)
    return wanted > 0 and wanted >= max(ranks.get("application/json", 0.0), ranks.get("text/plain", 0.0))


def _rank(entry: str) -> tuple[str, float]:
    """Return a media type of an Accept header with its weight (RFC 9110, 12.5.1); 0 for a malformed one."""
    name, *parameters = (part.strip().lower() for part in entry.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def front_page(request: Request, sandbox: Sandbox, routes: str) -> Response:
    """Return the front page: what to export, the latest tasks, the charges, the markers of prompts, and the routes."""
    latest = list(islice(reversed(sandbox.tasks.values()), _MAX_TASKS))
    shown = f"The latest {len(latest)} of {len(sandbox.tasks):,}." if len(latest) < len(sandbox.tasks) else ""
    body = f"""\
<p>This server emulates the providers of Kling on your machine: it bills, queues, refuses and loses answers as they do.
The money is play money, and nothing here costs any.</p>
{_figures(sandbox)}
<p><a href="/sandbox/ledger">The ledger</a> lists every charge.</p>
<h2>Use it</h2>
<p>Set the variables of a provider in another terminal, and its clients come here instead:</p>
<pre tabindex="0">{escape(_exports(request, sandbox))}</pre>
<h2>Latest tasks</h2>
<p>{shown or ("None yet." if not latest else "")} Reload the page to see new ones.</p>
{_tasks(latest, request, sandbox) if latest else ""}
<h2>Break something</h2>
<p>A marker in a prompt requests a fault: <code>a cat [[lost]]</code>, or <code>a cat [[rate_limited:3]]</code> with an
argument. Clients of your own can send the header <code>X-Sandbox-Fault: lost</code> instead.</p>
{"".join(_faults_of(stage, title) for stage, title in _STAGES.items())}
<h2>Routes</h2>
<pre tabindex="0">{escape(routes)}</pre>"""
    return _page("The sandbox of kling_async", body)


def ledger_table(request: Request, sandbox: Sandbox) -> Response:
    """Return the ledger: the totals, and the latest charges, the newest first."""
    entries = sandbox.entries
    shown = entries[: -_MAX_CHARGES - 1 : -1]
    rest = f"These are the latest {len(shown):,}. " if len(shown) < len(entries) else ""
    rows = (_charge(len(entries) - at, entry, request) for at, entry in enumerate(shown))
    heads = ("#", "Amount", "Prompt", "Provider", "Model", "Time (UTC)", "Id")
    total = f'<td></td><td>{format_money(sandbox.spent)}</td><td colspan="5">spent in all</td>'
    table = _table("Charges, the newest first", heads, rows, foot=f"<tr>{total}</tr>")
    body = f"""\
<p>Every charge of <a href="/">this sandbox</a>, in play money. Reload the page to see new ones.</p>
{_figures(sandbox)}
<h2>Charges</h2>
<p>{rest if entries else "None yet. "}Programs get <a href="?format=json">the same as JSON</a>.</p>
{table if entries else ""}"""
    return _page("Ledger of the sandbox", body)


def icon() -> Response:
    """Return the icon, for a browser that shows a file or JSON of the sandbox and asks for one."""
    return Response(
        status=200, headers={"content-type": "image/svg+xml", "cache-control": "max-age=86400"}, body=ICON.encode()
    )


def _page(title: str, body: str) -> Response:
    text = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:image/svg+xml;base64,{b64encode(ICON.encode()).decode()}">
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _POLICY,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "vary": "accept",
    }
    # JSON may have half of a surrogate pair, which UTF-8 has no bytes for.
    return Response(status=200, headers=headers, body=text.encode("utf-8", "replace"))


def _figures(sandbox: Sandbox) -> str:
    """Return the totals as tiles."""
    tiles = {
        "Spent": format_money(sandbox.spent),
        "Balance": format_money(sandbox.balance),
        "Charges": f"{sandbox.billed():,}",
        "Submissions": f"{sandbox.submits:,}",
        "Polls": f"{sandbox.polls:,}",
        "Downloads": f"{sandbox.downloads:,}",
    }
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{text}</dd></div>' for name, text in tiles.items())}</dl>"


def _exports(request: Request, sandbox: Sandbox) -> str:
    return "\n".join(
        f"export {url}={request.origin} {key}={sandbox.key_for(provider)}" for provider, (url, key) in VARIABLES.items()
    )


def _tasks(tasks: Iterable[Task], request: Request, sandbox: Sandbox) -> str:
    heads = ("State", "Prompt", "Provider", "Model", "Accepted", "Files")
    rows = (_task(task, request, sandbox) for task in tasks)
    return _table("The latest tasks, the newest first", heads, rows)


def _task(task: Task, request: Request, sandbox: Sandbox) -> str:
    phase = task.phase(request.now)
    files = task.files if phase is Phase.COMPLETED and not task.is_removed(request.now) else ()
    urls = (url_of(name, task, origin=request.origin, now=request.now, output_ttl=sandbox.output_ttl) for name in files)
    links = " ".join(f'<a href="{escape(url)}">{number}</a>' for number, url in enumerate(urls, start=1))
    age = f"{format_duration(max(0.0, request.now - task.at))} ago"
    cells = (f'<b class="{_TONES.get(phase, "open")}">{phase}</b>', _text(task.spec.prompt), task.spec.provider)
    return _row(*cells, _text(task.spec.model), age, links, long=1)


def _charge(number: int, entry: Charge, request: Request) -> str:
    amount = format_money(entry.amount)
    notes = "" if entry.answered else ' <b class="doubt">answer lost</b>'
    if entry.refunded:
        amount, notes = f"<s>{amount}</s>", f'{notes} <b class="open">refunded</b>'
    at = request.utc - timedelta(seconds=request.now - entry.at)
    cells = (f"{number:,}", amount, f"{_text(entry.prompt)}{notes}", entry.provider, _text(entry.model))
    return _row(*cells, f"{at:%H:%M:%S}", _text(entry.id), long=2)


def _faults_of(stage: FaultStage, title: str) -> str:
    """Return the faults of one kind of request, folded."""
    rows = [
        _row(
            f"<code>[[{name}{':…' if spec.arg else ''}]]</code>",
            escape(spec.meaning + (f" (argument: {spec.arg})" if spec.arg else "")),
            "every time" if spec.permanent else "once",
            long=1,
        )
        for name, spec in FAULTS.items()
        if spec.stage is stage
    ]
    table = _table(f"Faults of: {title}", ("Marker", "What happens", "Applied"), rows)
    return f"<details><summary>{title}</summary>{table}</details>"


def _text(text: str) -> str:
    """Return a caller's text: escaped, cut, and with a direction of its own."""
    return f"<bdi>{escape(text[:_MAX_TEXT])}{'…' if len(text) > _MAX_TEXT else ''}</bdi>"


def _row(*cells: str, long: int) -> str:
    """Return a row; the cell at `long` may be broken into lines."""
    classes = ('<td class="long">' if at == long else "<td>" for at in range(len(cells)))
    return f"<tr>{''.join(f'{start}{cell}</td>' for start, cell in zip(classes, cells, strict=True))}</tr>"


def _table(label: str, heads: Sequence[str], rows: Iterable[str], *, foot: str = "") -> str:
    """Return a table that scrolls by itself where the page is narrow."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}\n</table></div>"
    )
