"""What tests need, ours and yours: a clock that leaps, a sandbox for the providers, and tests of journals."""

from __future__ import annotations

from .clock import VirtualClock
from .journals import JournalSuite
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
    "JournalSuite",
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
