"""The wires that the scripted provider speaks, as a table: what a path asks for, and what a healthy provider answers.

Each is written from the provider's pages, or from what its clients recorded where those are silent. Nothing but the
standard library is imported, and nothing of the package: the two can share no mistake.
"""

import re

__all__ = ["WIRES", "route"]

OK = "200 OK"
CREATED, PROCESSING, COMPLETED, CANCELLED = "created", "processing", "completed", "cancelled"
"""The phases of a task. Any other word is one that a script lets the provider say."""


def words(*own):
    """Return a provider's words by phase; there may be none for the last, a cancellation."""
    return dict(zip((CREATED, PROCESSING, COMPLETED, CANCELLED), own, strict=False))


class Wire:
    """A provider's paths, its words for the phases of a task, and its answers.

    `routes` has a pattern for each kind of request, whose first group that is not empty is an id. `links` is the origin
    of the addresses that an answer gives for the task: the provider's own, if no script says otherwise.
    """

    routes = ()
    words = words("created", "processing", "completed", "cancelled")
    not_found = ("404 Not Found", {"error": {"message": "Prediction not found", "code": "not_found"}})
    duplicate = None
    """The answer to a client id that was used before; None where there are no client ids."""
    replays = False
    """Whether a client id that was used before is answered with the first task."""

    def prompt(self, body):
        return body.get("prompt")

    def client_id(self, body):
        return None

    def key(self, header, body):
        """Return the caller's own id of a submission, from its body or its headers."""
        return self.client_id(body)

    def accept(self, task, links):
        return OK, self.record(task, self.words[CREATED], [], links)

    def report(self, task, word, outputs, links):
        return OK, self.record(task, self.words.get(word, word), outputs, links)

    def result(self, task, outputs):
        raise NotImplementedError

    def cancel(self, task, links):
        raise NotImplementedError

    def record(self, task, word, outputs, links):
        raise NotImplementedError


class V3(Wire):
    """GPTProto and WaveSpeedAI."""

    routes = (
        ("poll", r"/api/v3/predictions/([^/]+)/result"),
        ("submit", r"/api/v3/kwaivgi/[^/]+(?:/[^/]+)?"),
    )

    def record(self, task, word, outputs, links):
        get = f"{links}/api/v3/predictions/{task.id}/result"
        data = {"id": task.id, "status": word, "outputs": outputs, "urls": {"get": get}, "error": None}
        return {"code": 200, "message": "success", "data": data}


class APIInOne(Wire):
    """API in One."""

    routes = (("poll", r"/api/v1/tasks/([^/]+)"), ("submit", r"/api/v1/(?:images|videos)/generations"))
    words = words("IN_PROGRESS", "processing", "completed", "cancelled")

    def record(self, task, word, outputs, links):
        return {"code": 200, "message": "success", "data": {"task_id": task.id, "status": word, "outputs": outputs}}


class KlingLegacy(Wire):
    """Kling's legacy standard. No page has a word for a cancellation."""

    routes = (("poll", r"/v1/(?:images|videos)/[^/]+/([^/]+)"), ("submit", r"/v1/(?:images|videos)/[^/]+"))
    words = words("submitted", "processing", "succeed")
    not_found = (
        "400 Bad Request",
        {"code": 1201, "message": "Task not found by id/external id", "request_id": "r-1"},
    )
    duplicate = (
        "400 Bad Request",
        {"code": 1201, "message": "external_task_id already exists", "request_id": "r-1"},
    )

    def client_id(self, body):
        return body.get("external_task_id")

    def record(self, task, word, outputs, links):
        media = "videos" if task.target.startswith("/v1/videos/") else "images"
        data = {
            "task_id": task.id,
            "task_status": word,
            "task_info": {"external_task_id": task.client_id} if task.client_id else {},
            "task_result": {media: [{"url": one} for one in outputs]},
        }
        return {"code": 0, "message": "SUCCEED", "request_id": "r-1", "data": data}


class KlingTasks(Wire):
    """Kling's new standard, whose polls are answered with a list; one id at a time is understood here."""

    routes = (
        ("poll", r"/tasks\?(?:external_)?task_ids=([^&,]+)"),
        ("submit", r"/(?:text-to-video|image-to-video|omni-video|motion-control)/[^/]+"),
    )
    words = words("submitted", "processing", "succeeded")
    not_found = (OK, {"code": 0, "message": "SUCCEED", "request_id": "r-1", "data": []})
    duplicate = KlingLegacy.duplicate

    def prompt(self, body):
        texts = [one.get("text") for one in body.get("contents", ()) if one.get("type") == "prompt"]
        return texts[0] if texts else body.get("prompt")

    def client_id(self, body):
        return body.get("options", {}).get("external_task_id")

    def accept(self, task, links):
        return OK, self.envelope(self.task(task, self.words[CREATED], []))

    def record(self, task, word, outputs, links):
        return self.envelope([self.task(task, word, outputs)])

    def envelope(self, data):
        return {"code": 0, "message": "SUCCEED", "request_id": "r-1", "data": data}

    def task(self, task, word, outputs):
        media = [{"type": "video", "url": one} for one in outputs]
        return {"id": task.id, "status": word, "external_id": task.client_id, "message": "", "outputs": media}


