"""Parameters that stand in files: one mapping of names to values for a run, a list of such mappings for a sweep."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

from contract.errors import ParametersRefused

MAX_BYTES = 16 << 20


def read_mapping(path: Path) -> dict[str, Any]:
    """The parameters in a YAML or JSON file.

    Raises:
        ParametersRefused: it cannot be read, or holds no mapping.
    """
    found = _document(path)
    if not _is_mapping(found):
        raise ParametersRefused(
            f"{path} holds {_kind(found)}; a file of parameters is a mapping of names to values, "
            "in YAML lines like `n_estimators: 200`."
        )
    return dict(found)


def read_sets(path: Path) -> list[dict[str, Any]]:
    """The sets of parameters in a CSV file with a head (an empty cell gives nothing), or in a YAML or JSON list.

    Raises:
        ParametersRefused: it cannot be read, or holds no such list.
    """
    found = _rows(path) if path.suffix.lower() == ".csv" else _document(path)
    if not (isinstance(found, list) and found and all(_is_mapping(item) for item in found)):
        raise ParametersRefused(
            f"{path} holds {_kind(found)}; a sweep takes a CSV file with a head, or a YAML or JSON list of mappings, "
            "and at least one set of parameters."
        )
    return [dict(item) for item in found]


def _document(path: Path) -> Any:
    import yaml

    text = _text(path)
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise ParametersRefused(f"{path} is not sound {kind}: {' '.join(str(error).split())[:200]}.") from None


def _rows(path: Path) -> list[dict[str, Any]]:
    reader = csv.DictReader(StringIO(_text(path)), strict=True, skipinitialspace=True)
    found = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ParametersRefused(
                    f"Line {reader.line_num} of {path} has not as many cells as the head; put quotes round commas."
                )
            found.append({name.strip(): text for name, text in row.items() if text != ""})
    except csv.Error as error:
        raise ParametersRefused(f"{path} is not sound CSV: {error}.") from None
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParametersRefused(f"{path} has more than {MAX_BYTES >> 20} MiB, too much for a file of parameters.")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ParametersRefused(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ParametersRefused(f"{path} is no UTF-8 text.") from None


def _is_mapping(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(name, str) for name in found)


def _kind(found: Any) -> str:
    names = {list: "a list", str: "a text", type(None): "nothing", dict: "names that are no texts"}
    if isinstance(found, list):
        return "an empty list" if not found else "a list" if not all(map(_is_mapping, found)) else "a list of mappings"
    return names.get(type(found), f"{found!r:.40}")
