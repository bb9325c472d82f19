"""contract.callers: what callers of one version would notice of another."""

from typing import Any

import pytest

from contract.callers import changes
from contract.signature import Field, Output, Signature


def taking(**fields: dict[str, Any] | str) -> Signature:
    """A signature with these fields, each by its type or its facts."""
    inputs = []
    for name, facts in fields.items():
        given = {"type": facts} if isinstance(facts, str) else facts
        inputs.append(Field(**{"name": name, "dtype": "object", **given}))
    return Signature(container="frame", inputs=tuple(inputs), output=Output(task="regression"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (taking(a="float", b="string"), taking(b="string", a="float"), []),
        (taking(a="float"), taking(a="float", b="float"), ["'b' is new"]),
        (taking(a="float", b="float"), taking(b="float"), ["'a' is not taken any more"]),
        (taking(a="integer"), taking(a="float"), []),
        (taking(a="float"), taking(a="integer"), ["'a' is integer instead of float"]),
        (taking(a="string"), taking(a={"type": "category", "levels": ("x",)}), []),
        (taking(a="string"), taking(a={"type": "category", "levels": (1, 2)}), ["'a' is category instead of string"]),
        (taking(a={"type": "float", "nullable": True}), taking(a="float"), ["'a' may not be null any more"]),
        (taking(a="float"), taking(a={"type": "float", "nullable": True, "bounds": (0, 1)}), []),
        (
            taking(a={"type": "tensor", "shape": (8, 8)}),
            taking(a={"type": "tensor", "shape": (4, 4)}),
            ["'a' is tensor of 4×4 instead of tensor of 8×8"],
        ),
    ],
)
def test_what_callers_would_have_to_change(before: Signature, after: Signature, expected: list[str]) -> None:
    assert changes(before, after) == expected
