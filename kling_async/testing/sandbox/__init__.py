"""A sandbox of the providers, free of charge: a state machine, an ASGI application and a server.

Written from the providers' documents alone. It shares no code with the adapters, so it cannot share their mistakes.
"""

from __future__ import annotations

from .app import SandboxApp
from .faults import FAULTS, RESULT_SHAPES, FaultSpec, FaultStage
from .ledger import Charge, LoggedRequest
from .randomness import Fixed, Latency, LogNormal, Uniform
from .server import SandboxServer, serve_forever
from .state import Sandbox

__all__ = [
    "FAULTS",
    "RESULT_SHAPES",
    "Charge",
    "FaultSpec",
    "FaultStage",
    "Fixed",
    "Latency",
    "LogNormal",
    "LoggedRequest",
    "Sandbox",
    "SandboxApp",
    "SandboxServer",
    "Uniform",
    "serve_forever",
]
