"""Frames: documents of the service as DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contract.metric_names import PRIMARY

if TYPE_CHECKING:
    import pandas as pd

Document = Mapping[str, Any]

_SHADOW = [
    *("champion", "challenger", "running", "rows", "agreeing", "agreement", "failed", "left_out", "mean_difference"),
    *("largest_difference", "challenger_ms_per_row", "champion_ms_per_request"),
]


def of_models(documents: Iterable[Document]) -> pd.DataFrame:
    """What is served, one model in a row."""
    import pandas as pd

    rows = []
    for document in documents:
        metric = usual_metric(document)
        rows.append(
            {name: document[name] for name in ("model", "champion", "state")}
            | {"versions": len(document["versions"]), "challenger": document["challenger"]}
            | {"metric": metric or "", "value": document["metrics"].get(metric), "description": document["description"]}
        )
    names = ["model", "champion", "state", "versions", "challenger", "metric", "value", "description"]
    frame = pd.DataFrame(rows, columns=names).set_index("model")
    return frame.astype({"champion": "Int64", "versions": "int64", "challenger": "float64", "value": "float64"})


def usual_metric(document: Document) -> str | None:
    """The metric that stands for a model; its first one where none of the usual is known."""
    names = list(document["metrics"])
    return next((name for name in names if name in PRIMARY.values()), names[0] if names else None)


def of_versions(summaries: Iterable[Document]) -> pd.DataFrame:
    """The versions of a model, one in a row."""
    import pandas as pd

    rows = [
        {"version": one["version"], "created": one["created"], "aliases": ", ".join(one["aliases"])}
        | {"error": (one["failed"] or {}).get("reason", ""), "description": one["description"]}
        | {f"metric_{name}": value for name, value in one["metrics"].items()}
        for one in summaries
    ]
    frame = pd.DataFrame(rows)
    return _with_moments(frame, "created")


def of_history(entries: Iterable[Document]) -> pd.DataFrame:
    """The promotions of a model, one in a row."""
    import pandas as pd

    names = ["number", "kind", "at", "by", "version", "before", "alias", "what", "reason", "gate"]
    rows = [{**entry, "gate": (entry["gate"] or {}).get("verdict", "")} for entry in entries]
    texts = dict.fromkeys(("kind", "by", "alias", "what", "reason", "gate"), "str")
    frame = pd.DataFrame(rows, columns=names).astype({"number": "int64", "version": "Int64", "before": "Int64"} | texts)
    return _with_moments(frame, "at")


def _with_moments(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The same with texts of a column as moments, in UTC."""
    import pandas as pd

    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("us")})


def of_shadow(document: Document) -> pd.DataFrame:
    """The figures of a comparison, in one row."""
    import pandas as pd

    frame = pd.DataFrame([document], columns=["model", *_SHADOW]).set_index("model")
    frame.attrs = {"said": document["said"]}
    return frame


def of_differing(document: Document, fields: Sequence[str]) -> pd.DataFrame:
    """The rows on which champion and challenger differ."""
    import pandas as pd

    rows = [
        [one["id"], *(one["input"].get(field) for field in fields), one["champion"], one["challenger"]]
        for one in document["differing"]
    ]
    names = ["id", *(f"input.{field}" for field in fields), "champion", "challenger"]
    return pd.DataFrame(rows, columns=names).set_index("id")


def of_quality(document: Document, *, over_time: bool) -> pd.DataFrame:
    """How good versions were, one in a row, or one part of the time."""
    import pandas as pd

    rows = []
    for one in document["versions"]:
        trained = {f"trained_{name}": value for name, value in one["trained"].items()}
        for part in one["over_time"] if over_time else [one]:
            metrics = {f"metric_{name}": value for name, value in part["metrics"].items()}
            begin = {"begin": part["begin"]} if over_time else {}
            rows.append({"version": one["version"], **begin, "rows": part["rows"], **metrics, **trained})
    head = ["version", "begin", "rows"] if over_time else ["version", "rows"]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=head).astype({"version": "int64", "rows": "int64"})
    frame = _with_moments(frame, "begin") if over_time else frame
    frame = frame.set_index(head[:-1])
    frame.attrs = {"metric": document["metric"]}
    return frame


def of_drift(document: Document) -> pd.DataFrame:
    """How far fields drifted, one in a row."""
    import pandas as pd

    shares = ("missing", "unseen", "out_of_range")
    rows = [
        {name: one[name] for name in ("name", "kind", "psi", "p_value", "alarm")}
        | {name: (one[name] or {}).get("now") for name in shares}
        for one in document["fields"]
    ]
    frame = pd.DataFrame(rows, columns=["name", "kind", "psi", "p_value", "alarm", *shares]).set_index("name")
    frame.attrs = {name: document[name] for name in ("version", "state", "rows")}
    return frame.astype(dict.fromkeys(("psi", "p_value", *shares), "float64"))


def of_reports(documents: list[Document]) -> pd.DataFrame:
    """Reports, one in a row."""
    import pandas as pd

    frame = pd.DataFrame(documents, columns=["kind", "made", "name"])
    return _with_moments(frame.astype(dict.fromkeys(("kind", "name"), "str")), "made")
