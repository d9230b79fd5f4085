"""The page of faults has all of the tests' table."""

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
    """Each row is listed with its fault, its promise, and its tests and their rules, or the reason for none."""
    _, found, rest = page.partition(f"## {row.number}. {row.fault}\n")
    assert found
    text = rest.partition("\n## ")[0]
    assert f"**Must hold:** {row.holds}" in text
    assert (f"**Not proven here:** {row.missing}" in text) == bool(row.missing)
    for proof in PROOFS.get(row.number, ()):
        assert f"(`{proof.name}`)" in text
        assert " ".join(proof.says.split()) in text
        assert not proof.pending or f"*Not yet: {proof.pending}.*" in text
