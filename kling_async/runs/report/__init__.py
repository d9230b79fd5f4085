"""The report of a run: values in, HTML out.

`page` needs jinja2, which the extra `cli` installs. The other modules need no extra, so that any notebook can show a
gallery.
"""

from __future__ import annotations

from .gallery import gallery
from .rows import ReportRow

__all__ = ["ReportRow", "gallery"]
