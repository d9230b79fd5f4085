"""Print the outcomes of a run on stdout: paths of files, URLs, or JSON objects."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from attrs import frozen

from ..runs.display import mode_for
from ..runs.jobfile import json_line
from ..runs.results import row_from_outcome, to_dict
from ..types.jobs import Outcome
from .console import write_result
from .options import Options
from .plan import RunPlan

__all__ = ["OutcomeLines"]


@frozen(kw_only=True)
class OutcomeLines:
    """Prints what the options of a run ask for.

    Attributes:
        options: those of the run.
        plan: its checked jobs.
        began_at: the begin of the run.
    """

    options: Options
    plan: RunPlan
    began_at: datetime

    @property
    def is_live(self) -> bool:
        """Whether the live display shows the progress on stderr."""
        return (self.options.progress or mode_for(sys.stderr, os.environ)) == "live"

    def print_outcome(self, outcome: Outcome) -> None:
        """Print one outcome, or nothing, as `--print` says."""
        options, urls = self.options, self.options.download is False
        shown = self.is_live and not options.json and not urls and sys.stdout.isatty()
        listed = options.listed or ("none" if shown else "new")
        if listed == "none" or (listed == "new" and self._is_known(outcome)):
            return
        if options.json:
            write_result(json_line(to_dict(row_from_outcome(outcome))))
            return
        prediction = outcome.prediction
        outputs = [output.url for output in prediction.outputs] if outcome.ok and prediction is not None else []
        for line in outputs if urls else map(str, outcome.files):
            write_result(line)

    def _is_known(self, outcome: Outcome) -> bool:
        """Whether an outcome is that of an earlier run, and none of its files was saved now."""
        key = outcome.job.key or ""
        if key not in self.plan.already_done:
            return key in self.plan.already_failed
        began_at = self.began_at.timestamp()
        try:
            return all(not isinstance(file, Path) or file.stat().st_mtime < began_at for file in outcome.files)
        except OSError:  # it was removed since
            return True
