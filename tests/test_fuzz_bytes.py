"""Bytes that are nearly requests, the same ones each time; `make fuzz` sends other ones, and more."""

from __future__ import annotations

from contract.store import Store
from tests.fuzzing import QUICK, fuzz, stock
from tests.live import running

SEED, COUNT = 0, 400


def test_whatever_comes_gets_an_answer_or_none(store: Store) -> None:
    stock(store)
    with running(store, default_model="double", **QUICK) as service:
        statuses = fuzz(service, SEED, COUNT)
    assert {200, 400, 404, 405, 408, 413, 415, 421, 422} - statuses.keys() <= {413}
