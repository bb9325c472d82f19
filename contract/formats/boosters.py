"""Boosted trees of XGBoost and LightGBM, made known to the converter of graphs."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

from contract.formats.chain import parts


def convertible(steps: Sequence[Any]) -> list[Any]:
    """The steps as the converter takes them; where boosted trees are among them it learns to convert these.

    Raises:
        ImportError: the package that converts them is not installed.
    """
    packages = {type(part).__module__.partition(".")[0] for step in steps for part in parts(step)}
    if not packages & {"lightgbm", "xgboost"}:
        return list(steps)
    _register()
    copies = copy.deepcopy(list(steps))
    for step in copies:
        for part in parts(step):
            if type(part).__module__.startswith("xgboost."):
                part.get_booster().feature_names = None  # the converter wants columns by number
                part.get_booster().feature_types = None  # and a limit at every split, also where one is of a flag
    return copies


def _register() -> None:
    """Have skl2onnx convert the estimators of whichever of the two packages is loaded."""
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    classifier = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for package, prefix, convert in (("lightgbm", "LGBM", convert_lightgbm), ("xgboost", "XGB", convert_xgboost)):
        if package in sys.modules:
            module = sys.modules[package]
            update_registered_converter(
                getattr(module, f"{prefix}Classifier"),
                f"{prefix}Classifier",
                calculate_linear_classifier_output_shapes,
                convert,
                options=classifier,
            )
            update_registered_converter(
                getattr(module, f"{prefix}Regressor"),
                f"{prefix}Regressor",
                calculate_linear_regressor_output_shapes,
                convert,
                options={"split": None} if package == "lightgbm" else None,
            )
