"""For tests, ours and yours: an auto-jumping clock, a sandbox of the providers, a conformance suite for journals."""

from __future__ import annotations

from .clock import VirtualClock
from .journals import JournalSuite
from .sandbox import (
    FAULTS,
    RESULT_SHAPES,
    Charge,
    FaultSpec,
    FaultStage,
    Fixed,
    Latency,
    LoggedRequest,
    LogNormal,
    Sandbox,
    SandboxApp,
    SandboxServer,
    Uniform,
    serve_forever,
)

__all__ = [
    "FAULTS",
    "RESULT_SHAPES",
    "Charge",
    "FaultSpec",
    "FaultStage",
    "Fixed",
    "JournalSuite",
    "Latency",
    "LogNormal",
    "LoggedRequest",
    "Sandbox",
    "SandboxApp",
    "SandboxServer",
    "Uniform",
    "VirtualClock",
    "serve_forever",
]
