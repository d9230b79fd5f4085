"""The public API: `Client`."""

from .client import Client

__all__ = ["Client"]
