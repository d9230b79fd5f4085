"""Uploads of media: the endpoints of four providers, the place where contents are put, and the files themselves.

    POST /api/v3/media/uploads               WaveSpeedAI: a ticket, as its own client in Python reads it
    POST /storage/upload/initiate            fal: a ticket, as its own clients read it
    POST /storage/auth/token, /files/upload  fal: its other store, as its own client in Python uses it first
    POST /v1/files                           Replicate: a form with the content, as its HTTP API documents it
    POST /api/v1/model/uploadMedia           Atlas Cloud: a form, as it documents; the answer as its own skills read it
    PUT  /uploads/{id}?signature=...         where a ticket leads, which takes no API key
    GET  /media/{id}                         an uploaded content

A submission that names a content of the sandbox which was never put is refused, as a provider cannot fetch it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256

from attrs import frozen

from ...types.prediction import Json
from .http import Request, Response, html_response, json_response, parse_json, text_response
from .parameters import Invalid, text_of

__all__ = ["PUT_PATH", "UPLOAD_PATHS", "StoredMedia", "UploadStore", "check_media"]

UPLOAD_PATHS: Mapping[str, str] = {
    "/api/v3/media/uploads": "wavespeed",
    "/storage/upload/initiate": "fal",
    "/storage/auth/token": "fal",
    "/files/upload": "fal",
    "/v1/files": "replicate",
    "/api/v1/model/uploadMedia": "atlascloud",
}
"""Paths of uploads, with the provider of each."""
PUT_PATH = "/uploads/"
_MEDIA_PATH = "/media/"
_CDN_TOKEN = "cdn-token"  # noqa: S105 - of the sandbox
_MAX_FILE = 100 * 1024 * 1024
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "video/mp4": ".mp4"}


@frozen
class StoredMedia:
    """A content that was uploaded, with its MIME type."""

    mime: str
    content: bytes


class UploadStore:
    """The contents of one sandbox, and the tickets for those that are still to come."""

    def __init__(self) -> None:
        self.contents: dict[str, StoredMedia] = {}
        self._tickets: dict[str, str] = {}
        """MIME types by id."""

    # The providers' endpoints; the key was checked.

    def begin(self, request: Request) -> Response:
        """Answer the first request of an upload."""
        answer: Mapping[str, Callable[[Request], Response]] = {
            "/api/v3/media/uploads": self._wavespeed,
            "/storage/upload/initiate": self._fal_ticket,
            "/storage/auth/token": self._fal_token,
            "/files/upload": self._fal_store,
            "/v1/files": self._replicate,
            "/api/v1/model/uploadMedia": self._atlascloud,
        }
        return answer[request.path](request)

    def has_token(self, request: Request) -> bool:
        """Return whether a request has the token of fal's store, which stands for the key there."""
        return request.path == "/files/upload" and request.headers.get("authorization") == f"Bearer {_CDN_TOKEN}"

    def _wavespeed(self, request: Request) -> Response:
        body = _object(request)
        name, size = body.get("filename"), body.get("size")
        if not isinstance(name, str) or not name or isinstance(size, bool) or not isinstance(size, int) or size < 1:
            return json_response({"message": "filename and size are required", "error_code": "1401"}, status=400)
        mime = text_of(body.get("content_type")) or "application/octet-stream"
        id = self._ticket(mime, name)
        data: Json = {
            "upload": {"method": "PUT", "url": _put_url(request, id), "headers": {"Content-Type": mime}},
            "download_url": f"{request.origin}{_MEDIA_PATH}{id}",
        }
        return json_response({"code": 200, "message": "success", "data": data})

    def _fal_ticket(self, request: Request) -> Response:
        body = _object(request)
        name, mime = text_of(body.get("file_name")), text_of(body.get("content_type"))
        if not name or not mime:
            return json_response({"detail": "file_name and content_type are required"}, status=422)
        id = self._ticket(mime, name)
        return json_response({"upload_url": _put_url(request, id), "file_url": f"{request.origin}{_MEDIA_PATH}{id}"})

    def _fal_token(self, request: Request) -> Response:
        return json_response(
            {
                "token": _CDN_TOKEN,
                "token_type": "Bearer",
                "base_url": request.origin,
                "expires_at": f"{request.utc.replace(year=request.utc.year + 1):%Y-%m-%dT%H:%M:%S}+00:00",
            }
        )

    def _fal_store(self, request: Request) -> Response:
        mime = request.headers.get("content-type", "")
        id = self._ticket(mime, request.headers.get("x-fal-file-name", ""))
        self._keep(id, request.body)
        return json_response({"access_url": f"{request.origin}{_MEDIA_PATH}{id}"})

    def _replicate(self, request: Request) -> Response:
        part = _part(request, "content")
        if part is None:
            return json_response({"title": "Invalid file", "detail": "content is required", "status": 400}, status=400)
        name, mime, content = part
        id = self._ticket(mime, name)
        self._keep(id, content)
        expires = request.utc.replace(microsecond=0).isoformat()
        return json_response(
            {
                "id": id,
                "name": name,
                "content_type": mime,
                "size": len(content),
                "etag": id,
                "checksums": {"sha256": sha256(content).hexdigest()},
                "metadata": {},
                "created_at": expires,
                "expires_at": expires,
                "urls": {"get": f"{request.origin}/v1/files/{id}"},
            },
            status=201,
        )

    def _atlascloud(self, request: Request) -> Response:
        part = _part(request, "file")
        if part is None:
            return json_response({"code": 400, "msg": "file is required", "data": None}, status=400)
        name, mime, content = part
        id = self._ticket(mime, name)
        self._keep(id, content)
        url = f"{request.origin}{_MEDIA_PATH}{id}"
        return json_response({"code": 200, "data": {"download_url": url, "filename": name, "size": len(content)}})

    # The place for contents, and the contents.

    def put(self, request: Request) -> Response:
        """Take a content where a ticket says; a signature stands for the key."""
        id = request.path.removeprefix(PUT_PATH)
        if id not in self._tickets or request.query != f"signature={_signature(id)}":
            return text_response("The signature does not match.\n", status=403)
        if request.headers.get("content-type", "") != self._tickets[id]:
            return text_response("The type is not the one that was signed.\n", status=403)
        if len(request.body) > _MAX_FILE:
            return text_response("The content is too large.\n", status=413)
        self._keep(id, request.body)
        return text_response("")

    def send(self, request: Request) -> Response:
        """Send a content."""
        found = self.contents.get(request.path.removeprefix(_MEDIA_PATH))
        if found is None:
            return html_response(404, "Not Found")
        return Response(status=200, headers={"content-type": found.mime}, body=found.content)

    def is_media(self, path: str) -> bool:
        """Return whether a path is one of a content."""
        return path.startswith(_MEDIA_PATH)

    def _ticket(self, mime: str, name: str) -> str:
        number = sha256(f"{len(self._tickets)}".encode()).hexdigest()[:20]
        suffix = name.rpartition(".")[2] if "." in name else ""
        id = f"{number}.{suffix}" if re.fullmatch(r"[a-z0-9]{1,5}", suffix) else number + _SUFFIXES.get(mime, "")
        self._tickets[id] = mime
        return id

    def _keep(self, id: str, content: bytes) -> None:
        self.contents[id] = StoredMedia(self._tickets[id], content)


