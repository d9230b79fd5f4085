"""A provider that misbehaves as it is told, on raw sockets, in a process of its own, and that keeps honest books.

    python -I -S provider.py

It reads one command a line, as JSON, and answers each with one line. A *site* is one listening port with its own script
and its own books. Every provider's wire is spoken, as `wires.py` has it. Requests without a script are answered as a
healthy provider would. A submission is charged to its prompt once its whole body is here, whatever becomes of the
answer; only an answer that says no is free, and says so (`"charges": false`), and a client id that was used before is
refused, whatever the script says.

Nothing but the standard library is imported, and nothing of the package: the two can share no mistake. It ends when its
standard input does, or when its life is over, and it serves a bounded number of connections at once.
"""

import contextlib
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from pathlib import Path

# It runs isolated, without the folder of this file on its path. Added at the end, so that it hides no library.
sys.path.append(str(Path(__file__).resolve().parent))

import wires

LIVES_FOR = 7200.0
"""Seconds after which it ends in any case."""
MOST_CONNECTIONS = 400
PATIENCE = 20.0
"""Seconds without a byte after which a connection is given up."""
LONGEST_HEAD, LONGEST_BODY = 64 * 1024, 16 * 1024 * 1024

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\0\0\0\0IEND\xaeB`\x82"
"""What a healthy site serves as a file: 102 KB."""

_places = threading.BoundedSemaphore(MOST_CONNECTIONS)


class Hangup(Exception):
    """The connection is over."""


class Request:
    """One request, as much of it as came."""

    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.at = time.monotonic()
        self.connection = connection
        self.method, self.target = [*lines[0].split(" "), "", ""][:2]
        self.headers = [line.split(": ", 1) for line in lines[1:] if ": " in line]
        self.body = b""
        self.whole = False
        self.wire, self.kind, self.id = wires.route(self.target)
        self.prompt = self.client_id = None

    def header(self, name):
        return next((value for one, value in self.headers if one.lower() == name), None)

    def told(self):
        return {
            "kind": self.kind,
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body_bytes": len(self.body),
            "whole": self.whole,
            "prompt": self.prompt,
            "client_id": self.client_id,
            "connection": self.connection,
            "at": self.at,
        }


class Site:
    """One port: what it does, and what it saw."""

    def __init__(self, told):
        self.lock = threading.Lock()
        self.told = told
        self.canary = told["canary"].encode()
        self.tls = None
        if told.get("certificate"):
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(told["certificate"])
        self.script = told["script"]
        self.taken = {}
        self.requests, self.failures = [], []
        self.charges, self.prompts, self.looks = {}, {}, {}
        self.client_ids, self.own_ids, self.cancelled = {}, {}, set()
        self.connections = self.submitting = self.serving = self.most_submitting = self.most_serving = 0
        self.answered = self.closed = 0
        self.key_seen = False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.origin = f"{'https' if self.tls else 'http'}://{told.get('host') or '127.0.0.1'}:{self.port}"
        self.links = told.get("links") or self.origin
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if not _places.acquire(blocking=False):
                connection.close()
                continue
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection, self.connections), daemon=True).start()

    def serve(self, connection, number):
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.told.get("greeting"):
                self.perform(self.told["greeting"], connection, None)
                return
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            left = b""
            while True:
                request, left = self.read(connection, number, left)
                self.answer(request, connection)
        except (Hangup, OSError):
            pass  # who hangs up, on either side, is what all of this is about
        except Exception:  # noqa: BLE001 - a mistake of this file is told to the test, which fails
            self.failures.append(traceback.format_exc())
        finally:
            connection.close()
            with self.lock:
                self.closed += 1
            _places.release()

    # What comes in.

    def read(self, connection, number, data):
        while b"\r\n\r\n" not in data:
            if len(data) > LONGEST_HEAD:
                raise Hangup
            data += self.receive(connection)
        head, _, data = data.partition(b"\r\n\r\n")
        request = Request(head, number)
        with self.lock:
            self.requests.append(request)
        length = int(request.header("content-length") or 0)
        while len(data) < min(length, LONGEST_BODY):
            data += self.receive(connection)
        request.body, data = data[:length], data[length:]
        request.whole = True
        return request, data

    def receive(self, connection):
        data = connection.recv(256 * 1024)
        self.key_seen = self.key_seen or self.canary in data
        if not data:
            raise Hangup
        return data

    # What goes out.

    def answer(self, request, connection):
        submits = request.kind == "submit"
        with self.lock:
            if submits:
                body = json.loads(request.body)
                request.prompt, request.client_id = request.wire.prompt(body), request.wire.key(request.header, body)
                self.submitting += 1
                self.most_submitting = max(self.most_submitting, self.submitting)
            else:
                request.id = self.client_ids.get(request.id, request.id)
                request.prompt = self.prompts.get(request.id)
                request.client_id = self.own_ids.get(request.id)
                self.serving += request.kind == "file"
                self.most_serving = max(self.most_serving, self.serving)
            answer = self.scripted(request) or {"steps": [{"do": request.kind}]}
            if submits and request.client_id in self.client_ids:
                request.id = self.client_ids[request.client_id]
                answer = {"steps": [{"do": "submit" if request.wire.replays else "duplicate"}], "charges": False}
            if submits and answer.get("charges", True):
                self.charge(request)
        try:
            self.perform(answer["steps"], connection, request)
        finally:
            with self.lock:
                self.answered += 1
                self.submitting -= submits
                self.serving -= request.kind == "file"

    def charge(self, request):
        ids = self.charges.setdefault(request.prompt, [])
        request.id = f"p-{self.port}-{len(self.prompts) + 1}"
        self.prompts[request.id] = request.prompt
        if request.client_id:
            self.client_ids[request.client_id] = request.id
            self.own_ids[request.id] = request.client_id
        ids.append(request.id)

    def scripted(self, request):
        """Return the next answer in the script of the request's job, or in that of the site, if there is one."""
        for owner in (request.prompt, None):
            script = self.script if owner is None else self.script.get("jobs", {}).get(owner, {})
            answers = script.get(request.kind, [])
            if not answers:
                continue
            turn = self.taken.get((owner, request.kind), 0)
            self.taken[owner, request.kind] = turn + 1
            if turn < len(answers):
                return answers[turn]
            return answers[-1] if answers[-1].get("always") else None
        return None

    def perform(self, steps, connection, request):
        for step in steps:
            getattr(self, f"do_{step['do']}")(step, connection, request)

    def filled(self, text, request):
        names = {"origin": self.origin}
        if request is not None:
            names |= {"id": request.id or "", "prompt": request.prompt or "", "target": request.target}
        return re.sub(r"<<(\w+)>>", lambda found: names[found[1]], text).encode("latin-1")

    def do_send(self, step, connection, request):
        connection.sendall(self.filled(step["data"], request))

    def do_reply(self, step, connection, request):
        """Send a whole reply, or all of it but some bytes at the end."""
        body = self.filled(step["body"], request)
        headers = "".join(f"{name}: {value}\r\n" for name, value in step["headers"])
        head = f"HTTP/1.1 {step['status']}\r\n{headers}"
        if step["length"]:
            head += f"Content-Length: {len(body)}\r\n"
        whole = self.filled(head + "\r\n", request) + body
        connection.sendall(whole[: len(whole) - step["short"]])

    def do_repeat(self, step, connection, request):
        data = self.filled(step["data"], request) * step["times_each"]
        for _ in range(step["times"]):
            connection.sendall(data)
            if step["every"]:
                time.sleep(step["every"])

    def do_sleep(self, step, connection, request):
        time.sleep(step["for"])

    def do_close(self, step, connection, request):
        raise Hangup

    def do_reset(self, step, connection, request):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        raise Hangup

    # What a healthy provider says.

    def reply_json(self, answer, connection):
        status, document = answer
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    def do_submit(self, step, connection, request):
        self.reply_json(request.wire.accept(request, self.links), connection)

    def do_duplicate(self, step, connection, request):
        self.reply_json(request.wire.duplicate, connection)

    def do_poll(self, step, connection, request):
        """Tell how a task stands, or that it stands as the step says."""
        if request.prompt is None:
            self.reply_json(request.wire.not_found, connection)
            return
        with self.lock:
            self.looks[request.id] = self.looks.get(request.id, 0) + 1
        word = wires.COMPLETED if self.looks[request.id] > self.told["running_for"] else wires.PROCESSING
        word = step.get("word") or (wires.CANCELLED if request.id in self.cancelled else word)
        outputs = self.outputs(request) if word == wires.COMPLETED else []
        self.reply_json(request.wire.report(request, word, outputs, self.links), connection)

    def do_result(self, step, connection, request):
        known = request.prompt is not None
        answer = request.wire.result(request, self.outputs(request)) if known else request.wire.not_found
        self.reply_json(answer, connection)

    def do_cancel(self, step, connection, request):
        with self.lock:
            self.cancelled.add(request.id)
        self.reply_json(request.wire.cancel(request, self.links), connection)

    def outputs(self, request):
        return [self.filled(one, request).decode() for one in self.told["outputs"]]

    def do_file(self, step, connection, request):
        first, status, extra = 0, "200 OK", ""
        asked = re.fullmatch(r"bytes=(\d+)-", request.header("range") or "")
        if asked and request.header("if-range") == '"one"':
            first = int(asked[1])
            status, extra = "206 Partial Content", f"Content-Range: bytes {first}-{len(PNG) - 1}/{len(PNG)}\r\n"
        body = PNG[first:]
        head = f'HTTP/1.1 {status}\r\nETag: "one"\r\n{extra}Content-Length: {len(body)}\r\n\r\n'
        connection.sendall(head.encode() + body)

    # What it saw.

    def log(self):
        with self.lock:
            return {
                "charges": self.charges,
                "requests": [request.told() for request in self.requests],
                "connections": self.connections,
                "answered": self.answered,
                "closed": self.closed,
                "most_submitting": self.most_submitting,
                "most_serving": self.most_serving,
                "key_seen": self.key_seen,
                "failures": self.failures,
            }


def main():
    life = threading.Timer(LIVES_FOR, os._exit, (3,))
    life.daemon = True
    life.start()
    sites = {}
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        if "open" in command:
            site = Site(command["open"])
            sites[site.port] = site
            answer = {"port": site.port, "origin": site.origin}
        elif "script" in command:
            site = sites[command["port"]]
            with site.lock:
                site.script, site.taken = command["script"], {}
        elif "log" in command:
            answer = sites[command["log"]].log()
        elif "close" in command:
            listener = sites.pop(command["close"]).listener
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        print(json.dumps(answer), flush=True)  # noqa: T201 - that is how it answers
    os._exit(0)  # without waiting for the connections: whoever started this is gone


main()
