"""Pickles: read by joblib's unpickler, which asks here before it takes anything that a file names.

A pickle is a program that calls what it names. Which names it may use is the server's policy: none at all, those that
fitted estimators of scikit-learn, XGBoost and LightGBM are made of, or any.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from contract.errors import ForbiddenType, TrailingBytes
from contract.limits import PicklePolicy

KNOWN = Path(__file__).with_name("known_types.txt")
"""A module and a name in each line; `make known-types` writes it."""
_MOST_SHOWN = 120


@cache
def known() -> frozenset[tuple[str, str]]:
    """What a pickle may name under the policy `known`."""
    lines = KNOWN.read_text(encoding="utf-8").splitlines()
    return frozenset((module, name) for module, _, name in (line.partition(" ") for line in lines))


def read(file: BinaryIO, policy: PicklePolicy, *, path: Path | None = None) -> Any:
    """Unpickle a whole file; with a `path` its arrays are mapped from there, each process's changes being its own.

    Raises:
        ForbiddenType: it names what the policy does not let it use.
        TrailingBytes: something follows the pickle.
        Exception: whatever unpickling raises.
    """
    from joblib.numpy_pickle import NumpyUnpickler

    mapped = path is not None
    unpickler = NumpyUnpickler(str(path or ""), file, not mapped, mmap_mode="c" if mapped else None)
    if policy != "any":  # the pickles within arrays of objects are read with the same function
        unpickler.find_class = _only_known(unpickler.find_class)
    found = unpickler.load()
    if unpickler.read(1):  # of the frame that was being read, or of the file
        raise TrailingBytes("The model's file goes on after the model; what follows is not read by anything of ours.")
    return found


def _only_known(find_class: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    def find(module: str, name: str) -> Any:
        if (module, name) not in known():
            named = repr(f"{module}.{name}")[:_MOST_SHOWN]
            raise ForbiddenType(
                f"The model's file uses {named}, which no estimator that this server knows is made of; "
                "where you trust who published it, LECTERN_PICKLE=any serves it."
            )
        return find_class(module, name)

    return find
