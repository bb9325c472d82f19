"""contract.formats.joblib.load: processes that share a folder have a model's arrays in memory once."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from contract.answers import Columns
from contract.child import Child
from contract.formats import joblib
from contract.formats.joblib import FittedObject
from contract.limits import Limits
from tests.children import PATIENCE_S, stored
from tests.samples import REGRESSION, manifest

ROWS = np.random.default_rng(0).normal(size=(200_000, 2))
COLUMNS: Columns = {"x0": [0.1, -2.0, 3.0], "x1": [0.0, 1.0, -1.0]}


@pytest.fixture(scope="module")
def neighbours() -> KNeighborsRegressor:
    """A model that holds all its rows: some megabytes."""
    return KNeighborsRegressor(3, algorithm="brute").fit(ROWS, ROWS.sum(axis=1))


def mapped(process: int, folder: Path) -> int:
    """The kilobytes that a process has mapped from a folder."""
    text = Path(f"/proc/{process}/smaps").read_text()
    sizes = [part for part in text.split("VmFlags:") if str(folder) in part]
    return sum(int(part.split("Size:")[1].split()[0]) for part in sizes)


def test_several_children_map_one_file(neighbours: KNeighborsRegressor, tmp_path: Path) -> None:
    version, folder = stored(tmp_path / "version", neighbours), tmp_path / "shared"
    folder.mkdir()

    def child(warm: bool) -> Child:
        return Child(version, "joblib", Limits(PATIENCE_S, PATIENCE_S), warm=warm, shared=folder)

    expected = FittedObject(neighbours, REGRESSION).answer(COLUMNS)
    with closing(child(warm=True)) as first, closing(child(warm=False)) as second:
        for one in (first, second, first):
            assert one.answer(COLUMNS) == expected
            assert mapped(one.process_id, folder) >= ROWS.nbytes // 1024
    [file] = folder.iterdir()
    assert file.read_bytes() == version.read(joblib.FILE)


def test_what_one_process_writes_no_other_sees(tmp_path: Path) -> None:
    joblib.save({"rows": ROWS}, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    folder = tmp_path / "shared"
    folder.mkdir()
    first, second = (joblib.load(content, manifest(), shared=folder).chain.before[0]["rows"] for _ in range(2))
    first[:] = 0
    np.testing.assert_array_equal(second, ROWS)
    assert next(folder.iterdir()).read_bytes() == content


def test_a_small_model_is_not_worth_a_file(tmp_path: Path) -> None:
    joblib.save({"rows": ROWS[:10]}, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    folder = tmp_path / "shared"
    folder.mkdir()
    joblib.load(content, manifest(), shared=folder)
    assert not list(folder.iterdir())


def test_a_megabyte_is_worth_a_file(tmp_path: Path) -> None:
    around = len(pickle.dumps(b"x" * (1 << 20))) - (1 << 20)
    for size, files in ((1 << 20) - 1, 0), (1 << 20, 1):
        content = pickle.dumps(b"x" * (size - around))
        assert len(content) == size
        joblib.load(content, manifest(), shared=tmp_path)
        assert len([*tmp_path.iterdir()]) == files


def test_where_there_is_no_room_each_process_has_its_own(tmp_path: Path) -> None:
    joblib.save({"rows": ROWS}, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    found = joblib.load(content, manifest(), shared=tmp_path / "gone")
    np.testing.assert_array_equal(found.chain.before[0]["rows"], ROWS)
