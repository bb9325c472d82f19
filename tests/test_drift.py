"""contract.drift: two samples compared by counts, held against scipy and against what chance does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from contract.baseline import Counts, measure
from contract.drift import LEAST_EXPECTED, chi_square_tail, compare, homogeneity, merged, stability_index, trend
from contract.signature import Field, Output, Signature

X = Signature(
    container="frame", inputs=(Field(name="x", type="float", dtype="float64"),), output=Output(task="regression")
)
Draw = Callable[[np.random.Generator, int], Any]


def counted(numbers: Any) -> Counts:
    """The baseline of one field."""
    return measure([("x", numbers)], [], X).fields["x"]


def table(seed: int, bins: int, most: int) -> tuple[Any, Any]:
    """Two samples of counts."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, most, bins), rng.integers(1, most, bins)


# --- the parts against scipy


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 11, 50, 99, 1000, 2001])
def test_the_tail_of_chi_square_is_scipy_s(degrees: int) -> None:
    for statistic in (0.0, 1e-12, 0.1, 1.0, degrees / 2, degrees, 2.0 * degrees, 40.0, 300.0, 1400.0, 1e5):
        expected = stats.chi2.sf(statistic, degrees)
        assert chi_square_tail(statistic, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("seed", range(10))
def test_the_tests_are_scipy_s(seed: int) -> None:
    before, now = table(seed, bins=2 + seed, most=[20, 2_000][seed % 2])
    expected = stats.chi2_contingency(np.array([before, now]), correction=False)
    assert homogeneity(before, now) == pytest.approx(expected.pvalue, rel=1e-9)
    places = np.arange(len(before))
    ranked = stats.mannwhitneyu(
        np.repeat(places, before), np.repeat(places, now), use_continuity=False, method="asymptotic"
    )
    assert trend(before, now) == pytest.approx(ranked.pvalue, rel=1e-9)


def test_where_nothing_can_be_ranked_nothing_is_unlikely() -> None:
    assert trend(np.array([5, 0]), np.array([7, 0])) == 1.0
    assert trend(np.array([0, 0]), np.array([7, 1])) == 1.0
    assert trend(np.array([1]), np.array([0])) == 1.0


def test_the_index_is_the_divergence_of_the_shares() -> None:
    before, now = np.array([1e9, 3e9]), np.array([2e9, 2e9])
    assert stability_index(before, now) == pytest.approx((0.5 - 0.25) * np.log(2) + (0.5 - 0.75) * np.log(0.5 / 0.75))
    assert stability_index(before, now) == pytest.approx(stability_index(now, before))
    assert stability_index(before, before) == 0
    assert 0 < stability_index(np.array([0, 100]), np.array([3, 97])) < 0.1


# --- what is sparse


def test_sparse_bins_are_merged_with_their_neighbours_and_what_is_missing_stays_apart() -> None:
    before, now = merged([0, 100, 100, 3, 100, 30], [9, 91, 100, 3, 100, 30], ordered=True)
    assert before.tolist() == [100, 100, 103, 30]
    assert now.tolist() == [100, 100, 103, 30]
    before, now = merged([100, 2, 100, 1], [100, 2, 2, 1], ordered=True)
    assert (before.tolist(), now.tolist()) == ([100, 102], [100, 4])


def test_rare_values_are_merged_with_each_other() -> None:
    before, now = merged([100, 6, 100, 6, 0, 0], [100, 6, 100, 6, 1, 0], ordered=False)
    assert (before.tolist(), now.tolist()) == ([100, 100, 12], [100, 100, 13])
    assert merged([100, 1, 100, 0], [100, 1, 100, 0], ordered=False)[0].tolist() == [100, 100]


def test_in_either_sample_enough_is_to_be_expected() -> None:
    for small in (20, 50, 200):
        before, now = merged([small // 10] * 10 + [0], [100] * 10 + [0], ordered=True)
        expected = (before + now) * (before.sum() / (before.sum() + now.sum()))
        assert expected.min() >= LEAST_EXPECTED
        assert (before.sum(), now.sum()) == (small, 1_000)


@pytest.mark.parametrize("counts", [([0, 0, 0], [5, 5, 0]), ([5, 5, 0], [0, 0, 0]), ([3, 3, 0], [3, 3, 0])])
def test_of_too_few_rows_nothing_is_said(counts: tuple[list[int], list[int]]) -> None:
    for ordered in (True, False):
        found = compare(*map(np.array, counts), ordered=ordered)
        assert (found.psi, found.p_value) == (0.0, 1.0)


# --- what is found


def test_what_is_missing_unseen_or_out_of_range_counts() -> None:
    before = np.array([0, 500, 500, 0, 0])
    for now in ([0, 500, 500, 0, 300], [0, 400, 400, 200, 0], [200, 400, 400, 0, 0]):
        for ordered in (True, False):
            found = compare(before, np.array(now), ordered=ordered)
            assert found.psi > 0.3
            assert found.p_value < 1e-20


def test_what_is_ordered_is_found_sooner() -> None:
    before, now = np.array([500] * 10 + [0]), np.array([455, 465, 475, 485, 495, 505, 515, 525, 535, 545, 0])
    assert compare(before, now, ordered=True).p_value < compare(before, now, ordered=False).p_value / 10


KINDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n).round(1),
    "counts": lambda rng, n: rng.poisson(0.8, n).astype(float),
    "mostly nothing": lambda rng, n: np.where(rng.random(n) < 0.8, 0, rng.gamma(1, 5, n)),
}
TIMES = 1_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [150, 5_000])
def test_chance_is_below_a_level_as_often_as_the_level_says(kind: str, size: int) -> None:
    rng, draw, found = np.random.default_rng(1), KINDS[kind], []
    for _ in range(TIMES if size < 1_000 else TIMES // 3):
        baseline = counted(draw(rng, size))
        found.append(compare(baseline.array, baseline.count(draw(rng, 1_000)), ordered=True).p_value)
    for level in (0.05, 0.01, 0.001):
        most = stats.binom.ppf(0.999, len(found), 1.1 * level)  # a tenth is what sums for a normal distribution cost
        assert sum(p_value < level for p_value in found) <= most
    assert sum(p_value < 0.05 for p_value in found) >= 0.01 * len(found)  # or nothing would ever be found


@pytest.mark.parametrize("size", [500, 5_000])
@pytest.mark.parametrize("kind", KINDS)
def test_half_a_deviation_is_found_in_a_thousand_rows(kind: str, size: int) -> None:
    rng, draw = np.random.default_rng(2), KINDS[kind]
    deviation = draw(rng, 100_000).std()
    for _ in range(50):
        baseline, later = counted(draw(rng, size)), draw(rng, 1_000)
        step = deviation / 2
        if kind == "counts":
            later += np.floor(step) + (rng.random(1_000) < step % 1)
        else:
            later += step
        found = compare(baseline.array, baseline.count(later), ordered=True)
        assert found.psi >= 0.1
        assert found.p_value < 0.0001
