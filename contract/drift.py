"""Drift: whether later rows come from where the rows of the baseline came from, by counts alone.

Two figures, of which both have to say so: the population stability index says how far the two are apart, the p-value
how seldom rows from the same source would be as far apart by chance, with both sets of rows taken for samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_EXPECTED = 10
"""Rows that are to be expected of a bin in either sample, else it is merged with others. Five do at a level of 5 %
(Cochran, 1954, Biometrics 10, 417); far below it chance would be beyond the level nearly three times as often."""
_SMOOTHING = 0.5
"""Added to each count, so that an empty bin has a share (Jeffreys' prior)."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far two samples are apart, and how seldom that is chance."""

    psi: float
    p_value: float


def compare(before: Any, now: Any, *, ordered: bool) -> Shift:
    """Compare two samples by counts of the same bins, of which the last is for the missing.

    Args:
        before: k + 1 counts of the first sample.
        now: k + 1 counts of the second.
        ordered: whether the first k bins go from low to high.
    """
    first, second = merged(before, now, ordered=ordered)
    if len(first) < 2:
        return Shift(0.0, 1.0)
    p_value = homogeneity(first, second)
    if ordered:  # two tests of the same, each at half the level (Bonferroni)
        p_value = min(1.0, 2 * min(p_value, trend(before[:-1], now[:-1])))
    return Shift(stability_index(first, second), p_value)


def merged(before: Any, now: Any, *, ordered: bool) -> tuple[Any, Any]:
    """The counts with sparse bins merged: with their neighbours where there is an order, else with each other.

    What is sparse even so is left out. Only the sums of both samples decide, which takes nothing from the p-value.
    """
    table = np.array([before, now], dtype=np.float64)
    sums = table.sum(axis=1)
    if not sums.all():
        return np.empty(0), np.empty(0)
    enough = LEAST_EXPECTED * sums.sum() / sums.min()
    *bins, missing = table.T
    groups = (_neighbours if ordered else _common)(bins, enough)
    if missing.sum() >= enough:
        groups.append(missing)
    found = np.array(groups).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def stability_index(before: Any, now: Any) -> float:
    """The population stability index, the sum over all bins of (p - q) ln(p / q), for shares p and q of two samples.

    Siddiqi, Credit Risk Scorecards (2006), who calls 0.1 a slight change and 0.25 a large one. It is the divergence of
    Jeffreys (1946), about the square of how many standard deviations a normal distribution has moved.
    """
    first, second = ((counts + _SMOOTHING) / (counts.sum() + _SMOOTHING * len(counts)) for counts in (before, now))
    return float(((second - first) * np.log(second / first)).sum())


def homogeneity(before: Any, now: Any) -> float:
    """The p-value of Pearson's chi-square test that two samples have the same shares, whatever these are.

    Agresti, Categorical Data Analysis (2013), section 3.2. That the edges of the bins are taken from one of the samples
    changes nothing for large ones.
    """
    sums, total = before + now, before.sum() + now.sum()
    statistic = sum(
        float(((sample - expected) ** 2 / expected).sum())
        for sample in (before, now)
        for expected in [sums * (sample.sum() / total)]
    )
    return chi_square_tail(statistic, len(sums) - 1)


def trend(before: Any, now: Any) -> float:
    """The p-value, two-sided, of the rank-sum test on counts of ordered bins: whether one sample lies lower.

    Wilcoxon's and Mann and Whitney's, with all rows of a bin tied and the variance corrected for that: Lehmann,
    Nonparametrics (1975), section 1.4. It is Cochran and Armitage's test with middle ranks for scores (Agresti, 3.4.6).
    """
    ties = np.asarray(before, dtype=np.float64) + now
    first, second, total = float(np.sum(before)), float(np.sum(now)), float(ties.sum())
    if not first or not second:
        return 1.0
    ranks = np.cumsum(ties) - (ties - 1) / 2
    variance = first * second / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * max(total - 1, 1)))
    if variance <= 0:
        return 1.0
    distance = float((now * ranks).sum()) - second * (total + 1) / 2
    return math.erfc(abs(distance) / math.sqrt(2 * variance))


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The probability that chi-square with whole degrees of freedom is at least so large.

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.4.4 and 26.4.5, term by term in logarithms.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    powers = np.arange(degrees % 2 / 2, degrees / 2)
    terms = (math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)
    return min(1.0, math.fsum([math.erfc(math.sqrt(half)) if degrees % 2 else 0.0, *terms]))


def _neighbours(bins: list[Any], enough: float) -> list[Any]:
    """Bins of both samples, from low to high, each merged with those after it until there is enough in it."""
    groups: list[Any] = []
    some = np.zeros(2)
    for one in bins:
        some = some + one
        if some.sum() >= enough:
            groups.append(some)
            some = np.zeros(2)
    if groups:
        groups[-1] = groups[-1] + some
    return groups


def _common(bins: list[Any], enough: float) -> list[Any]:
    """Those in which there is enough, and all others as one."""
    groups = [one for one in bins if one.sum() >= enough]
    rare = sum((one for one in bins if one.sum() < enough), np.zeros(2))
    return [*groups, rare] if rare.sum() >= enough else groups
