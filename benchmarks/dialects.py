"""How each provider says that a prediction is still running, as its documents have it; `server.py` speaks them all.

No SDK is imported here, and no provider code of the package: the SDKs judge whether a dialect is true, since a poll
that is not found or that they cannot read fails the run. Sources, read in November 2026: "documented" is the vendor's
own page, "schema" the types that the vendor generates from its OpenAPI document, "seen" what its SDK asks for.

| provider | GET | source |
|---|---|---|
| fal | /{owner}/{app}/requests/{id}/status, HTTP 202 while it runs | documented: docs.fal.ai/model-endpoints/queue |
| Replicate | /v1/predictions/{id} | documented: replicate.com/docs/topics/predictions |
| Runway | /v1/tasks/{id} | schema: `TaskRetrieveResponse` of runwayml 5.24.0 |
| OpenAI | /v1/videos/{id} | schema: `Video` of openai 3.57.0; Azure's reference of that API agrees |
| Google | /v1/{name of the operation}, without `done` while it runs | documented: google.longrunning; seen: `v1` |
| Comfy | /api/v2/jobs/{id} | documented: docs.comfy.org/api-reference/v2/jobs |

The v3 wire of GPTProto and WaveSpeedAI stands in `server.py`, which also takes its submissions.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAL_APP", "GOOGLE_OPERATIONS", "Dialect", "dialect_of"]

FAL_APP = "fal-ai/kling-video"
GOOGLE_OPERATIONS = "models/veo-3.1-generate-preview/operations/"
_PROMPT = "A lighthouse in the rain, seen from a boat, oil on canvas"


@dataclass(frozen=True)
class Dialect:
    """One provider's reply to a poll.

    Attributes:
        prefix: the path up to the id, which ends at the next "/" or "?".
        body: the reply, with "{id}" where the id stands.
        status: the status line's code and reason.
    """

    prefix: str
    body: str
    status: str = "200 OK"

    def answer(self, path: str) -> str:
        """Return the body of the reply to a poll of that path."""
        id = path[len(self.prefix) :].partition("?")[0].partition("/")[0]
        return self.body.replace("{id}", id)


_FAL = Dialect(
    f"/{FAL_APP}/requests/",
    '{"status":"IN_PROGRESS","request_id":"{id}",'
    f'"response_url":"https://queue.fal.run/{FAL_APP}/requests/{{id}}",'
    f'"status_url":"https://queue.fal.run/{FAL_APP}/requests/{{id}}/status",'
    f'"cancel_url":"https://queue.fal.run/{FAL_APP}/requests/{{id}}/cancel","logs":null}}',
    "202 Accepted",
)
_REPLICATE = Dialect(
    "/v1/predictions/",
    f'{{"id":"{{id}}","model":"kwaivgi/kling-v3-video","version":"hidden","input":{{"prompt":"{_PROMPT}"}},"logs":"",'
    '"output":null,"data_removed":false,"error":null,"status":"processing","created_at":"2026-11-20T10:00:00.000Z",'
    '"started_at":"2026-11-20T10:00:01.000Z","completed_at":null,"metrics":{},'
    '"urls":{"cancel":"https://api.replicate.com/v1/predictions/{id}/cancel",'
    '"get":"https://api.replicate.com/v1/predictions/{id}","web":"https://replicate.com/p/{id}"}}',
)
_RUNWAY = Dialect(
    "/v1/tasks/",
    '{"id":"{id}","createdAt":"2026-11-20T10:00:00.000Z","status":"RUNNING","progress":0.42,'
    '"estimatedCost":{"credits":50}}',
)
_OPENAI = Dialect(
    "/v1/videos/",
    '{"id":"{id}","object":"video","created_at":1795168800,"completed_at":null,"expires_at":null,"error":null,'
    f'"model":"sora-2","progress":42,"prompt":"{_PROMPT}","remixed_from_video_id":null,"seconds":"8",'
    '"size":"1280x720","status":"in_progress"}',
)
_GOOGLE = Dialect(f"/v1/{GOOGLE_OPERATIONS}", f'{{"name":"{GOOGLE_OPERATIONS}{{id}}"}}')
_COMFY = Dialect(
    "/api/v2/jobs/",
    '{"id":"{id}","status":"running","created_at":"2026-11-20T10:00:00.000Z","started_at":"2026-11-20T10:00:01.000Z",'
    '"completed_at":null,"expires_at":"2026-12-20T10:00:00.000Z","queue_position":null,"progress":{"value":0.42,'
    '"nodes_done":11,"nodes_total":31,"current_node":"12","current_node_class":"KSampler","step":21,"steps":50,'
    '"message":"KSampler 21/50"},"outputs":[],"error":null,"metrics":{"queue_ms":1000,"execution_ms":null},'
    '"urls":{"self":"/api/v2/jobs/{id}","events":"/api/v2/jobs/{id}/events","cancel":"/api/v2/jobs/{id}/cancel"}}',
)
_DIALECTS = (_FAL, _REPLICATE, _RUNWAY, _OPENAI, _GOOGLE, _COMFY)


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect that a path is a poll of; None if it is none's."""
    return next((each for each in _DIALECTS if path.startswith(each.prefix)), None)
