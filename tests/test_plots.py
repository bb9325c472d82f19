"""The plots: which there are of each task, that they stand on any background, and that they leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring import figures, plots
from tests.test_scoring import DECIDED, GROUPS, NUMBER, NUMBERS, OUTLIERS, PAIRS, TAGS, TEXTS, TRANSFORM, TWO

SVG = "{http://www.w3.org/2000/svg}"
RNG = np.random.default_rng(0)
N = 80


def texts(svg: bytes) -> list[str]:
    """What is written in a picture."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def of_two(output: Output = TWO, rows: int = N) -> tuple[Answers, list[Any], Output]:
    true = RNG.integers(2, size=rows)
    share = np.clip(true * 0.4 + RNG.random(rows) * 0.6, 0, 1)
    scores = [[float(1 - s), float(s)] if output.scores == "probabilities" else [float(s - 0.5)] for s in share]
    return Answers([output.classes[int(s > 0.5)] for s in share], scores), [output.classes[i] for i in true], output


def of_many(count: int, rows: int = 500, *, scores: bool = True) -> tuple[Answers, list[Any], Output]:
    names = tuple(f"class {i}" for i in range(count))
    output = Output(
        task="classification", labels=tuple(range(count)), classes=names, scores="probabilities" if scores else ""
    )
    shares = RNG.dirichlet([0.5] * count, size=rows)
    true = [names[RNG.choice(count, p=row)] for row in shares]
    said = [names[int(row.argmax())] for row in shares]
    return Answers(said, shares.tolist() if scores else None), true, output


def of_numbers(width: int | None, rows: int, names: tuple[str, ...] = ()) -> tuple[Answers, list[Any], Output]:
    shape = (rows,) if width is None else (rows, width)
    true = RNG.uniform(size=shape)
    said = (true + RNG.uniform(size=shape)).tolist()
    return Answers(said), true.tolist(), Output(task="regression", width=width, names=names)


CLASSES = ["Confusion matrix", "ROC curve"]
TASKS: dict[str, tuple[tuple[Answers, list[Any] | None, Output], list[str]]] = {
    "two classes": (of_two(), [*CLASSES, "Precision and recall", "Calibration"]),
    "decisions": (of_two(DECIDED), [*CLASSES, "Precision and recall"]),
    "few rows": (of_two(rows=20), [*CLASSES, "Precision and recall"]),
    "three classes": (of_many(3), CLASSES),
    "thirty classes": (of_many(30), CLASSES),
    "more classes": (of_many(31), ["Most frequent mistakes", "ROC curve"]),
    "without scores": (of_many(4, scores=False), CLASSES[:1]),
    "open classes": ((Answers(["b", "a"]), ["b", "c"], TEXTS), CLASSES[:1]),
    "several classes": ((Answers([["red", "s"]]), [["red", "m"]], PAIRS), ["Accuracy by output"]),
    "labels": ((Answers([["x"], ["y"]]), [["x"], ["x", "y"]], TAGS), ["F1 by label"]),
    "numbers": (of_numbers(None, 20_000), ["Predicted and true", "Residuals"]),
    "seven numbers": (of_numbers(7, 2_000), ["Predicted and true", "Residuals"]),
    "groups": ((Answers([0, 0, 1]), None, GROUPS), ["Cluster sizes"]),
    "groups with truth": ((Answers([0, 0, 1]), ["a", "a", "b"], GROUPS), ["Cluster sizes"]),
    "outliers": ((Answers(["odd", "normal"], [[-0.3], [0.2]]), ["odd", "odd"], OUTLIERS), ["Outlier scores"]),
    "outliers alone": ((Answers(["odd", "normal"], [[-0.3], [0.2]]), None, OUTLIERS), ["Outlier scores"]),
    "transform": ((Answers([[1.0, 2.0]]), [[1.0, 2.0]], TRANSFORM), []),
    "classes alone": ((*of_two()[:1], None, TWO), []),
    "numbers alone": ((Answers([1.0]), None, NUMBER), []),
    "one class": ((Answers(["no"] * 40, [[0.5, 0.5]] * 40), ["no"] * 40, TWO), ["Confusion matrix", "Calibration"]),
}


@pytest.mark.parametrize(("case", "titles"), TASKS.values(), ids=TASKS)
def test_each_task_has_its_plots(case: tuple[Answers, list[Any] | None, Output], titles: list[str]) -> None:
    found = plots.draw(*case)
    assert list(found) == titles
    for title, svg in found.items():
        assert title in texts(svg)
        assert len(svg) < 60_000
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert b"<script" not in svg
    assert plots.draw(*case) == found  # to the byte


def test_the_matrix_holds_the_rows_by_true_and_answered_class() -> None:
    said, true = ["no"] * 7 + ["yes"] * 5, ["no"] * 4 + ["yes"] * 3 + ["yes"] * 3 + ["no"] * 2
    svg = plots.draw(Answers(said), true, TWO)["Confusion matrix"]
    assert [text for text in texts(svg) if text.isdigit()] == ["4", "2", "3", "3"]


def test_the_area_and_the_mean_precision_are_written_beside_their_curves() -> None:
    shares = [[1 - share, share] for share in (0.1, 0.7, 0.5, 0.6)]
    found = plots.draw(Answers(["no", "yes", "yes", "yes"], shares), ["no", "no", "yes", "yes"], TWO)
    assert "area 0.500" in texts(found["ROC curve"])
    assert "average precision 0.583" in texts(found["Precision and recall"])


