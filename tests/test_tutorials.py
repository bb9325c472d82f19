"""The tutorials hold: run again against a live service, each cell answers as committed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from contract.store import Store
from tests import tutorials


@pytest.mark.slow
def test_each_cell_answers_as_committed(example_store: Store, tmp_path: Path) -> None:
    store = shutil.copytree(example_store.root, tmp_path / "artifacts")
    with tutorials.served(store) as environment:
        assert tutorials.check(environment) == 0
