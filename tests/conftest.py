"""What many tests ask for."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

import pipeline.running.notebooks  # noqa: F401  # before any nbformat: without what takes it long to import
from contract.store import Store
from tests.live import Service, running

if TYPE_CHECKING:
    from tests.browsing import Browse, Running
    from tests.gated import Zoo

settings.register_profile("lectern", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=2_000)  # make fuzz
settings.load_profile("lectern")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported for the tests stays, so the collector need not look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, while there is something else to do beside it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store, its folder not yet made."""
    return Store(tmp_path / "store")


WriteNotebook = Callable[..., Path]


@pytest.fixture
def write_notebook(tmp_path: Path) -> WriteNotebook:
    """Write a training notebook: the source of its parameters cell, then those of its other code cells."""

    def write(parameters: str, *sources: str, name: str = "notebook", **metadata: Any) -> Path:
        cells: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{n}",
                "metadata": {},
                "outputs": [],
                "source": s,
            }
            for n, s in enumerate([parameters, *sources])
        ]
        cells[0]["metadata"] = {"tags": ["parameters"]}
        path = tmp_path / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def example_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the models of the notebooks iris and cardio, trained once per test run; to be read, not written."""
    return trained_once(tmp_path_factory, "example-store", ["iris", "cardio"])


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Versions that a gate has to tell apart, made once per test run; to be copied, not changed."""
    from filelock import FileLock

    from tests.gated import Zoo

    root = _shared(tmp_path_factory) / "zoo"
    with FileLock(f"{root}.lock"), pytest.MonkeyPatch.context() as patch:
        if not root.exists():
            for name in [name for name in os.environ if name.startswith("LECTERN_")]:
                patch.delenv(name)
            patch.setenv("LECTERN_STORE", str(root.with_suffix(".unfinished")))
            Zoo.make(root.with_suffix(".unfinished"))
            root.with_suffix(".unfinished").rename(root)
    return Zoo(Store(root))


def trained_once(tmp_path_factory: pytest.TempPathFactory, folder: str, names: Sequence[str]) -> Store:
    """A store with the models of these training notebooks, which the first worker that asks for it trains."""
    from filelock import FileLock

    store = Store(_shared(tmp_path_factory) / folder)
    notebooks = [Path(__file__).parents[1] / "notebooks" / "training" / f"{name}.ipynb" for name in names]
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    with FileLock(f"{store.root}.lock"):
        if not store.root.exists():
            unfinished = store.root.with_suffix(".unfinished")
            command = [sys.executable, "-m", "pipeline", "train", *map(str, notebooks), "--store", str(unfinished)]
            subprocess.run(command, env=own, check=True)
            unfinished.rename(store.root)
    return store


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the test run; each of several workers has its own in it."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def examples(example_store: Store) -> Iterator[Service]:
    """A service on the example store, with iris as the default model; to be asked, not stopped."""
    with running(example_store, default_model="iris") as service:
        yield service
        assert sorted(service.complaints.splitlines()) == [
            "lectern: cardio version 1 answers now.",
            "lectern: iris version 1 answers now.",
        ]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Running]:
    """The browser of this worker."""
    from tests import browsing

    with browsing.started(browsing.installed()) as running:
        yield running


@pytest.fixture
def browse(chromium: Running) -> Iterator[Browse]:
    """Open a window on a service: `browse(url, width=…, dark=…)`; each must be well at the end of the test."""
    from tests import browsing

    with browsing.windows(chromium) as browse:
        yield browse
