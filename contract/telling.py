"""Telling: how a command says what Lectern refuses, as one clear message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from contract.errors import LecternError


@contextmanager
def told() -> Iterator[None]:
    """One clear message and exit code 1 for what Lectern refuses; Ctrl-C is no failure to explain.

    Raises:
        SystemExit: something was told.
    """
    try:
        yield
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("lectern: interrupted.", file=sys.stderr)
        raise SystemExit(130) from None
