"""Other builds of the package, each broken in one way, to see that the tests would notice."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import kling_async

__all__ = ["MUTANTS", "build"]

MUTANTS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "no intent": (
        (
            "journal/steps.py",
            "            check = await self._write_intent(submission, needs)\n            yield check\n",
            "            yield None\n",
        ),
    ),
    "nothing found": (
        (
            "runtime/provider_api.py",
            "        if found is None:\n            raise AnswerLost(",
            "        if True:\n            raise AnswerLost(",
        ),
    ),
    "reported before it is committed": (
        (
            "runtime/journaled.py",
            "        raise\n    await entry.accepted(prediction)\n    return prediction\n",
            (
                "        raise\n"
                "    from ..system.loops import start_detached\n"
                "    start_detached(lambda: entry.accepted(prediction), ended=lambda: None)\n"
                "    return prediction\n"
            ),
        ),
    ),
    "written under the final name": (
        (
            "transport/partial_file.py",
            'self.path = directory / f"{stem}.part"',
            'self.path = directory / f"{stem}.png"',
        ),
        ("transport/partial_file.py", "            self._link(final)\n", "            pass\n"),
    ),
    "an object named before it is whole": (
        (
            "transport/object_saver.py",
            "self._write = self._writer.__enter__()",
            "self._write = lambda content: self._store.put(name, content)",
        ),
    ),
    "replayed under another key": (
        (
            "runtime/provider_api.py",
            "(self.submit(job, client_id, check)",
            "(self.submit(job, self.new_client_id(job.input), check)",
        ),
    ),
    "no shield": (("runtime/requests.py", "anyio.CancelScope(shield=True)", "anyio.CancelScope(shield=False)"),),
    "repeated after a time-out": (("scheduling/retry.py", "    return 1\n", "    return 3\n"),),
    "refused for its own client id": (
        ("providers/kling.py", 'if error.code != "1201" or not _TAKEN.search(error.message.lower()):', "if True:"),
    ),
    "cancelled is bought again": (("journal/resume.py", "(failed and resubmit_failed)", "failed"),),
    "a refused one asked about again": (
        ("runtime/refusals.py", " or admission.replaces is not None:", ":"),
        ("journal/refusals.py", "if known.replaces is not None or known.declined or", "if known.declined or"),
        ("runtime/refusals.py", "        if shared and self._is_replaced(job, known):", "        if False:"),
    ),
    "a replacement not known as one": (
        ("journal/encoding.py", "    if one.replaces is not None:\n", "    if False:\n"),
    ),
    "columns without a checksum": (
        ("journal/schema.py", "zlib.crc32(columns.encode())", "zlib.crc32(body.encode())"),
        (
            "journal/schema.py",
            'return zlib.crc32("\\0".join(map(str, columns)).encode())',
            "return zlib.crc32(str([*columns][-1]).encode())",
        ),
        (
            "journal/schema.py",
            """CAST(key || char(0) || attempt || char(0) || state || char(0) || paid || char(0) || unsaved || char(0) ||
    serial || char(0) || body AS BLOB)""",
            "CAST(body AS BLOB)",
        ),
    ),
    "seal not compared": (
        ("journal/seal.py", "return self.digest == digest_of(file, connection, commits=self.commits)", "return True"),
    ),
    "index not compared": (("journal/schema.py", "PRAGMA integrity_check(1)", "PRAGMA quick_check(1)"),),
    "commits not counted": (("journal/wal_check.py", "if missing > 0:", "if missing > 1 << 60:"),),
}
"""Replacements by what is wrong then: file, text, other text."""


def build(name: str, folder: Path) -> Path:
    """Make a build that is broken so, and return the folder to import it from."""
    package = folder / "kling_async"
    shutil.copytree(Path(kling_async.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, before, after in MUTANTS[name]:
        text = (package / path).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{path} has changed: this mutation must follow it"
        (package / path).write_text(text.replace(before, after), encoding="utf-8")
    return folder
