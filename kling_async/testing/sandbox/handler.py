"""Handles requests: the order in which a provider checks, charges and fails. Pure: time comes with the request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from typing import TypedDict, Unpack
from urllib.parse import parse_qsl

from attrs import evolve, frozen

from ...types.prediction import Json
from .callbacks import plan_callbacks
from .fault_responses import with_fault
from .faults import FAULTS, Fault, FaultStage
from .files import apply_file_fault, is_expired, serve, task_id_of, url_of
from .http import Delivery, Request, Response, html_response, parse_json, text_response
from .kling import KlingLegacy, KlingTasks
from .ledger import Kind, LoggedRequest
from .media import Assets
from .pages import own_page
from .parameters import Invalid
from .state import Sandbox
from .tasks import Phase, Task
from .uploads import PUT_PATH, UPLOAD_PATHS, check_media
from .wavespeed_v3 import WaveSpeedV3
from .wire_format import PagedWire, ReplayingWire, Route, TaskView, WireFormat
from .wires import WIRES

__all__ = ["RequestHandler"]

_FAULT_HEADER = "x-sandbox-fault"
_KEY_HEADER = "idempotency-key"


class _LogFields(TypedDict, total=False):
    provider: str
    fault: str | None
    prompt: str
    id: str
    sent: Json


@frozen
class RequestHandler:
    """Handles the requests to one sandbox."""

    sandbox: Sandbox
    assets: Assets

    def handle(self, request: Request) -> Response:
        """Return the response to a request, and log the request."""
        self.sandbox.settle(now=request.now)
        known = [(wire, route) for wire in WIRES if (route := wire.route(request))]
        if known:
            # Paths of two providers may be the same: then the key tells which is meant.
            wire, route = next((one for one in known if self._has_key(one[0], request)), known[0])
            if self._means_sibling(wire, request):
                return self._log_request("other", request, html_response(404, "Not Found"))
            if request.method != route.method:
                return self._log_request("other", request, html_response(405, "Method Not Allowed"), provider=wire.name)
            handlers = {
                "submit": self._submit,
                "poll": self._poll,
                "cancel": self._cancel,
                "content": self._send_content,
                "page": self._send_page,
            }
            return handlers[route.kind](wire, route, request)
        if request.path in UPLOAD_PATHS or request.path.startswith(PUT_PATH):
            return self._upload(request)
        if request.method in {"GET", "HEAD"} and request.path.startswith("/files/"):
            return self._download(request)
        return self._log_request("other", request, own_page(request, self.sandbox))

    def _upload(self, request: Request) -> Response:
        """Answer a request of an upload: one to a provider, with its key, or one to the place that a ticket names."""
        store, name = self.sandbox.uploads, UPLOAD_PATHS.get(request.path)
        wire = next((one for one in WIRES if one.name == name), WIRES[0])
        fields: _LogFields = {"provider": name or ""}
        fault, _ = self._next_fault(FaultStage.UPLOAD, request, fields)
        if name is not None and not (self._has_key(wire, request) or store.has_token(request)):
            response = wire.refuse("unauthorized")
        elif fault is not None:
            response = self._apply_fault(fault.name.removeprefix("upload_"), text_response("OK\n"), wire)
        else:
            response = store.put(request) if name is None else store.begin(request)
        return self._log_request("upload", request, response, **fields)

    def _submit(self, wire: WireFormat, route: Route, request: Request) -> Response:
        fields: _LogFields = {"provider": wire.name}
        response = self._reject(wire, FaultStage.SUBMIT, request) or self._accept(wire, route, request, fields)
        return self._log_request("submit", request, response, **fields)

    def _accept(self, wire: WireFormat, route: Route, request: Request, fields: _LogFields) -> Response:
        try:
            body = parse_json(request.body)
        except (ValueError, RecursionError):
            return wire.refuse("bad_request", "The body is not JSON")
        if not isinstance(body, Mapping):
            return wire.refuse("bad_request", "The body is not a JSON object")
        fields["sent"] = body
        fields["prompt"] = wire.prompt_of(body)
        try:
            check_media(body, request, self.sandbox.uploads)
            fault, task_faults = self._next_fault(FaultStage.SUBMIT, request, fields)
            if fault and not FAULTS[fault.name].billed:
                return self._apply_fault(fault.name, Response(status=200), wire)
            replayed = self._replay(wire, request, fields)
            if replayed is not None:
                return self._apply_fault(fault.name, replayed, wire) if fault else replayed
            spec = wire.read(route, body, self.sandbox)
        except (Invalid, ValueError) as error:
            return wire.refuse("bad_request", str(error))
        fields["prompt"] = spec.prompt
        if spec.price > self.sandbox.balance:
            return wire.refuse("no_balance")
        if self.sandbox.is_full(now=request.now, slots=spec.slots):
            # Kling has a code of its own for it.
            reason = "no_slot" if isinstance(wire, (KlingLegacy, KlingTasks)) else "rate_limited"
            return self._apply_fault(reason, Response(status=200), wire)
        task = self.sandbox.accept(spec, now=request.now, utc=request.utc, faults=task_faults, answered=fault is None)
        fields["id"] = task.id
        self._plan_callbacks(wire, task, request, body, fields)
        if isinstance(wire, ReplayingWire):
            self.sandbox.keep_key(wire.name, request.headers.get(_KEY_HEADER, ""), task, request)
        response = self._wait_for_result(wire, task, request) if spec.sync else wire.accept(task, request, self.sandbox)
        return self._apply_fault(fault.name, response, wire) if fault else response

    def _plan_callbacks(
        self, wire: WireFormat, task: Task, request: Request, body: Mapping[str, Json], fields: _LogFields
    ) -> None:
        header = request.headers.get(_FAULT_HEADER, "")
        fault, _ = self.sandbox.fault_injector.next_fault(
            FaultStage.WEBHOOK, prompt=fields.get("prompt", ""), header=header if header.startswith("webhook_") else ""
        )

        def report(task: Task, request: Request, now: float) -> Response:
            return self._report(wire, self.sandbox.tasks[task.id], request, now=now)

        planned = plan_callbacks(task, request, body, report, fault=(fault.name, fault.arg) if fault else None)
        self.sandbox.outbox.add(planned)

    def _replay(self, wire: WireFormat, request: Request, fields: _LogFields) -> Response | None:
        """Return the response to a submission whose idempotency key an earlier one has; None if there is none."""
        if not isinstance(wire, ReplayingWire):
            return None
        earlier = self.sandbox.find_key(wire.name, request.headers.get(_KEY_HEADER, ""), request)
        if earlier is None:
            return None
        task, is_same = earlier
        fields["id"] = task.id
        return wire.replay(task, request, self.sandbox, is_same=is_same)

    def _send_page(self, wire: WireFormat, route: Route, request: Request) -> Response:
        response = wire.refuse("unauthorized")
        if (route.is_public or self._has_key(wire, request)) and isinstance(wire, PagedWire):
            response = wire.page(route, request, self.sandbox)
        return self._log_request("other", request, response, provider=wire.name)

    def _wait_for_result(self, wire: WireFormat, task: Task, request: Request) -> Response:
        latest = request.now + self.sandbox.sync_seconds
        if task.done_at > latest:
            late = wire.report(TaskView(task=task, now=latest, late=True), request, self.sandbox)
            return evolve(late, at=latest)
        return evolve(self._report(wire, task, request, now=task.done_at), at=task.done_at)

    def _poll(self, wire: WireFormat, route: Route, request: Request) -> Response:
        found = (
            self.sandbox.find(wire.name, id, by_client_id=route.by_client_id) for id in (route.id, *route.more_ids)
        )
        task = next((one for one in found if one is not None), None)
        fields: _LogFields = {"provider": wire.name, "id": task.id if task else route.id}
        fields["prompt"] = task.spec.prompt if task else ""
        response = self._reject(wire, FaultStage.POLL, request)
        if response is None:
            response = self._report(wire, task, request, now=request.now) if task else wire.refuse("not_found")
            try:
                fault, _ = self._next_fault(FaultStage.POLL, request, fields)
                response = self._apply_fault(fault.name.removeprefix("poll_"), response, wire) if fault else response
            except ValueError as error:
                response = wire.refuse("bad_request", str(error))
        return self._log_request("poll", request, response, **fields)

    def _cancel(self, wire: WireFormat, route: Route, request: Request) -> Response:
        fields: _LogFields = {"provider": wire.name, "id": route.id}
        task = self.sandbox.find(wire.name, route.id)
        response = self._reject(wire, FaultStage.POLL, request)
        if response is None and task is None:
            response = wire.refuse("not_found")
        if response is None:
            late = not self.sandbox.cancel(route.id, now=request.now)
            view = TaskView(task=self.sandbox.tasks[route.id], now=request.now)
            response = wire.cancelled(view, request, self.sandbox, late=late)
        return self._log_request("cancel", request, response, **fields)

    def _download(self, request: Request) -> Response:
        fields: _LogFields = {"id": task_id_of(request.path)}
        name = request.path.removeprefix("/files/")
        task = self.sandbox.tasks.get(fields["id"])
        is_there = task is not None and task.phase(request.now) is Phase.COMPLETED and not task.is_removed(request.now)
        if task is None or name not in task.files or not is_there:
            return self._log_request("download", request, html_response(404, "Not Found"), **fields)
        return self._send_file(task, name, request, fields, output_ttl=self.sandbox.output_ttl)

    def _send_content(self, wire: WireFormat, route: Route, request: Request) -> Response:
        """Send an output from the API itself, which asks for the key."""
        fields: _LogFields = {"provider": wire.name, "id": route.id}
        task = self.sandbox.find(wire.name, route.id)
        if not self._has_key(wire, request):
            return self._log_request("download", request, wire.refuse("unauthorized"), **fields)
        if task is None:
            return self._log_request("download", request, wire.refuse("not_found"), **fields)
        if task.phase(request.now) is not Phase.COMPLETED:
            return self._log_request("download", request, wire.refuse("not_ready"), **fields)
        index = dict(parse_qsl(request.query)).get("index", "0")
        if index not in map(str, range(len(task.files))):
            refusal = wire.refuse("bad_request", f"There is no output with the index {index}")
            return self._log_request("download", request, refusal, **fields)
        # Recorded: Range is ignored. These URLs have no date, and live as long as the output does.
        whole = evolve(request, headers={name: text for name, text in request.headers.items() if name != "range"})
        return self._send_file(task, task.files[int(index)], whole, fields, output_ttl=None)

    def _send_file(
        self, task: Task, name: str, request: Request, fields: _LogFields, *, output_ttl: float | None
    ) -> Response:
        fields["prompt"] = task.spec.prompt
        try:
            fault, _ = self._next_fault(FaultStage.FILE, request, fields)
        except ValueError as error:
            return self._log_request("download", request, text_response(f"{error}\n", status=400), **fields)
        if is_expired(task, request, output_ttl=output_ttl):
            return self._log_request("download", request, text_response("The URL has expired.\n", status=410), **fields)
        media_type, content = self.assets.render(task, name)
        response = serve(request, media_type=media_type, content=content, changed_at=task.done_utc)
        if fault:
            response = apply_file_fault(
                fault.name.removeprefix("file_"), response, retry_after=self.sandbox.retry_after
            )
        return self._log_request("download", request, response, **fields)

    def _has_key(self, wire: WireFormat, request: Request) -> bool:
        return wire.key_of(request.headers.get("authorization", "")) == self.sandbox.key_for(wire.name)

    def _means_sibling(self, wire: WireFormat, request: Request) -> bool:
        """Return whether the key is that of another provider whose paths begin in the same way: it has not this one."""
        if not isinstance(wire, WaveSpeedV3) or self._has_key(wire, request):
            return False
        return any(isinstance(one, WaveSpeedV3) and self._has_key(one, request) for one in WIRES)

    def _reject(self, wire: WireFormat, stage: FaultStage, request: Request) -> Response | None:
        if not self._has_key(wire, request):
            return wire.refuse("unauthorized")
        wait = self.sandbox.wait_for(stage, now=request.now)
        return with_fault("rate_limited", Response(status=200), wire, retry_after=str(ceil(wait))) if wait else None

    def _next_fault(
        self, stage: FaultStage, request: Request, fields: _LogFields
    ) -> tuple[Fault | None, dict[str, str | None]]:
        header = request.headers.get(_FAULT_HEADER, "")
        fault, task_faults = self.sandbox.fault_injector.next_fault(
            stage, prompt=fields.get("prompt", ""), header=header
        )
        fields["fault"] = fault.name if fault else None
        return fault, task_faults

    def _report(self, wire: WireFormat, task: Task, request: Request, *, now: float) -> Response:
        outputs: list[str] = []
        if task.phase(now) is Phase.COMPLETED:
            for name in task.files:
                if task.spec.base64:
                    outputs.append(b64encode(self.assets.render(task, name)[1]).decode())
                else:
                    ttl = self.sandbox.output_ttl
                    outputs.append(url_of(name, task, origin=request.origin, now=now, output_ttl=ttl))
        return wire.report(TaskView(task=task, now=now, outputs=outputs), request, self.sandbox)

    def _apply_fault(self, name: str, response: Response, wire: WireFormat) -> Response:
        return with_fault(name, response, wire, retry_after=self.sandbox.retry_after)

    def _log_request(self, kind: Kind, request: Request, response: Response, **fields: Unpack[_LogFields]) -> Response:
        status = response.status if response.delivery is Delivery.COMPLETE else None
        with_key = "authorization" in request.headers
        logged = LoggedRequest(
            kind=kind,
            at=request.now,
            method=request.method,
            path=request.path,
            status=status,
            with_key=with_key,
            **fields,
        )
        self.sandbox.ledger.log_request(logged)
        return response
