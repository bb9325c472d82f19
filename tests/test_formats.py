"""contract.formats: the table of formats."""

from contract.formats import FORMATS


def test_each_format_is_in_the_table() -> None:
    assert {name: (kind.file, kind.runs_code) for name, kind in FORMATS.items()} == {
        "onnx": ("model.onnx", False),
        "joblib": ("model.joblib", True),
    }
