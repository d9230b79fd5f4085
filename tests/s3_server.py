"""Serves S3 over HTTP on a free port of this machine, by moto, and misbehaves when it is told to.

    python s3_server.py

It says its port on one line, and ends when its input does. `PUT /-/faults` with a JSON list replaces the faults that
there are; each is {"method", "path" (a pattern), "status", "code", "sleep", "skip", "times"}. `GET /-/log` tells the
method, the path and the status of each request since the last time.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Start = Callable[..., Any]


class Quiet(WSGIRequestHandler):
    """Keeps connections open, as S3 does, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Say nothing."""


class Faulty:
    """An application that misbehaves where it was told to, and leaves the rest to another one."""

    def __init__(self, inner: Callable[[dict[str, Any], Start], Iterable[bytes]]) -> None:
        self._inner = inner
        self._faults: list[dict[str, Any]] = []
        self._log: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self._told(path, environ, start)
        query = environ.get("QUERY_STRING", "")
        target = f"{path}?{query}" if query else path

        def noting(status: str, *rest: Any) -> Any:
            self._log.append((method, target, status.partition(" ")[0]))
            return start(status, *rest)

        fault = self._fault_for(method, target)
        if fault is not None:
            time.sleep(fault.get("sleep", 0.0))
            if "status" in fault:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                body = f"<Error><Code>{fault['code']}</Code><Message>{fault.get('message', '')}</Message></Error>"
                noting(f"{fault['status']} Fault", [("Content-Length", str(len(body)))])
                return [body.encode()]
        return self._inner(environ, noting)

    def _told(self, path: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if path == "/-/faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._log = []
        log, self._log = self._log, []
        body = json.dumps(log).encode()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def _fault_for(self, method: str, target: str) -> dict[str, Any] | None:
        with self._lock:
            for fault in self._faults:
                if fault.get("method", method) != method or not re.search(fault.get("path", ""), target):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                if fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return fault
        return None


def main() -> None:
    """Serve until nobody is there any more."""
    logging.disable()
    app = Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)  # noqa: T201 - that is how it tells
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