def test_of_many_classes_those_with_the_most_rows_have_a_curve() -> None:
    answers, true, output = of_many(12, 600)
    written = texts(plots.draw(answers, true, output)["ROC curve"])
    shown = {name for name in output.classes if any(text.startswith(f"{name} ") for text in written)}
    often = sorted((true.count(name) for name in output.classes), reverse=True)
    assert len(shown) == 8
    assert min(true.count(name) for name in shown) == often[7]


def test_the_most_frequent_mistakes_come_first() -> None:
    answers, true, output = of_many(40)
    answers = Answers(["class 1"] * 9 + ["class 2"] * 5 + true[14:])
    true = ["class 3"] * 9 + ["class 4"] * 5 + true[14:]
    written = texts(plots.draw(answers, true, output)["Most frequent mistakes"])
    assert [text for text in written if "answered" in text] == [
        "class 3 answered as class 1",
        "class 4 answered as class 2",
    ]


def test_outputs_have_panels_with_their_names_up_to_six() -> None:
    two = plots.draw(*of_numbers(2, 50, ("height", "weight")))
    assert {"height", "weight", "true", "predicted"} <= set(texts(two["Predicted and true"]))
    seven = texts(plots.draw(*of_numbers(7, 50))["Residuals"])
    assert [text for text in seven if text.startswith("output")] == [f"output {i}" for i in range(6)]
    assert plots.draw(Answers([[1.0, 2.0]]), [[1.0, 2.0]], NUMBERS).keys() == two.keys()


def test_labels_are_shown_with_their_f1_the_best_first() -> None:
    said, true = [["x"], ["x", "y"], ["y"], []], [["x"], ["x"], ["x", "y"], []]
    written = texts(plots.draw(Answers(said), true, TAGS)["F1 by label"])
    assert [text for text in written if text in ("x", "y", "z")] == ["x", "y", "z"]
    assert {"0.80", "0.67", "0.00"} <= set(written)


def test_twenty_features_are_shown_the_most_important_first() -> None:
    weights = {f"feature {i}": float(i) for i in range(30)}
    found = plots.draw(Answers([1.0, 2.0]), None, NUMBER, importances=weights)
    written = [text for text in texts(found["Feature importance"]) if text.startswith("feature")]
    assert written == [f"feature {i}" for i in range(29, 9, -1)]
    assert plots.draw(Answers([1.0]), None, NUMBER, importances={"a": 0.0}) == {}


def test_any_name_can_stand_in_a_plot() -> None:
    names = ("$5 to $6", "$a_{", "<b>&\x00\n", "長い名前", "x" * 100, "")
    output = Output(task="clustering", labels=tuple(range(6)), classes=names)
    written = texts(plots.draw(Answers(list(names)), None, output)["Cluster sizes"])
    assert {"$5 to $6", "$a_{", "<b>&", "長い名前", "x" * 45 + "…", "''"} <= set(written)


def test_names_that_look_alike_when_cut_keep_a_bar_each() -> None:
    weights = {"x" * 60 + str(i): 1.0 for i in range(3)}
    written = texts(plots.draw(Answers([1.0]), None, NUMBER, importances=weights)["Feature importance"])
    assert written.count("x" * 45 + "…") == 3


def test_many_rows_are_one_picture_with_a_sample_of_them() -> None:
    root = ET.fromstring(plots.draw(*of_numbers(None, 5_000))["Residuals"])
    assert len(list(root.iter(f"{SVG}image"))) == 1
    assert len(set(figures.sampled(5_000).tolist())) == figures.MOST_POINTS
    assert figures.sampled(3).tolist() == [0, 1, 2]


def test_a_curve_keeps_its_ends() -> None:
    (thin,) = figures.thinned(np.arange(10_000))
    assert (len(thin), thin[0], thin[-1]) == (200, 0, 9_999)
    assert [kept.tolist() for kept in figures.thinned(np.arange(3), np.arange(3))] == [[0, 1, 2], [0, 1, 2]]


def luminance(colour: str) -> float:
    """Relative luminance, after WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#111111"], ids=["light", "dark"])
def test_everything_stands_out_from_light_and_dark(background: str) -> None:
    assert contrast(figures.INK, background) > 4.3
    assert min(contrast(colour, background) for colour in figures.COLOURS) > 3


@pytest.mark.parametrize(("case", "_"), TASKS.values(), ids=TASKS)
def test_no_background_is_painted(case: tuple[Answers, list[Any] | None, Output], _: list[str]) -> None:
    for svg in plots.draw(*case).values():
        background = next(g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("id") == "patch_1")
        assert [path.get("style", "").replace(" ", "") for path in background] == ["fill:none"]


def test_the_notebook_s_own_style_neither_comes_in_nor_changes() -> None:
    import matplotlib as mpl

    plain = plots.draw(*TASKS["two classes"][0])
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9, "text.usetex": True}):
        before = dict(mpl.rcParams.copy())
        assert plots.draw(*TASKS["two classes"][0]) == plain
        assert dict(mpl.rcParams.copy()) == before


CLEAN = """
import sys
from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring import plots
assert "matplotlib" not in sys.modules
found = plots.draw(Answers([1.0, 2.0, 3.0]), [1.0, 2.5, 2.0], Output(task="regression"))
assert len(found) == 2, found
assert "matplotlib.pyplot" not in sys.modules
sys.modules["matplotlib.style"] = sys.modules["matplotlib.figure"] = None
assert plots.draw(Answers([1.0]), [2.0], Output(task="regression")) == {}
"""


def test_nothing_of_the_notebook_s_plotting_is_touched_and_without_matplotlib_there_is_none() -> None:
    done = subprocess.run([sys.executable, "-c", CLEAN], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
