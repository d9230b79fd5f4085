"""Two providers that cost nothing: a state machine, an ASGI application and a server.

Written from the providers' documents alone. It shares no code with the adapters, so it cannot share their mistakes.
"""

from __future__ import annotations

from .app import SandboxApp
from .chance import Fixed, Latency, LogNormal, Uniform
from .faults import FAULTS, RESULT_SHAPES, FaultNote, Moment
from .ledger import Entry, Seen
from .server import SandboxServer, serve_forever
from .state import Sandbox

__all__ = [
    "FAULTS",
    "RESULT_SHAPES",
    "Entry",
    "FaultNote",
    "Fixed",
    "Latency",
    "LogNormal",
    "Moment",
    "Sandbox",
    "SandboxApp",
    "SandboxServer",
    "Seen",
    "Uniform",
    "serve_forever",
]