def check_media(body: Json, request: Request, store: UploadStore) -> None:
    """Raise Invalid if a submission names an address of the sandbox's own that has no content."""
    if isinstance(body, (Mapping, list)):
        for one in body.values() if isinstance(body, Mapping) else body:
            check_media(one, request, store)
    for path in (_MEDIA_PATH, "/v1/files/"):
        place = f"{request.origin}{path}"
        if isinstance(body, str) and body.startswith(place) and body.removeprefix(place) not in store.contents:
            raise Invalid(f"{body} cannot be fetched")


def _put_url(request: Request, id: str) -> str:
    return f"{request.origin}{PUT_PATH}{id}?signature={_signature(id)}"


def _signature(id: str) -> str:
    return sha256(f"signed {id}".encode()).hexdigest()[:32]


def _object(request: Request) -> Mapping[str, Json]:
    try:
        body = parse_json(request.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, Mapping) else {}


def _part(request: Request, field: str) -> tuple[str, str, bytes] | None:
    """Return name, MIME type and content of a part of a form (RFC 7578); None if it has no such part."""
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode("latin-1")
    form = BytesParser(policy=HTTP).parsebytes(head + request.body)
    for part in form.iter_parts() if form.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == field:
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                return part.get_filename() or "", part.get_content_type(), content
    return None
