"""The report of a run, to look at: values in, HTML out.

`page` needs jinja2, which the extra `cli` brings; the other modules need nothing, so that a gallery can be shown in
any notebook.
"""

from __future__ import annotations

from .notebook import gallery
from .rows import ReportRow

__all__ = ["ReportRow", "gallery"]
