"""A row that comes alone is answered as it is among others: what has to be known for it is found, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, StandardScaler

from contract.errors import ExportRefused
from contract.formats.joblib import FittedObject
from pipeline.exporting import asking, chains, intake
from pipeline.exporting.alone import one_by_one
from pipeline.exporting.examining import Examined, Wishes, examine

ROWS = 60
_rng = np.random.default_rng(0)
PEOPLE = pd.DataFrame(
    {
        "age": _rng.integers(18, 80, ROWS),
        "income": _rng.normal(30, 9, ROWS).round(2),
        "city": _rng.choice(["Bonn", "Oslo", "Rome"], ROWS),
        "plan": _rng.choice(["free", "paid"], ROWS),
        "grade": _rng.integers(1, 4, ROWS),
        "name": [f"{title}. Who {i}" for i, title in enumerate(_rng.choice(["Mr", "Ms"], ROWS))],
    }
)
GAPS = PEOPLE.assign(income=PEOPLE.income.where(_rng.random(ROWS) < 0.9))
SPENT = (PEOPLE.age / 10 + PEOPLE.income / 9 + (PEOPLE.city == "Rome") * 3 + PEOPLE.grade).round(3)

Prepare = Callable[[Any], Any]


def fitted(prepare: Prepare, rows: pd.DataFrame = PEOPLE) -> list[Any]:
    return [prepare, Ridge().fit(prepare(rows.copy()), SPENT)]


def look(chain: Any, inputs: Any = PEOPLE, all_rows: pd.DataFrame | None = None) -> Examined:
    """What is found out of a chain."""
    whole = chains.assemble(chain, {})
    rows = asking.ordered(whole, intake.read(inputs, "inputs"), "inputs")
    everything = rows if all_rows is None else asking.ordered(whole, intake.read(all_rows, "all_rows"), "all_rows")
    return examine(whole, rows, everything, Wishes())


def kinds(found: Examined) -> dict[str, str]:
    return {field.name: field.type for field in found.signature.inputs if field.type in ("string", "category")}


def assert_each_row_alone_is_answered_right(found: Examined, expected: Any) -> None:
    model = FittedObject(found.chain, found.signature)
    rows = range(len(found.expected.values))
    assert model.answer(found.sent).values == pytest.approx(list(expected))
    assert one_by_one(model, found.sent, rows).values == pytest.approx(list(expected))


# --- columns of which all levels have to be known

USED = ["age", "city", "plan"]
COLUMNS = pd.get_dummies(PEOPLE[USED], drop_first=True).columns


def dummies(frame: Any) -> Any:
    return pd.get_dummies(frame[USED])


def fewer_dummies(frame: Any) -> Any:
    return pd.get_dummies(frame[USED], drop_first=True)


def aligned_dummies(frame: Any) -> Any:
    return pd.get_dummies(frame[USED], drop_first=True).reindex(columns=COLUMNS, fill_value=0)


def dummies_of_numbers(frame: Any) -> Any:
    return pd.get_dummies(frame[["income", "grade"]], columns=["grade"])


def codes(frame: Any) -> Any:
    return frame[["age"]].assign(code=frame["city"].astype("category").cat.codes)


@pytest.mark.parametrize(
    ("prepare", "closed"),
    [
        (dummies, {"city", "plan"}),
        (fewer_dummies, {"city", "plan"}),
        (aligned_dummies, {"city", "plan"}),
        (dummies_of_numbers, {"grade"}),
        (codes, {"city"}),
    ],
)
def test_what_has_to_know_all_levels_gets_them(prepare: Prepare, closed: set[str]) -> None:
    chain = fitted(prepare)
    expected = chain[1].predict(prepare(PEOPLE))
    found = look(chain)
    assert set(found.categories) == closed
    assert {field.name for field in found.signature.inputs if field.type == "category"} == closed
    levels = {field.name: field.levels for field in found.signature.inputs}
    assert [levels[name] for name in closed] == [tuple(sorted(set(PEOPLE[name]))) for name in closed]
    assert_each_row_alone_is_answered_right(found, expected)


def test_the_levels_come_from_all_rows() -> None:
    for prepare in (dummies, fewer_dummies, aligned_dummies):
        chain, few = fitted(prepare), PEOPLE[PEOPLE.city != "Bonn"][:7]
        found = look(chain, few, PEOPLE)
        assert set(found.categories) == {"city", "plan"}
        levels = {field.name: field.levels for field in found.signature.inputs}
        assert levels["city"] == ("Bonn", "Oslo", "Rome")
        assert_each_row_alone_is_answered_right(found, chain[1].predict(prepare(PEOPLE))[few.index])


def test_without_all_rows_a_level_that_is_missing_is_told() -> None:
    for prepare, gone, message in (
        (dummies, "Rome", r"^Ridge was fitted on the column 'city_Rome', .* Give every row as all_rows=\.$"),
        (
            aligned_dummies,
            "Bonn",
            r"^`aligned_dummies` makes a column 'city_Oslo' that does not say where 'city' is 'Oslo': .* all_rows=\.$",
        ),
    ):
        with pytest.raises(ExportRefused, match=message):
            look(fitted(prepare), PEOPLE[PEOPLE.city != gone])


# --- columns that stay open


def titles(frame: Any) -> Any:
    title = frame["name"].str.extract(r"^(\w+)\.")[0]
    return frame[["age"]].assign(title=title.map({"Mr": 1, "Ms": 2}))


def mapped(frame: Any) -> Any:
    return frame[["age"]].assign(city=frame["city"].map({"Bonn": 1, "Oslo": 2, "Rome": 3}))


def replaced(frame: Any) -> Any:
    return frame[["age"]].assign(city=frame["city"].replace({"Bonn": "1", "Oslo": "2", "Rome": "3"}).astype(int))


def chosen(frame: Any) -> Any:
    return frame[["age"]].assign(south=np.where(frame["city"] == "Rome", 1, 0), length=frame["name"].str.len())


def all_dummies(frame: Any) -> Any:
    return pd.get_dummies(frame[USED]).reindex(columns=pd.get_dummies(PEOPLE[USED]).columns, fill_value=0)


@pytest.mark.parametrize("prepare", [titles, mapped, replaced, chosen, all_dummies])
def test_texts_that_are_only_read_stay_open(prepare: Prepare) -> None:
    chain = fitted(prepare)
    found = look(chain)
    assert (found.categories, set(kinds(found).values())) == ((), {"string"})
    assert_each_row_alone_is_answered_right(found, chain[1].predict(prepare(PEOPLE)))


def test_a_step_that_changes_the_frame_leaves_the_author_s_as_it_is() -> None:
    def in_place(frame: Any) -> Any:
        frame["ratio"] = frame["age"] / frame["income"]
        for name in ("city", "plan", "name"):
            del frame[name]
        frame.loc[frame["age"] > 70, "age"] = 70
        return frame

    def in_place_array(rows: Any) -> Any:
        rows[:, 0] *= 100
        return rows.sum(axis=1)

    before, matrix = PEOPLE.copy(), np.arange(20.0).reshape(10, 2)
    prepared = in_place(PEOPLE.copy())
    found = look([in_place, Ridge().fit(prepared, SPENT)])
    assert "ratio" not in found.signature.names
    assert look([in_place_array], matrix).expected.values == (matrix * [100, 1]).sum(axis=1).tolist()
    pd.testing.assert_frame_equal(PEOPLE, before)
    np.testing.assert_array_equal(matrix, np.arange(20.0).reshape(10, 2))


# --- what looks at the other rows


def scales(frame: Any) -> Any:
    return pd.DataFrame(StandardScaler().fit_transform(frame[["age", "income"]]), columns=["age", "income"])


def fills(frame: Any) -> Any:
    return frame[["age"]].assign(income=frame["income"].fillna(frame["income"].mean()))


def ranks(frame: Any) -> Any:
    return frame[["age"]].assign(rank=frame["income"].rank())


def factorizes(frame: Any) -> Any:
    return frame[["age"]].assign(code=pd.factorize(frame["city"])[0])


def encodes(frame: Any) -> Any:
    return frame[["age"]].assign(code=LabelEncoder().fit_transform(frame["city"]))


def sums(frame: Any) -> Any:
    return frame[["income"]].assign(so_far=frame["age"].cumsum())


def counts(frame: Any) -> Any:
    return frame[["age"]].assign(place=frame.index)


def groups(frame: Any) -> Any:
    return frame[["age"]].assign(usual=frame.groupby("city")["income"].transform("mean"))


def shifts(frame: Any) -> Any:
    return frame[["income"]].assign(last=frame["age"].shift().fillna(0))


def bins(frame: Any) -> Any:
    return frame[["income"]].assign(bin=pd.qcut(frame["age"], 4, labels=False))


def guesses(frame: Any) -> Any:
    return frame[["age"]].assign(noise=np.random.default_rng().random(len(frame)))


@pytest.mark.parametrize(
    ("prepare", "column", "rows"),
    [
        (scales, "age", PEOPLE),
        (fills, "income", GAPS),
        (ranks, "rank", PEOPLE),
        (factorizes, "code", PEOPLE),
        (encodes, "code", PEOPLE),
        (sums, "so_far", PEOPLE),
        (counts, "place", PEOPLE),
        (groups, "usual", PEOPLE),
        (shifts, "last", PEOPLE),
    ],
)
def test_what_looks_at_the_other_rows_is_refused(prepare: Prepare, column: str, rows: pd.DataFrame) -> None:
    step = rf"^`{prepare.__name__}` makes another '{column}' \(\S+ instead of \S+\) of row \d+ when it comes "
    with pytest.raises(ExportRefused, match=f"{step}alone.*Learn such things once, on the training rows"):
        look(fitted(prepare, rows), rows)


def test_a_step_that_draws_random_numbers_is_told_from_one_that_looks_at_other_rows() -> None:
    with pytest.raises(ExportRefused, match=r"otherwise each time: it draws random numbers\. Fix their seed\."):
        look(fitted(guesses))


def test_a_step_that_fails_on_a_row_alone_is_named() -> None:
    with pytest.raises(ExportRefused, match=r"^`bins` raises ValueError \(Bin edges .*\) when row \d+ comes alone"):
        look(fitted(bins))


def test_the_later_step_is_named_where_the_first_one_is_sound() -> None:
    def numbers(frame: Any) -> Any:
        return frame[["age", "income"]].to_numpy()

    def share(rows: Any) -> Any:
        return rows / rows.sum(axis=0)

    model = Ridge().fit(share(numbers(PEOPLE)), SPENT)
    with pytest.raises(ExportRefused, match=r"^`share` makes another column 0 \(1 instead of 0\.0\d+\) of row 0 when"):
        look([numbers, share, model])
    with pytest.raises(ExportRefused, match=r"^step 2 \(a function\) makes another value \(1 instead of 0\.0\d+\)"):
        look([numbers, lambda rows: rows[:, 0] / rows[:, 0].sum()])


def test_a_decoding_that_looks_at_the_other_answers_is_refused() -> None:
    model = Ridge().fit(PEOPLE[["age", "income"]], SPENT)
    with pytest.raises(ExportRefused, match=r"^Row 0 is answered otherwise when it comes alone: .* among the"):
        look([model, lambda values: values / values.max()], PEOPLE[["age", "income"]])


def test_a_function_inside_a_pipeline_is_no_excuse() -> None:
    model = make_pipeline(FunctionTransformer(fills), Ridge()).fit(GAPS, SPENT)
    with pytest.raises(ExportRefused, match=r"^Row \d+ cannot be answered when it comes alone: .*NaN"):
        look(model, GAPS)


def test_gaps_are_filled_with_what_was_learned() -> None:
    usual = PEOPLE["income"].mean()

    def fill(frame: Any) -> Any:
        return frame[["age"]].assign(income=frame["income"].fillna(usual))

    chain = fitted(fill, GAPS)
    found = look(chain, GAPS)
    assert {field.name for field in found.signature.inputs if field.nullable} == {"income"}
    assert_each_row_alone_is_answered_right(found, chain[1].predict(fill(GAPS)))
