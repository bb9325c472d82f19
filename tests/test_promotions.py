"""contract.promotions: what is live after some promotions, and how one is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.promotions import CHALLENGER, CHAMPION, Deployment, Promotion, told
from tests.promoting import promotion


def folded(*promotions: Promotion) -> Deployment:
    found = Deployment()
    for one in promotions:
        found = found.after(one)
    return found


def promoted(*versions: int) -> Deployment:
    return folded(*(promotion(version=version) for version in versions))


def alias(name: str, version: int | None) -> Promotion:
    return promotion("alias", version, alias=name)


# --- the champion


def test_without_a_log_the_newest_version_is_the_champion() -> None:
    assert Deployment().champion([1, 3, 2]) == 3
    assert Deployment().champion([]) is None
    assert promoted(1).champion([1, 2, 3]) == 1


def test_a_first_version_that_was_kept_back_leaves_no_champion() -> None:
    found = folded(promotion("keep", 1))
    assert (found.number, found.champion([1])) == (1, None)


def test_the_first_promotion_leads_back_to_what_answered_before_the_log() -> None:
    found = folded(promotion(version=3, before=2))
    assert found.champions == (2, 3)
    assert folded(promotion("rollback", 2, before=3)).champions == (2,)


@pytest.mark.parametrize(
    ("versions", "champions"),
    [((1,), (1,)), ((1, 2, 3), (1, 2, 3)), ((1, 2, 1), (1, 2, 1)), ((1, 2, 2), (1, 2))],
)
def test_each_promotion_is_one_more_champion(versions: tuple[int, ...], champions: tuple[int, ...]) -> None:
    assert promoted(*versions).champions == champions


def test_rolling_back_leads_further_back_each_time() -> None:
    found = promoted(1, 2, 3)
    for version, champions in ((2, (1, 2)), (1, (1,))):
        found = found.after(promotion("rollback", version, before=found.champions[-1]))
        assert (found.champion([1, 2, 3]), found.champions) == (version, champions)
    assert found.after(promotion(version=3)).champions == (1, 3)


def test_rolling_back_leads_to_the_last_time_a_version_was_champion() -> None:
    found = promoted(2, 1, 2, 1).after(promotion("rollback", 2))
    assert found.champions == (2, 1, 2)
    assert promoted(1, 2, 3).after(promotion("rollback", 1)).champions == (1,)  # where an entry between cannot be read


def test_a_version_that_was_tried_is_known_by_its_manifest() -> None:
    found = folded(promotion(version=1, manifest_sha256="a"), promotion("alias", 2, alias="beta", manifest_sha256="b"))
    assert found.tried == {1: "a", 2: "b"}
    assert found.after(promotion("prune", None, versions=(1,))).tried == {2: "b"}


# --- aliases and traffic


def test_an_alias_points_at_the_version_it_was_given_last() -> None:
    found = folded(promotion(version=1), alias("beta", 2), alias("beta", 3), alias("old", 1))
    assert found.aliases == {CHAMPION: 1, "beta": 3, "old": 1}
    assert found.after(alias("beta", None)).aliases == {CHAMPION: 1, "old": 1}
    assert found.champions == (1,)


def test_the_traffic_is_split_until_the_champion_or_the_challenger_is_another() -> None:
    split = folded(promotion(version=1), alias(CHALLENGER, 2), promotion("traffic", None, share=10.0, shadow=True))
    assert (split.share, split.shadow) == (10.0, True)
    for kept in (promotion("keep", 3), alias("beta", 3), promotion("prune", None, versions=(9,))):
        assert (split.after(kept).share, split.after(kept).shadow) == (10.0, True)
    for ended in (alias(CHALLENGER, 3), alias(CHALLENGER, None), promotion(version=3), promotion("rollback", 3)):
        assert (split.after(ended).share, split.after(ended).shadow) == (0.0, False)


def test_a_challenger_that_becomes_champion_challenges_no_more() -> None:
    found = folded(promotion(version=1), alias(CHALLENGER, 2))
    assert found.after(promotion(version=3)).aliases == {CHAMPION: 3, CHALLENGER: 2}
    assert found.after(promotion(version=2)).aliases == {CHAMPION: 2}


def test_what_was_pruned_is_no_champion_to_go_back_to() -> None:
    found = promoted(1, 2, 1, 3).after(promotion("prune", None, versions=(2, 7)))
    assert found.champions == (1, 3)  # 1 only once: going back from it to itself would be no move
    assert found.pruned == {2, 7}
    assert found.after(promotion("prune", None, versions=(1,))).pruned == {1, 2, 7}


KINDS = st.sampled_from(["promote", "rollback", "alias", "traffic", "keep", "prune"])
VERSIONS = st.integers(min_value=1, max_value=6)


@st.composite
def logs(draw: st.DrawFn) -> list[Promotion]:
    """Promotions of which each is sound, whatever was before."""
    found = []
    for kind in draw(st.lists(KINDS, max_size=30)):
        version, facts = draw(VERSIONS), dict[str, Any]()
        if kind == "alias":
            facts["alias"] = draw(st.sampled_from([CHALLENGER, "beta"]))
            version = draw(st.none() | VERSIONS)  # type: ignore[assignment]
        elif kind == "prune":
            facts["versions"] = tuple(draw(st.lists(VERSIONS, max_size=3)))
        elif kind == "traffic":
            facts["share"] = draw(st.floats(0, 100))
        found.append(promotion(kind, version, **facts))
    return found


@given(logs())
def test_any_log_has_an_end_that_makes_sense(log: list[Promotion]) -> None:
    found = folded(*log)
    assert found.number == len(log)
    assert all(a != b for a, b in zip(found.champions, found.champions[1:], strict=False))
    made = [one.version for one in log if one.kind in ("promote", "rollback")]
    assert found.aliases.get(CHAMPION) == (made[-1] if made else None)


@given(logs())
def test_a_promotion_is_read_as_it_was_written(log: list[Promotion]) -> None:
    for one in log:
        assert Promotion.model_validate_json(one.model_dump_json(indent=1)) == one


# --- what no promotion is


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "../3"},
        {"version": "3"},
        {"version": 0},
        {"version": -1},
        {"version": 10**30},
        {"version": 1.0},
        {"version": True},
        {"kind": "invented"},
        {"promotion_format": 2},
        {"alias": "../champion"},
        {"alias": "champion\n"},
        {"alias": CHALLENGER},
        {"version": None},
        {"kind": "rollback", "version": None},
        {"kind": "alias"},
        {"kind": "alias", "alias": ""},
        {"kind": "traffic", "share": 101},
        {"kind": "traffic", "share": -1},
        {"at": "yesterday"},
        {"at": "2026-11-21T12:00:00"},
        {"unknown": 1},
        {"versions": [0]},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_no_promotion(wrong: dict[str, Any]) -> None:
    document = {"kind": "promote", "at": "2026-11-21T12:00:00Z", "alias": CHAMPION, "version": 1}
    Promotion.model_validate_json(json.dumps(document))
    with pytest.raises(ValidationError):
        Promotion.model_validate_json(json.dumps(document | wrong))


# --- told


def test_a_text_is_kept_on_one_line_that_no_terminal_obeys() -> None:
    found = promotion(reason=" it\nfailed\x1b[31m\u202e on\ttuesday \udcff", by="ada\r@lab")
    assert (found.reason, found.by) == ("it failed [31m on tuesday", "ada @lab")
    assert len(promotion(reason="x" * 10_000).reason) == 1000
    document = found.model_dump_json().replace("it failed", "it\\nfailed")
    assert Promotion.model_validate_json(document).reason == found.reason  # nor if somebody wrote it by hand


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (promotion(version=3), "champion is version 3"),
        (promotion(version=3, before=2), "champion is version 3 instead of 2"),
        (promotion("rollback", 2, before=3), "rolled back to version 2 instead of 3"),
        (promotion("alias", 4, alias="beta"), "beta is version 4"),
        (promotion("alias", None, alias="beta", before=4), "beta points at nothing any more instead of 4"),
        (promotion("traffic", None, share=12.5), "the challenger answers 12.5 % of the requests"),
        (promotion("traffic", None, shadow=True), "the challenger answers copies of the requests"),
        (
            promotion("traffic", None, share=5.0, shadow=True),
            "the challenger answers 5 % of the requests, and copies of the others",
        ),
        (promotion("traffic", None), "the challenger answers no requests any more"),
        (promotion("keep", 4, before=3), "version 4 was not promoted over 3"),
        (promotion("keep", 1), "version 1 was not promoted"),
        (promotion("prune", None, versions=(1,)), "deleted version 1"),
        (promotion("prune", None, versions=(2, 1)), "deleted versions 1, 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_promotion_is_told_in_one_line(made: Promotion, said: str) -> None:
    assert told(made) == f"{said}, by ada@lab at 2026-11-21 12:00:00 UTC"


def test_a_promotion_is_told_with_its_reason_and_without_who_it_does_not_know() -> None:
    made = Promotion(kind="promote", at=datetime(2026, 1, 1, tzinfo=UTC), alias=CHAMPION, version=1, reason="it is so")
    assert told(made) == "champion is version 1, by somebody at 2026-01-01 00:00:00 UTC: it is so"
