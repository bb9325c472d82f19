"""A scaler that the notebook has and the chain lacks: told where the model plainly answers better behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from contract.store import Store
from pipeline import export

_rng = np.random.default_rng(0)
RAW = pd.DataFrame({"age": _rng.normal(500, 90, 200), "weight": _rng.normal(3, 0.5, 200)})
HEAVY = ((RAW.age - 500) / 90 + (RAW.weight - 3) / 0.5 > 0).astype(int)
scaler = StandardScaler().fit(RAW.to_numpy())
other = MinMaxScaler().fit(RAW.to_numpy())
MODEL = LogisticRegression().fit(scaler.transform(RAW.to_numpy()), HEAVY)


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


def test_the_forgotten_scaler_is_named_with_what_it_changes() -> None:
    message = r"^accuracy is 0\.\d+, and (1|0\.9\d+) with `scaler` before the model: .* export\(\[scaler, …\], …\)\.$"
    with pytest.warns(UserWarning, match=message):
        made = export(MODEL, "heavy", RAW.to_numpy(), HEAVY)
    assert made.notes[0].startswith("Warning: accuracy is")


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_where_the_scaler_is_there_or_makes_nothing_better() -> None:
    assert not [note for note in export([scaler, MODEL], "heavy", RAW.to_numpy(), HEAVY).notes if "`scaler`" in note]
    plain = Ridge().fit(RAW.to_numpy(), RAW.age)
    assert not [note for note in export(plain, "age", RAW.to_numpy(), RAW.age).notes if "before the model" in note]
