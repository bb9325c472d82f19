"""serving.pages.charts: a metric over the versions of a model."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from serving.catalogue import VersionSummary
from serving.pages.charts import HEIGHT, MOST_CHARTS, WIDTH, charts


def summary(version: int, *aliases: str, **metrics: float) -> VersionSummary:
    return VersionSummary(version=version, aliases=list(aliases), metrics=metrics)


def test_a_chart_goes_from_the_oldest_to_the_newest() -> None:
    (chart,) = charts([summary(5, r2=0.9), summary(3, "champion", r2=0.5), summary(2), summary(1, r2=0.7)])
    assert (chart.metric, chart.least, chart.most) == ("r2", 0.5, 0.9)
    assert [(point.version, point.value, point.champion) for point in chart.points] == [
        (1, 0.7, False),
        (3, 0.5, True),
        (5, 0.9, False),
    ]
    assert chart.line == "8.0,55.0 160.0,98.0 312.0,12.0"


def test_a_chart_that_is_level_is_in_the_middle_and_one_of_a_point_is_none() -> None:
    (chart,) = charts([summary(1, a=2.0, b=1.0), summary(2, a=2.0)])
    assert {point.y for point in chart.points} == {HEIGHT / 2}
    assert charts([]) == charts([summary(1, a=1.0)]) == []


@given(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=9))
@example([-1.7e308, 1.7e308])
@example([0.0, 5e-324])
def test_a_chart_stays_within_its_frame(values: list[float]) -> None:
    (chart,) = charts([summary(number, a=value) for number, value in enumerate(values, 1)])
    assert all(0 <= point.x <= WIDTH and 0 <= point.y <= HEIGHT for point in chart.points)


def test_the_newest_version_says_which_metrics_are_drawn() -> None:
    names = [f"m{n}" for n in range(MOST_CHARTS + 1)]
    old, new = dict.fromkeys(reversed(names), 1.0), dict.fromkeys(names, 2.0)
    assert [chart.metric for chart in charts([summary(1, **old), summary(2, **new)])] == names[:MOST_CHARTS]
