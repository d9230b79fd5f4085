"""`python -m kling_async` is `kling-async`."""

from __future__ import annotations

from kling_async.cli import main

if __name__ == "__main__":
    main()
