"""Takes a request and gives the answer: the order in which a provider checks, charges and fails. Pure throughout."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from typing import TypedDict, Unpack

from attrs import evolve, frozen

from ...prediction import Json
from .apiinone import Apiinone
from .faults import FAULTS, Fault, Moment
from .files import address_of, is_expired, serve, strike_file, task_id_of
from .front import front_page, ledger_page
from .gptproto import Gptproto
from .http import Answer, Ending, Request, json_of, page, text
from .ledger import Kind, Seen
from .media import Assets
from .reader import Invalid
from .state import Sandbox
from .strike import strike
from .wire import Action, View, Wire
from .work import Phase, Task

__all__ = ["Desk"]

_WIRES: tuple[Wire, ...] = (Gptproto(), Apiinone())
_FAULT_HEADER = "x-sandbox-fault"


class _About(TypedDict, total=False):
    provider: str
    fault: str | None
    prompt: str
    id: str
    sent: Json


@frozen
class Desk:
    """Answers for one sandbox."""

    sandbox: Sandbox
    assets: Assets

    def answer(self, request: Request) -> Answer:
        """Answer one request, and write it down."""
        self.sandbox.settle(now=request.now)
        for wire in _WIRES:
            if action := wire.route(request):
                if request.method != action.method:
                    return self._seen("other", request, page(405, "Method Not Allowed"), provider=wire.name)
                take = self._submit if action.kind == "submit" else self._poll
                return take(wire, action, request)
        if request.method in {"GET", "HEAD"}:
            if request.path.startswith("/files/"):
                return self._file(request)
            if request.path == "/":
                return self._seen("other", request, front_page(request.origin))
            if request.path == "/sandbox/ledger":
                return self._seen("other", request, ledger_page(self.sandbox))
        return self._seen("other", request, page(404, "Not Found"))

    def _submit(self, wire: Wire, action: Action, request: Request) -> Answer:
        about: _About = {"provider": wire.name}
        answer = self._turn_away(wire, Moment.SUBMIT, request) or self._take(wire, action, request, about)
        return self._seen("submit", request, answer, **about)

    def _take(self, wire: Wire, action: Action, request: Request, about: _About) -> Answer:
        try:
            body = json_of(request.body)
        except (ValueError, RecursionError):
            return wire.refuse("bad_request", "The body is not JSON")
        if not isinstance(body, Mapping):
            return wire.refuse("bad_request", "The body is not a JSON object")
        about["sent"] = body
        prompt = body.get("prompt")
        about["prompt"] = prompt if isinstance(prompt, str) else ""
        try:
            fault, along = self._due(Moment.SUBMIT, request, about)
            if fault and not FAULTS[fault.name].billed:
                return self._strike(fault.name, Answer(status=200), wire)
            order = wire.read(action, body, self.sandbox)
        except (Invalid, ValueError) as error:
            return wire.refuse("bad_request", str(error))
        about["prompt"] = order.prompt
        if order.price > self.sandbox.balance:
            return wire.refuse("broke")
        if self.sandbox.is_full(now=request.now):
            return self._strike("rate_limited", Answer(status=200), wire)
        task = self.sandbox.accept(order, now=request.now, utc=request.utc, faults=along, answered=fault is None)
        about["id"] = task.id
        answer = self._await(wire, task, request) if order.sync else wire.accept(task, request, self.sandbox)
        return self._strike(fault.name, answer, wire) if fault else answer

    def _await(self, wire: Wire, task: Task, request: Request) -> Answer:
        latest = request.now + self.sandbox.sync_for
        if task.done_at > latest:
            late = wire.report(View(task=task, now=latest, late=True), request, self.sandbox)
            return evolve(late, at=latest)
        return evolve(self._report(wire, task, request, now=task.done_at), at=task.done_at)

    def _poll(self, wire: Wire, action: Action, request: Request) -> Answer:
        about: _About = {"provider": wire.name, "id": action.id}
        task = self.sandbox.tasks.get(action.id)
        if task and task.order.provider != wire.name:
            task = None
        about["prompt"] = task.order.prompt if task else ""
        answer = self._turn_away(wire, Moment.POLL, request)
        if answer is None:
            answer = self._report(wire, task, request, now=request.now) if task else wire.refuse("not_found")
            try:
                fault, _ = self._due(Moment.POLL, request, about)
                answer = self._strike(fault.name.removeprefix("poll_"), answer, wire) if fault else answer
            except ValueError as error:
                answer = wire.refuse("bad_request", str(error))
        return self._seen("poll", request, answer, **about)

    def _file(self, request: Request) -> Answer:
        about: _About = {"id": task_id_of(request.path)}
        name = request.path.removeprefix("/files/")
        task = self.sandbox.tasks.get(about["id"])
        if task is None or name not in task.files or task.phase(request.now) is not Phase.COMPLETED:
            return self._seen("download", request, page(404, "Not Found"), **about)
        about["prompt"] = task.order.prompt
        try:
            fault, _ = self._due(Moment.FILE, request, about)
        except ValueError as error:
            return self._seen("download", request, text(f"{error}\n", status=400), **about)
        if is_expired(task, request, outputs_for=self.sandbox.outputs_for):
            return self._seen("download", request, text("The address has expired.\n", status=410), **about)
        media_type, content = self.assets.render(task, name)
        answer = serve(request, media_type=media_type, content=content, changed_at=task.done_utc)
        if fault:
            answer = strike_file(fault.name.removeprefix("file_"), answer, retry_after=self.sandbox.retry_after)
        return self._seen("download", request, answer, **about)

    def _turn_away(self, wire: Wire, moment: Moment, request: Request) -> Answer | None:
        if wire.key_of(request.headers.get("authorization", "")) != self.sandbox.key:
            return wire.refuse("unauthorized")
        wait = self.sandbox.wait_for(moment, now=request.now)
        return strike("rate_limited", Answer(status=200), wire, retry_after=str(ceil(wait))) if wait else None

    def _due(self, moment: Moment, request: Request, about: _About) -> tuple[Fault | None, dict[str, str | None]]:
        header = request.headers.get(_FAULT_HEADER, "")
        fault, along = self.sandbox.mischief.due(moment, prompt=about.get("prompt", ""), header=header)
        about["fault"] = fault.name if fault else None
        return fault, along

    def _report(self, wire: Wire, task: Task, request: Request, *, now: float) -> Answer:
        outputs: list[str] = []
        if task.phase(now) is Phase.COMPLETED:
            for name in task.files:
                if task.order.base64:
                    outputs.append(b64encode(self.assets.render(task, name)[1]).decode())
                else:
                    lives_for = self.sandbox.outputs_for
                    outputs.append(address_of(name, task, origin=request.origin, now=now, outputs_for=lives_for))
        return wire.report(View(task=task, now=now, outputs=outputs), request, self.sandbox)

    def _strike(self, name: str, answer: Answer, wire: Wire) -> Answer:
        return strike(name, answer, wire, retry_after=self.sandbox.retry_after)

    def _seen(self, kind: Kind, request: Request, answer: Answer, **about: Unpack[_About]) -> Answer:
        status = answer.status if answer.ending is Ending.WHOLE else None
        with_key = "authorization" in request.headers
        seen = Seen(
            kind=kind,
            at=request.now,
            method=request.method,
            path=request.path,
            status=status,
            with_key=with_key,
            **about,
        )
        self.sandbox.ledger.see(seen)
        return answer
