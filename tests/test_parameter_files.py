"""pipeline.running.parameter_files: what a file of parameters may hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from contract.errors import ParametersRefused
from pipeline.running.parameter_files import MAX_BYTES, read_mapping, read_sets


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("p.yaml", "trees: 200\nrate: 1.5\nnames: [a, 'b,c']\nnone: null\n", {"trees": 200, "rate": 1.5}),
        ("p.yml", "\ufefftrees: 200", {"trees": 200}),
        ("p.json", '{"trees": 200, "deep": {"a": [1]}}', {"trees": 200, "deep": {"a": [1]}}),
        ("p", "{}", {}),
    ],
)
def test_a_mapping_is_read(tmp_path: Path, name: str, content: str, expected: dict[str, Any]) -> None:
    assert read_mapping(written(tmp_path, name, content)).items() >= expected.items()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "p.yaml",
            "",
            "p.yaml holds nothing; a file of parameters is a mapping of names to values, in YAML lines like",
        ),
        ("p.yaml", "- a\n- b", "p.yaml holds a list; a file of parameters is a mapping"),
        ("p.yaml", "just words", "p.yaml holds a text; a file"),
        ("p.yaml", "7", "p.yaml holds 7; a file"),
        ("p.yaml", "1: a", "p.yaml holds names that are no texts; a file"),
        ("p.yaml", "a: [1", "p.yaml is not sound YAML: while parsing a flow sequence"),
        (
            "p.yaml",
            "!!python/object/apply:os.system [true]",
            "p.yaml is not sound YAML: could not determine a constructor",
        ),
        ("p.json", "{", "p.json is not sound JSON: Expecting property name"),
        ("p.json", "a: 1", "p.json is not sound JSON: Expecting value"),
        ("p.yaml", b"\xff\xfe\x00", "p.yaml is no UTF-8 text."),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(ParametersRefused, match=f"^{re.escape(str(tmp_path))}/{re.escape(message)}"):
        read_mapping(path)


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParametersRefused, match=r"^Cannot read gone\.yaml: No such file or directory\.$"):
        read_mapping(Path("gone.yaml"))
    with pytest.raises(
        ParametersRefused, match=r"huge\.yaml has more than 16 MiB, too much for a file of parameters\.$"
    ):
        read_mapping(written(tmp_path, "huge.yaml", b"#" * (MAX_BYTES + 1)))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("s.csv", 'trees,note\n50,"a,b"\n100,\n', [{"trees": "50", "note": "a,b"}, {"trees": "100"}]),
        ("s.csv", "\ufefftrees, depth\n1, 2\n", [{"trees": "1", "depth": "2"}]),
        ("s.yaml", "- trees: 50\n- {trees: 100, depth: 2}", [{"trees": 50}, {"trees": 100, "depth": 2}]),
        ("s.json", '[{"trees": 50}]', [{"trees": 50}]),
    ],
)
def test_sets_are_read(tmp_path: Path, name: str, content: str, expected: list[dict[str, Any]]) -> None:
    assert read_sets(written(tmp_path, name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", "a,b\n1\n", "Line 2 of .*s.csv has not as many cells as the head; put quotes round commas"),
        ("s.csv", "a\n1,2\n", "Line 2 of .*s.csv has not as many cells"),
        ("s.csv", "a,b\n", "s.csv holds an empty list; a sweep takes a CSV file with a head, or a YAML or JSON list"),
        ("s.csv", "", "s.csv holds an empty list; a sweep takes"),
        ("s.csv", 'a\n"x"y\n', "s.csv is not sound CSV: "),
        ("s.yaml", "trees: 50", "s.yaml holds .*; a sweep takes"),
        ("s.json", "[1]", "s.json holds a list; a sweep takes"),
    ],
)
def test_what_are_no_sets_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(ParametersRefused, match=message):
        read_sets(written(tmp_path, name, content))
