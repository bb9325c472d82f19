"""The code that prepares the columns of a file for a model, and the model itself, as a first notebook has it."""

from __future__ import annotations

from pipeline.scaffolding.columns import MOST_LEVELS, Column, Kind
from pipeline.scaffolding.literals import literal, named
from pipeline.scaffolding.surveying import Survey

_WIDE = 40
"""From so many columns of numbers on, these are the ones that no other list names."""
_LISTS: dict[Kind, str] = {
    "number": "numbers",
    "flag": "flags",
    "category": "categories",
    "levels": "many_levels",
    "text": "texts",
    "date": "dates",
}


def columns(found: Survey) -> str:
    """Sort the columns into lists by what they hold; make X and y of the rows, and glance at y."""
    target = found.target
    lists = {name: [c.name for c in found.of(kind)] for kind, name in _LISTS.items() if found.of(kind)}
    wide = len(lists.get("numbers", ())) >= _WIDE
    lines = [named(name, listed) for name, listed in lists.items() if not (wide and name == "numbers")]
    dropped = "columns=target"
    if found.of(None):
        lines += [_left_out(found.of(None))]
        dropped = "columns=[target, *left_out]"
    lines += ["", f"X = rows.drop({dropped})", f"y = rows[target]{f'.astype({target.made})' if target.made else ''}"]
    if wide:
        others = [f"*{name}" for name in lists if name != "numbers"]
        rest = f"[name for name in X if name not in {{{', '.join(others)}}}]" if others else "list(X)"
        lines += [f"numbers = {rest}  # all the others"]
    mended = _mended(found)
    return "\n".join([*lines, *mended, *([""] if mended else []), _glance(found)]).lstrip("\n")


def _glance(found: Survey) -> str:
    if found.target.task == "classification":
        return 'y.value_counts().to_frame("rows")'
    return 'y.describe().round(3).to_frame("target")'


def _left_out(left: list[Column]) -> str:
    lines = ["left_out = ["]
    for reason in dict.fromkeys(column.reason for column in left):
        lines += [f"    # {reason}"]
        lines += [f"    {literal(c.name, before=4, after=1, indent=4)}," for c in left if c.reason == reason]
    return "\n".join([*lines, "]"])


def _mended(found: Survey) -> list[str]:
    """The lines that make of some columns what they were meant to be."""
    lines: list[str] = []
    written = [column.name for column in found.of("number") if column.written]
    if written:
        lines += [
            "",
            "# numbers, but for a few texts, which become gaps",
            named("written", written),
            'X[written] = X[written].apply(pd.to_numeric, errors="coerce")',
        ]
    if any(column.infinite for column in found.of("number")):
        lines += ["", "# infinite numbers become gaps", 'X = X.replace([float("inf"), float("-inf")], float("nan"))']
    dates = found.of("date")
    for form, zoned in dict.fromkeys((column.format, column.zoned) for column in dates if column.format):
        alike = [column.name for column in dates if (column.format, column.zoned) == (form, zoned)]
        chosen = "dates" if len(alike) == len(dates) else "alike"
        zone = ", utc=True" if zoned else ""
        lines += ["", *(["# dates that are written alike", named("alike", alike)] if chosen == "alike" else [])]
        lines += [f'X[{chosen}] = X[{chosen}].apply(pd.to_datetime, format="{form}"{zone})']
    if any(column.gaps for column in found.of("text")):
        lines += ["", "# a missing text is an empty one", 'X[texts] = X[texts].fillna("")']
    return lines


def model(found: Survey) -> str:
    """Fit a forest behind what its columns need."""
    gaps = any(column.gaps for column in found.of("number"))
    lines = [*_calendar(found)] if found.of("date") else []
    if {column.kind for column in found.columns if column.kind} == {"number"}:
        steps = '("fill", SimpleImputer(strategy="median")), ' if gaps else ""
    else:
        steps = '("prepare", prepare), '
        parts = [f"        {part}," for part in _parts(found, gaps)]
        dense = [] if found.of("text") else ["    sparse_threshold=0,"]
        lines += ["prepare = ColumnTransformer(", "    [", *parts, f"    ]{',' if dense else ''}", *dense, ")"]
    forest = "RandomForestClassifier" if found.target.task == "classification" else "RandomForestRegressor"
    return "\n".join(
        [
            *lines,
            f"forest = {forest}(",
            "    n_estimators=n_estimators, max_depth=max_depth, min_samples_leaf=min_samples_leaf, random_state=seed",
            ")",
            f'model = Pipeline([{steps}("forest", forest)])',
            "model.fit(X_train, y_train);",
        ]
    )


def converts(found: Survey) -> bool:
    """Whether all of the model is known to convert to ONNX."""
    kinds = {column.kind for column in found.columns}
    return not kinds & {"text", "date", "levels"} and not any(column.gaps for column in found.of("category"))


def _calendar(found: Survey) -> list[str]:
    hour = ', "hour"' if any(column.timed for column in found.of("date")) else ""
    return [
        "def calendar(days: pd.DataFrame) -> pd.DataFrame:",
        '    """What comes again of a date; the date itself never does."""',
        f'    parts = ["year", "month", "day_of_week"{hour}]',
        '    return pd.DataFrame({f"{name} {part}": getattr(days[name].dt, part) for name in days for part in parts})',
        "",
        "",
    ]


def _parts(found: Survey, gaps: bool) -> list[str]:
    """The transformers, each with the name of the list that it takes."""
    median = 'SimpleImputer(strategy="median")'
    as_is = '"passthrough"'
    calendar = "FunctionTransformer(calendar)"
    if any(column.gaps for column in found.of("date")):
        calendar = f"make_pipeline({calendar}, {median})"
    parts: dict[Kind, str] = {
        "number": f'("numbers", {median if gaps else as_is}, numbers)',
        "flag": '("flags", "passthrough", flags)',
        "category": '("categories", OneHotEncoder(handle_unknown="ignore"), categories)',
        "levels": f'("many levels", OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories={MOST_LEVELS}), '
        "many_levels)",
        "text": '*((f"text {i}", TfidfVectorizer(max_features=1000), name) for i, name in enumerate(texts))',
        "date": f'("dates", {calendar}, dates)',
    }
    return [part for kind, part in parts.items() if found.of(kind)]
