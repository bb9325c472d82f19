"""The pictures of the README and the docs: taken anew of a service with example models, so that they stay true.

python -m tests.screenshots
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Page, expect

from tests import browsing
from tests.live import ROOT, running
from tests.tutorials import HOME

FOLDER = ROOT / "docs" / "pages"
_HEIGHT = 860


def _predict(page: Page) -> None:
    for field, centimetres in {
        "sepal_length": 6.0,
        "sepal_width": 2.7,
        "petal_length": 5.0,
        "petal_width": 1.7,
    }.items():
        page.get_by_label(field).first.fill(str(centimetres))
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer meter").first).to_be_visible()


def _nothing(_: Page) -> None:
    pass


PICTURES: Mapping[str, tuple[str, bool, Callable[[Page], None]]] = {
    "models": ("", False, _nothing),
    "model": ("models/iris", False, _predict),
    "model-dark": ("models/iris", True, _predict),
    "versions": ("models/iris/versions", False, _nothing),
}
"""By name: the path, whether it is dark, and what is done before."""


def main() -> int:
    """Take them all."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lectern-screenshots-") as folder:
        store = Path(folder) / "artifacts"
        _train(store, ["cardio", "churn", "digits", "iris", "reviews"])
        for trees in (10, 20, 60):
            _train(store, ["iris"], "-p", f"n_estimators={trees}")
        with running(store, logged=True, port=8000) as service, browsing.started(browsing.installed()) as browser:
            for name, (path, dark, act) in PICTURES.items():
                with browsing.windows(browser) as browse:
                    page = browse(service.url, dark=dark).page
                    page.set_viewport_size({"width": browsing.WIDE, "height": _HEIGHT})
                    page.goto(path)
                    act(page)
                    page.screenshot(path=FOLDER / f"{name}.png")
                    print(f"docs/pages/{name}.png", flush=True)
    return 0


def _train(store: Path, names: Sequence[str], *options: str) -> None:
    notebooks = [str(HOME / "training" / f"{name}.ipynb") for name in names]
    command = [sys.executable, "-m", "pipeline", "train", "--store", str(store), *notebooks, *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