class Replicate(Wire):
    """Replicate."""

    routes = (
        ("cancel", r"/v1/predictions/([^/]+)/cancel"),
        ("poll", r"/v1/predictions/([^/]+)"),
        ("submit", r"/v1/models/kwaivgi/[^/]+/predictions"),
    )
    words = words("starting", "processing", "succeeded", "canceled")
    not_found = ("404 Not Found", {"detail": "The requested resource could not be found.", "status": 404})

    def prompt(self, body):
        return body["input"].get("prompt")

    def accept(self, task, links):
        return "201 Created", self.record(task, self.words[CREATED], [], links)

    def cancel(self, task, links):
        return OK, self.record(task, self.words[CANCELLED], [], links)

    def record(self, task, word, outputs, links):
        url = f"{links}/v1/predictions/{task.id}"
        return {
            "id": task.id,
            "status": word,
            "output": outputs[0] if outputs else None,
            "data_removed": False,
            "error": None,
            "urls": {"get": url, "cancel": f"{url}/cancel", "stream": f"{url}/stream"},
        }


class OpenRouter(Wire):
    """OpenRouter, whose records have signed addresses."""

    routes = (
        ("file", r"/api/v1/videos/([^/]+)/content\?index=\d+"),
        ("poll", r"/api/v1/videos/([^/]+)"),
        ("submit", r"/api/v1/videos"),
    )
    words = words("pending", "in_progress", "completed", "cancelled")
    not_found = ("404 Not Found", {"error": {"code": 404, "message": "Job not found"}})

    def accept(self, task, links):
        return "202 Accepted", self.record(task, self.words[CREATED], [], links)

    def record(self, task, word, outputs, links):
        record = {"id": task.id, "status": word, "polling_url": f"{links}/api/v1/videos/{task.id}"}
        if outputs:
            content = f"{links}/api/v1/videos/{task.id}/content?index="
            record["unsigned_urls"] = [f"{content}{index}" for index in range(len(outputs))]
            signed = [one for one in outputs if one]  # a script may name none: then there are only those for the key
            record |= {"urls": signed} if signed else {}
        return record


class Fal(Wire):
    """fal's queue. The word for a cancelled request is that of a third-party schema."""

    routes = (
        ("poll", r"/[^/]+/[^/]+/requests/([^/]+)/status"),
        ("cancel", r"/[^/]+/[^/]+/requests/([^/]+)/cancel"),
        ("result", r"/[^/]+/[^/]+/requests/([^/]+)"),
        ("submit", r"/(?:fal-ai|kling)/.+"),
    )
    words = words("IN_QUEUE", "IN_PROGRESS", "COMPLETED", "CANCELED")
    not_found = ("404 Not Found", {"detail": "Request not found"})

    def report(self, task, word, outputs, links):
        status = "202 Accepted" if word in (CREATED, PROCESSING) else OK
        return status, self.record(task, self.words.get(word, word), outputs, links)

    def result(self, task, outputs):
        media = [{"url": one} for one in outputs]
        return OK, {"images": media} if "/kling-image/" in task.target else {"video": media[0] if media else None}

    def cancel(self, task, links):
        return "202 Accepted", {"status": "CANCELLATION_REQUESTED"}

    def record(self, task, word, outputs, links):
        owner, app = task.target.split("/")[1:3]
        url = f"{links}/{owner}/{app}/requests/{task.id}"
        urls = {"response_url": url, "status_url": f"{url}/status", "cancel_url": f"{url}/cancel"}
        return {"status": word, "request_id": task.id, **urls}


class Comfy(Wire):
    """Comfy Router's queue, which replays the first handle to a second submission with the same key."""

    routes = (
        ("poll", r"/v2/models/kling/[^/]+/requests/([^/]+)/status"),
        ("cancel", r"/v2/models/kling/[^/]+/requests/([^/]+)/cancel"),
        ("result", r"/v2/models/kling/[^/]+/requests/([^/]+)"),
        ("submit", r"/v2/models/kling/[^/]+/requests"),
    )
    words = words("IN_QUEUE", "IN_PROGRESS", "COMPLETED", "CANCELLED")
    not_found = ("404 Not Found", {"error": {"type": "not_found", "message": "request not found"}})
    replays = True

    def key(self, header, body):
        return header("idempotency-key")

    def accept(self, task, links):
        return "201 Created", self.record(task, self.words[CREATED], [], links)

    def result(self, task, outputs):
        images = [{"index": index, "url": one} for index, one in enumerate(outputs)]
        data = {"task_id": f"k-{task.id}", "task_status": "succeed", "task_result": {"images": images}}
        return OK, {"code": 0, "message": "SUCCEED", "request_id": "9f2c", "data": data}

    def record(self, task, word, outputs, links):
        url = f"{links}/v2/models/kling/m/requests/{task.id}"
        urls = {"status_url": f"{url}/status", "response_url": url, "cancel_url": f"{url}/cancel"}
        return {"request_id": task.id, "status": word, **urls}


WIRES = (V3(), APIInOne(), KlingLegacy(), KlingTasks(), Replicate(), OpenRouter(), Comfy(), Fal())
_PATTERNS = tuple((wire, kind, re.compile(pattern)) for wire in WIRES for kind, pattern in wire.routes)
_FILE = re.compile(r"/files/([^/.]+)[^/]*")


def route(target):
    """Return whose wire a target is, the kind of request, and its id; what is nobody's is a file."""
    path = target.partition("?")[0]
    if found := _FILE.fullmatch(path):
        return None, "file", found[1]
    for wire, kind, pattern in _PATTERNS:
        found = pattern.fullmatch(target if r"\?" in pattern.pattern else path)
        if found:
            return wire, kind, found[1] if found.re.groups else None
    return None, "file", None
