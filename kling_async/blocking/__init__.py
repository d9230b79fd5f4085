"""The API for programs without an event loop: `from kling_async.blocking import Client`."""

from __future__ import annotations

from .batch import Batch, show_progress
from .client import Client
from .receiver import WebhookReceiver

__all__ = ["Batch", "Client", "WebhookReceiver", "show_progress"]
