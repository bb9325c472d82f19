"""The vetiver API, as its documentation shows it."""
# mypy: disable-error-code="import-not-found"
# vetiver is in the app's own environment only

from __future__ import annotations

import os

import joblib
import pandas as pd
from vetiver import VetiverAPI, VetiverModel

columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
prototype = pd.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=columns)
model = VetiverModel(joblib.load(os.environ["MODEL"]), "iris", prototype_data=prototype)
app = VetiverAPI(model, check_prototype=True).app
