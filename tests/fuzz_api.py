"""The API for long, as schemathesis goes about it by itself: examples, borders, noise, requests that follow others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from contract.store import Store
from tests.live import running
from tests.test_fuzz_api import MANY, PATIENCE, fill

UNSAID = "positive_data_acceptance,negative_data_rejection"
"""No schema says which texts are tables, or that 2.0 is no whole number; tests/test_fuzz_api.py looks at the rest."""


@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing", "stateful"])
def test_no_answer_is_another_than_the_document_says(phases: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fill(store)
    with running(store, logged=True, default_model="notes") as service:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--no-color"]
        command += ["--phases", phases, "--exclude-checks", UNSAID, "--warnings", "off"]
        command += ["--header", f"{PATIENCE}: 600000"]  # who waits for a millisecond gets 504
        command += ["--max-examples", str(MANY if settings().max_examples > 100 else 20)]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2_000:]
        assert "Traceback" not in service.complaints
