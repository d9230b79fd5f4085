"""For tests, ours and yours: an auto-jumping clock, a sandbox, and conformance suites for journals and providers."""

from __future__ import annotations

from .clock import VirtualClock
from .deliveries import WebhookDelivery
from .journals import JournalSuite, SingleOwnerSuite
from .providers import ProviderSuite
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
from .shared_journals import SharedJournalSuite

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
    "ProviderSuite",
    "Sandbox",
    "SandboxApp",
    "SandboxServer",
    "SharedJournalSuite",
    "SingleOwnerSuite",
    "Uniform",
    "VirtualClock",
    "WebhookDelivery",
    "serve_forever",
]
