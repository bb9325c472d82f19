"""The gate: two versions on the same rows, what decides between them, and what they have to reach."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contract.errors import NotComparable, PromotionRefused
from contract.signature import Field, FieldType, Output, Signature
from pipeline.gating import rows as held_rows
from pipeline.gating.asking import ask, refusals
from pipeline.gating.comparing import Compared, Comparison, compare
from pipeline.gating.deciding import Decision, decide, judged
from pipeline.gating.limits import Limit
from pipeline.gating.rows import Held
from pipeline.gating.slices import having, slices
from tests.gated import HELD, KIND, LIMITS, MODEL, ROWS, Zoo


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)


def held(count: int = 60, **columns: Any) -> Held:
    """Held-out rows with every column, of which some are others."""
    frame = ROWS.loc[HELD].astype({"colour": str})[:count].assign(**columns)
    return Held({str(name): frame[name].tolist() for name in frame}, KIND[HELD][:count].tolist(), "a test")


# --- whose rows, and what they show


def test_both_are_asked_the_candidate_s_rows(zoo: Zoo) -> None:
    found = compare(zoo["bad"], zoo["good"], LIMITS)
    assert (found.candidate, found.champion, found.metric, found.count, found.source) == (
        2,
        1,
        "accuracy",
        60,
        "version 2",
    )
    assert [line.metric for line in found.table] == list(zoo["good"].manifest.metrics)
    assert {line.metric: line.champion for line in found.table} == pytest.approx(dict(zoo["good"].manifest.metrics))
    assert {line.metric: line.candidate for line in found.table} == pytest.approx(dict(zoo["bad"].manifest.metrics))
    assert {line.metric: line.better for line in found.table} == dict.fromkeys(zoo["good"].manifest.metrics, False)
    assert found.reason == "accuracy 0.5167 against 1 of version 1, on 60 rows of version 2"


def test_where_the_champion_cannot_take_them_both_are_asked_its_rows(zoo: Zoo) -> None:
    assert compare(zoo["short"], zoo["good"], LIMITS).source == "version 1"
    assert compare(zoo["good"], zoo["short"], LIMITS).source == "version 1"
    assert compare(zoo["blind"], zoo["bad"], LIMITS).source == "version 2"


def test_rows_that_one_cannot_answer_are_left_out_and_told(zoo: Zoo) -> None:
    found = compare(zoo["wide"], zoo["narrow"], LIMITS)
    blue = sum(ROWS["colour"][HELD] == "blue")
    assert found.count == 60 - blue
    (note,) = found.notes
    assert note == (
        f"Version 4 cannot answer {blue} of 60 rows: 'colour' has a level that the version does not know; "
        "they were left out."
    )
    assert compare(zoo["narrow"], zoo["wide"], LIMITS).notes == ()


@pytest.mark.parametrize(
    ("candidate", "champion", "never", "message"),
    [
        ("short", "wide", False, r"Version 5 takes 'colour', which the rows of version 3 do not have"),
        ("number", "good", False, r"Version 10 has another task than version 1: regression instead of classification"),
        ("renamed", "good", False, r"Version 9 answers a, b and version 1 low, tall: no class is the same"),
        (
            "blind",
            "blind",
            True,
            r"Neither version 7 nor version 7 of 'flower' keeps held-out rows with their truth\.$",
        ),
        ("discreet", "blind", False, r"Neither version 8 nor version 7 .* give some with --data FILE --target COLUMN"),
        ("scaler", "scaler", True, r"Neither version 11 nor version 11 of 'flower' keeps held-out rows"),
    ],
)
def test_what_cannot_be_compared_says_why(zoo: Zoo, candidate: str, champion: str, never: bool, message: str) -> None:
    with pytest.raises(NotComparable, match=message) as refused:
        compare(zoo[candidate], zoo[champion], LIMITS)
    assert refused.value.never is never


def test_what_does_not_load_cannot_be_compared(zoo: Zoo, tmp_path: Path) -> None:
    broken = zoo.put("good", dataclasses.replace(zoo, store=type(zoo.store)(tmp_path)).store, 3)
    (broken.folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(NotComparable, match=r"Version 3 cannot be asked: model\.onnx has 8 bytes"):
        compare(zoo["good"], broken, LIMITS)
    (broken.folder / "evaluation.parquet").unlink()
    with pytest.raises(NotComparable, match=r"The held-out rows cannot be read: evaluation\.parquet is missing"):
        compare(broken, zoo["good"], LIMITS)


def test_rows_given_by_hand_are_asked_instead(zoo: Zoo) -> None:
    found = compare(zoo["discreet"], zoo["bad"], LIMITS, rows=held(), column="colour")
    assert (found.source, found.deciding.candidate) == ("a test", 1.0)
    sliced = [line for line in found.table if line.rows]
    assert [(line.rows, line.metric, line.candidate) for line in sliced] == [
        (f"colour={name}", "accuracy", 1.0) for name in ("blue", "green", "red")
    ]
    with pytest.raises(NotComparable, match="There are no rows of a test"):
        compare(zoo["good"], zoo["bad"], LIMITS, rows=held(0))
    with pytest.raises(NotComparable, match="No truth tells how good a transform is") as never:
        compare(zoo["scaler"], zoo["scaler"], LIMITS, rows=held())
    assert never.value.never
    outside = held(length=99.0)
    with pytest.raises(NotComparable, match=r"no row that both can answer among those of a test\. Version 1 cannot a"):
        compare(zoo["good"], zoo["bad"], LIMITS, rows=outside)


def test_another_metric_decides_if_it_is_named(zoo: Zoo) -> None:
    found = compare(zoo["bad"], zoo["good"], LIMITS, metric="log_loss")
    assert (found.metric, found.deciding.better) == ("log_loss", False)
    assert judged(found, 0.0)[0] == "kept"
    with pytest.raises(PromotionRefused, match=r"No metric 'f2' can be computed of these rows; there is accuracy, "):
        compare(zoo["bad"], zoo["good"], LIMITS, metric="f2")


# --- asking


def test_the_rows_that_a_model_fails_at_are_found(zoo: Zoo) -> None:
    asked = ask(zoo["moody"], held(), LIMITS)
    blue = [i for i, colour in enumerate(held().columns["colour"]) if colour == "blue"]
    assert asked.refused == {"the model fails at it": len(blue)}
    assert asked.rows == tuple(i for i in range(60) if i not in blue)
    assert asked.answers.values == [held().columns["length"][i] for i in asked.rows]


@pytest.mark.parametrize(
    ("kind", "more", "good", "bad"),
    [
        ("float", {}, 1, {"x": "holds no float", None: "is missing", float("inf"): "holds no float"}),
        ("float", {"bounds": (0, 1)}, 0.5, {2.0: "lies outside its bounds", True: "holds no float"}),
        ("integer", {}, 2.0, {2.5: "holds no integer"}),
        ("boolean", {}, True, {1: "holds no boolean"}),
        ("string", {"nullable": True}, None, {1: "holds no string"}),
        ("category", {"levels": ("a",)}, "a", {"b": "has a level that the version does not know"}),
        ("tensor", {"shape": (2, 1)}, [[1.0], [2.0]], {"x": "has another shape"}),
        ("date", {}, pd.Timestamp("2026-01-02"), {"soon": "holds no date"}),
    ],
)
def test_a_row_is_refused_as_a_request_with_it_would_be(
    kind: FieldType, more: dict[str, Any], good: Any, bad: dict[Any, str]
) -> None:
    fields = (Field(name="x", type=kind, dtype="object", **more),)
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    assert refusals(signature, Held({"x": [good]}, [0], "")) == {}
    for value, reason in bad.items():
        given = Held({"x": [[1.0] if kind == "tensor" else value]}, [0], "")
        assert refusals(signature, given) == {0: f"'x' {reason}"}


# --- slices and limits


def test_slices_are_values_or_quarters() -> None:
    rows = held(8, length=[1, 2, 3, 4, 5, 6, 7, None], colour=["b", "a", None, "a", "b", "a", "a", "a"])
    assert slices(rows, "colour") == {"a": [1, 3, 5, 6, 7], "b": [0, 4], "missing": [2]}
    assert having(rows, "length", "3") == [2]
    many = held(40, length=[float(i) for i in range(40)], width=[f"w{i % 20}" for i in range(40)])
    quarters = slices(many, "length")
    assert {name: len(found) for name, found in quarters.items()} == {
        "0 to 9.75": 10,
        "9.75 to 19.5": 10,
        "19.5 to 29.25": 10,
        "29.25 to 39": 10,
    }
    shuffled = held(40, length=[float(i * 7 % 40) for i in range(39)] + [None])
    assert [name.partition(" ")[0] for name in slices(shuffled, "length")] == ["0", "9.5", "19", "28.5", "missing"]
    assert list(slices(held(3, length=[10.0, 9.0, 100.0]), "length")) == ["9", "10", "100"]
    names = held(60, colour=[f"name {i}" for i in range(60)])
    with pytest.raises(PromotionRefused, match=r"'colour' has 60 different values; .* as in 'colour=name 0: …'"):
        slices(names, "colour")
    with pytest.raises(PromotionRefused, match=r"The rows have no column 'age'; they have length, width, colour\."):
        slices(rows, "age")
    with pytest.raises(PromotionRefused, match=r"No row has the value 'c' in 'colour'; there are b, a, missing\."):
        having(rows, "colour", "c")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("accuracy>=0.9", Limit("accuracy", ">=", 0.9)),
        (" log_loss <= 0.3 ", Limit("log_loss", "<=", 0.3)),
        ("sex: accuracy>0.8", Limit("accuracy", ">", 0.8, "sex")),
        ("sex=F: accuracy<.8", Limit("accuracy", "<", 0.8, "sex", "F")),
        ("petal width (cm)=0.1 to 2: f1_macro >= 1e-1", Limit("f1_macro", ">=", 0.1, "petal width (cm)", "0.1 to 2")),
    ],
)
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit


@pytest.mark.parametrize("text", ["accuracy", "accuracy=0.9", "sex:accuracy", ">=0.9", ""])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no limit; write 'accuracy>=0\.9'"):
        Limit.parse(text)
    with pytest.raises(ValueError, match=r"'high' in 'accuracy>=high' is no number"):
        Limit.parse("accuracy>=high")


def test_limits_hold_for_the_candidate_alone(zoo: Zoo) -> None:
    def found(*texts: str) -> Comparison:
        asked_for = [Limit.parse(text) for text in texts]
        return compare(zoo["bad"], zoo["blind"], LIMITS, rows=held(), asked_for=asked_for)

    checks = found("accuracy>=0.5", "colour: accuracy>=0.6", "colour=red: f1_macro<1", "colour=red: roc_auc>0.4").checks
    assert [(check.rows, check.held) for check in checks][:1] == [("", True)]
    tall = KIND[HELD] == "tall"
    share = {name: tall[ROWS["colour"][HELD] == name].mean() for name in ("blue", "green", "red")}
    assert {check.rows: check.value for check in checks[1:4]} == {
        f"colour={name}": pytest.approx(value) for name, value in share.items()
    }
    assert [check.held for check in checks[1:4]] == [value >= 0.6 for value in share.values()]
    assert [check.held for check in checks[4:]] == [True, True]
    with pytest.raises(PromotionRefused, match=r"No metric 'recall' can be computed of these rows; there is accuracy,"):
        found("recall>=0.5")

    missed = compare(zoo["good"], zoo["bad"], LIMITS, rows=held(), asked_for=[Limit.parse("log_loss<0")])
    assert judged(missed, 0.0) == ("kept", "log_loss is 2.22e-16, < 0 is asked for")
    of_one_class = Held({**held(2).columns, "colour": ["a", "b"]}, ["tall", "low"], "a test")
    asked_for = [Limit.parse("colour: roc_auc>=0.5")]
    undefined = compare(zoo["good"], zoo["bad"], LIMITS, rows=of_one_class, asked_for=asked_for)
    told = [f"colour={name}: roc_auc is not defined there, >= 0.5 is asked for" for name in "ab"]
    assert judged(undefined, 0.0) == ("kept", "; ".join(told))


# --- the decision


def comparison(candidate: float, champion: float, metric: str = "accuracy") -> Comparison:
    return Comparison(2, 1, metric, 10, "version 2", (Compared(metric, champion, candidate),))


@pytest.mark.parametrize(
    ("metric", "candidate", "champion", "tolerance", "verdict"),
    [
        ("accuracy", 0.9, 0.9, 0.0, "promoted"),
        ("accuracy", 0.9 - 1e-15, 0.9, 0.0, "promoted"),
        ("accuracy", 0.899, 0.9, 0.0, "kept"),
        ("accuracy", 0.85, 0.9, 0.05, "promoted"),
        ("accuracy", 0.84, 0.9, 0.05, "kept"),
        ("rmse", 1.0, 2.0, 0.0, "promoted"),
        ("rmse", 2.1, 2.0, 0.0, "kept"),
        ("rmse", 2.1, 2.0, 0.2, "promoted"),
        ("r2", -5.0, -6.0, 0.0, "promoted"),
    ],
)
def test_not_worse_than_the_tolerance_is_enough(
    metric: str, candidate: float, champion: float, tolerance: float, verdict: str
) -> None:
    assert judged(comparison(candidate, champion, metric), tolerance)[0] == verdict


def test_the_policies() -> None:
    def never_called() -> Comparison:
        raise AssertionError("nothing is to be compared")

    def unable(never: bool) -> Comparison:
        raise NotComparable("Version 1 cannot be asked: it is broken.", never=never)

    def by(policy: Any, champion: int | None = 1, how: Any = never_called) -> str:
        return str(decide(MODEL, 2, champion, policy, how))

    forced = '`lectern promote flower 2 --force --reason "…"` promotes it'
    assert by("if-better", None) == "champion now: no version was champion before"
    assert by("always", None) == "champion now: no version was champion before"
    assert by("never", None) == (
        "not promoted: the policy is never to promote by itself; `lectern promote flower 2` promotes it"
    )
    assert by("never") == (
        "not promoted: the policy is never to promote by itself; `lectern promote flower 2` compares them, and "
        "promotes it if it is not worse"
    )
    assert by("always") == "champion now: the policy is always to promote; nothing was compared with version 1"
    assert by("if-better", how=lambda: comparison(0.9, 0.8)) == (
        "champion now: accuracy 0.9 against 0.8 of version 1, on 10 rows of version 2"
    )
    assert by("if-better", how=lambda: comparison(0.7, 0.8)) == (
        f"not promoted: accuracy 0.7 against 0.8 of version 1, on 10 rows of version 2; {forced}"
    )
    assert by("if-better", how=lambda: unable(False)) == (
        "not promoted: it could not be compared with version 1: version 1 cannot be asked: it is broken; " + forced
    )
    assert by("if-better", how=lambda: unable(True)) == (
        "champion now: nothing was compared with version 1: version 1 cannot be asked: it is broken"
    )


def test_a_decision_is_plain_values_for_the_log() -> None:
    made = Decision(MODEL, 2, 1, "kept", "why", dataclasses.replace(comparison(0.5, 0.75), notes=("left out",)))
    assert made.as_json() == {
        "verdict": "kept",
        "reason": "why",
        "metric": "accuracy",
        "rows": 10,
        "rows_of": "version 2",
        "table": [{"metric": "accuracy", "champion": 0.75, "candidate": 0.5, "difference": -0.25, "better": False}],
        "limits": [],
        "notes": ["left out"],
    }
    assert Decision(MODEL, 2, None, "promoted", "why").as_json() == {"verdict": "promoted", "reason": "why"}


# --- rows of a file


def test_rows_are_read_from_files(zoo: Zoo, tmp_path: Path) -> None:
    frame = ROWS.assign(kind=KIND).astype({"colour": str})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        found = held_rows.given(tmp_path / name, "kind", zoo["good"].manifest.signature)
        assert (found.source, found.truth, found.columns["length"]) == (name, KIND.tolist(), ROWS["length"].tolist())

    digits = pd.DataFrame({"code": ["007", "010"], "day": ["2026-01-02", "2026-02-03"], "y": [1, 2]})
    digits.to_csv(tmp_path / "digits.csv", index=False)
    fields = (Field(name="code", type="string", dtype="object"), Field(name="day", type="date", dtype="object"))
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    found = held_rows.given(tmp_path / "digits.csv", "y", signature)
    assert found.columns == {"code": ["007", "010"], "day": [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-02-03")]}


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("gone.csv", "kind", r"Cannot read .*gone\.csv: No such file or directory\."),
        ("rows.txt", "kind", r"rows\.txt is no file of rows; give one that ends with \.csv or \.parquet\."),
        ("broken.parquet", "kind", r"Cannot read .*broken\.parquet: "),
        ("rows.csv", "sort", r"rows\.csv has no column 'sort'; it has length, kind\."),
        (
            "rows.csv",
            "length",
            r"'length' of .*rows\.csv is not what the model answers\. targets holds 1, which is none",
        ),
    ],
)
def test_files_that_hold_no_rows_are_refused(zoo: Zoo, tmp_path: Path, name: str, target: str, message: str) -> None:
    (tmp_path / "rows.csv").write_text("length,kind\n1,low\n")
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(NotComparable, match=message):
        held_rows.given(tmp_path / name, target, zoo["good"].manifest.signature)
