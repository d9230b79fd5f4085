"""The page of faults says all that the tests' table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import load_from_docs
from ..faults.rows import ROWS, Row, proofs

ROOT = Path(__file__).resolve().parents[2]
PROOFS = proofs(ROOT / "tests" / "faults")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the page as the build does, and read it."""
    module = load_from_docs("faults_page.py")
    path = tmp_path_factory.mktemp("page") / "faults.md"
    module.write_faults_page(path)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}")
def test_every_row_is_there(page: str, row: Row) -> None:
    """A row stands there with its fault, its promise, its tests and what they say, or with the reason why not."""
    _, found, rest = page.partition(f"## {row.number}. {row.fault}\n")
    assert found
    told = rest.partition("\n## ")[0]
    assert f"**Must hold:** {row.holds}" in told
    assert (f"**Not proven here:** {row.missing}" in told) == bool(row.missing)
    for proof in PROOFS.get(row.number, ()):
        assert f"(`{proof.name}`)" in told
        assert " ".join(proof.says.split()) in told
        assert not proof.pending or f"*Not yet: {proof.pending}.*" in told
