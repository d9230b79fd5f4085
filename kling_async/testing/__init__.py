"""What tests need, ours and yours: a clock that leaps, and a sandbox that stands in for the providers."""

from __future__ import annotations

from .clock import VirtualClock
from .sandbox import (
    FAULTS,
    RESULT_SHAPES,
    Entry,
    FaultNote,
    Fixed,
    Latency,
    LogNormal,
    Moment,
    Sandbox,
    SandboxApp,
    SandboxServer,
    Seen,
    Uniform,
    serve_forever,
)

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
    "VirtualClock",
    "serve_forever",
]
