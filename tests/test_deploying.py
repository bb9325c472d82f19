"""contract.deploying: the moves that change what is live, and which of them are refused."""

import os
import re
import threading
from functools import partial
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.deploying import Deployer, check_alias, who
from contract.errors import (
    AliasNotFound,
    ArtifactError,
    ChecksumMismatch,
    ModelNotFound,
    NameRefused,
    PromotionConflict,
    PromotionFailed,
    PromotionRefused,
    SelfTestMismatch,
    VersionNotFound,
)
from contract.limits import Limits
from contract.promotions import CHALLENGER, CHAMPION, Deployment
from contract.signature import Field
from contract.store import Store
from contract.trying import try_out
from tests.live import damage, multiplication, publish_graph, republish
from tests.promoting import MODEL, deployer, promotion, published
from tests.samples import REGRESSION, sealed

RESERVED = ["metrics", "docs", "aliases", "latest", "versions", "predict"]
NEWEST = "it was the newest when the log began"


@pytest.fixture
def made(store: Store) -> Deployer:
    """Who deploys versions 1 to 4 of a model that has no log."""
    return deployer(published(store, 4))


def spoil(store: Store, *versions: int) -> None:
    """Have versions be damaged."""
    for version in versions:
        (store.root / MODEL / str(version) / "model.joblib").write_bytes(b"damaged")


def kinds(store: Store) -> list[tuple[str, str, int | None, int | None]]:
    """Kind, alias, version and what was before of each entry."""
    entries = [entry for _, entry in store.promotions(MODEL).history() if entry is not None]
    return [(entry.kind, entry.alias, entry.version, entry.before) for entry in entries]


# --- promote


def test_promoting_points_the_champion_at_a_version(made: Deployer) -> None:
    found = made.promote(MODEL, 2, reason="it is better", gate={"verdict": "promoted"})
    assert found == made.deployment(MODEL)
    assert (found.number, found.aliases) == (1, {CHAMPION: 2})
    entry = made.store.promotions(MODEL).entry(1)
    assert entry is not None
    assert (entry.by, entry.reason, entry.gate) == ("ada@lab", "it is better", {"verdict": "promoted"})
    assert entry.manifest_sha256 == made.store.artifact(MODEL, 2).manifest_sha256 == found.tried[2]
    assert entry.at.utcoffset() is not None


def test_promoting_what_is_champion_does_nothing(made: Deployer) -> None:
    assert made.promote(MODEL, 2) == made.promote(MODEL, 2)
    assert len(made.store.promotions(MODEL).history()) == 1


def test_the_first_promotion_notes_what_answered_before_it(made: Deployer) -> None:
    assert made.promote(MODEL, 2).champions == (4, 2)
    assert made.roll_back(MODEL).aliases == {CHAMPION: 4}


def test_the_newest_version_is_promoted_over_the_one_before_it(made: Deployer) -> None:
    assert made.promote(MODEL, 4).champions == (3, 4)  # whoever has just published it asks for this
    assert kinds(made.store) == [("promote", CHAMPION, 4, 3)]


def test_the_only_version_has_none_before_it(store: Store) -> None:
    assert deployer(published(store, 1)).promote(MODEL, 1).champions == (1,)
    with pytest.raises(PromotionRefused, match=r"^Version 1 of 'iris' is the first champion, so nothing can be rolled"):
        deployer(store).roll_back(MODEL)


def test_what_is_not_there_is_not_promoted(made: Deployer) -> None:
    with pytest.raises(ModelNotFound, match=r"^There is no model 'wine'; the store holds iris\.$"):
        made.promote("wine", 1)
    with pytest.raises(VersionNotFound, match=r"^Model 'iris' has no version 5; the store holds 1, 2, 3, 4\.$"):
        made.promote(MODEL, 5)
    assert not made.store.promotions(MODEL).folder.exists()


def test_a_version_that_is_damaged_is_not_promoted(made: Deployer) -> None:
    spoil(made.store, 2)
    for alias in (CHAMPION, "beta"):
        with pytest.raises(ChecksumMismatch, match=r"model\.joblib has 7 bytes"):
            made.promote(MODEL, 2, alias)
    assert [entry[2] for entry in kinds(made.store)] == [4]  # the log began with what answers, for the alias


def test_a_caller_who_expects_another_champion_is_told(made: Deployer) -> None:
    made.promote(MODEL, 2, expected=4)
    told = r"^Model 'iris' was changed meanwhile: champion is version 2, not version 3\. Look at it, and try again\.$"
    with pytest.raises(PromotionConflict, match=told):
        made.promote(MODEL, 1, expected=3)
    with pytest.raises(PromotionConflict, match="champion is version 2, not version 1"):
        made.roll_back(MODEL, expected=1)
    with pytest.raises(PromotionConflict, match="beta points at nothing, not version 1"):
        made.promote(MODEL, 1, "beta", expected=1)
    with pytest.raises(PromotionConflict, match="champion is version 2, which was expected to point at nothing"):
        made.promote(MODEL, 1, expected=0)
    assert made.promote(MODEL, 1, "beta", expected=0).aliases == {CHAMPION: 2, "beta": 1}


def test_who_was_slower_while_trying_out_is_told(made: Deployer) -> None:
    tried = threading.Event()

    def slowly(artifact: Artifact) -> None:
        artifact.verify()
        made.promote(MODEL, 3)
        tried.set()

    with pytest.raises(PromotionConflict, match=r"changed meanwhile: champion is version 3 instead of 4, by ada@lab"):
        deployer(made.store, try_out=slowly).promote(MODEL, 1)
    assert tried.is_set()
    assert made.deployment(MODEL).aliases == {CHAMPION: 3}


def test_a_version_that_is_being_deleted_is_not_promoted(made: Deployer) -> None:
    made.promote(MODEL, 4)
    log = made.store.promotions(MODEL)
    log.append(promotion("prune", None, versions=(1,)), after=log.read())
    for alias in (CHAMPION, "beta"):
        with pytest.raises(PromotionRefused, match=r"^Version 1 of 'iris' is being deleted; promote another one\.$"):
            made.promote(MODEL, 1, alias)


def test_a_log_that_cannot_be_written_to_leaves_live_what_is_live(made: Deployer) -> None:
    made.store.promotions(MODEL).folder.write_text("a file")
    with pytest.raises(PromotionFailed, match="Nothing was changed"):
        made.promote(MODEL, 1)
    assert made.deployment(MODEL) == Deployment()


# --- trying out


def test_only_what_loads_and_answers_as_it_did_is_made_live(store: Store) -> None:
    limits = Limits(load_timeout_s=60, answer_timeout_s=60)
    made = Deployer(store, "ada@lab", partial(try_out, limits=limits))
    good = store.artifact("double", publish_graph(store, "double"))
    wrong = republish(store, good, files={"model.onnx": multiplication(3.0)})
    again = republish(store, good)
    assert made.promote("double", 1).aliases == {CHAMPION: 1}
    with pytest.raises(SelfTestMismatch, match="answers its golden rows otherwise than when it was fitted"):
        made.promote("double", wrong)
    made.promote("double", again)
    damage(good, "model.onnx")
    with pytest.raises(ChecksumMismatch, match="not the file that was published"):
        made.roll_back("double")
    assert made.deployment("double").aliases == {CHAMPION: again}


# --- aliases


def test_an_alias_is_moved_and_removed(made: Deployer) -> None:
    made.promote(MODEL, 1)
    made.promote(MODEL, 2, "beta")
    made.promote(MODEL, 3, "beta")
    assert made.promote(MODEL, 3, "beta").aliases == {CHAMPION: 1, "beta": 3}
    assert made.remove(MODEL, "beta", reason="done with it").aliases == {CHAMPION: 1}
    assert kinds(made.store)[1:] == [
        ("alias", "beta", 2, None),
        ("alias", "beta", 3, 2),
        ("alias", "beta", None, 3),
    ]


def test_a_log_that_begins_with_an_alias_says_first_what_answers(made: Deployer) -> None:
    spoil(made.store, 4)
    assert made.promote(MODEL, 2, "beta").aliases == {CHAMPION: 3, "beta": 2}
    assert kinds(made.store) == [("promote", CHAMPION, 3, 2), ("alias", "beta", 2, None)]
    entry = made.store.promotions(MODEL).entry(1)
    assert entry is not None
    assert entry.reason == NEWEST


def test_a_log_cannot_begin_where_nothing_can_answer(made: Deployer) -> None:
    spoil(made.store, 1, 2, 3, 4)
    with pytest.raises(ArtifactError, match=r"model\.joblib has 7 bytes"):
        made.promote(MODEL, 2, "beta")
    assert made.deployment(MODEL).number == 0


def test_an_alias_that_is_not_there_is_not_removed(made: Deployer) -> None:
    made.promote(MODEL, 1)
    with pytest.raises(AliasNotFound, match=r"^Model 'iris' has no alias 'beta'; it has champion\.$"):
        made.remove(MODEL, "beta")
    with pytest.raises(PromotionRefused, match=r"^'iris' would have no champion; promote another version instead\.$"):
        made.remove(MODEL, CHAMPION)


def test_the_champion_does_not_challenge_itself(made: Deployer) -> None:
    made.promote(MODEL, 2)
    with pytest.raises(PromotionRefused, match=r"^Version 2 of 'iris' is the champion, and cannot challenge itself\.$"):
        made.promote(MODEL, 2, CHALLENGER)
    assert made.promote(MODEL, 3, CHALLENGER).aliases[CHALLENGER] == 3
    assert made.promote(MODEL, 3).aliases == {CHAMPION: 3}


@pytest.mark.parametrize("name", ["champion", "challenger", "a", "beta-2", "a_b", "x" * 32])
def test_a_version_may_be_called_so(name: str) -> None:
    assert check_alias(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "7", "7a", "-a", "a-", "_a", "Beta", "a b", "a.b", "a/b", "../a", "a\n", "é", "x" * 33, "{{7*7}}", *RESERVED],
)
def test_a_version_may_not_be_called_so(made: Deployer, name: str) -> None:
    with pytest.raises(NameRefused, match=r" cannot be an alias: it is 1 to 32 lower-case letters, digits, '-' or '_'"):
        made.promote(MODEL, 1, name)
    assert made.deployment(MODEL).number == 0


def test_a_long_name_is_refused_in_a_short_line() -> None:
    with pytest.raises(NameRefused, match=r"^'x{40}' cannot be an alias") as caught:
        check_alias("x" * 1_000_000)
    assert len(str(caught.value)) < 300


# --- rolling back


def test_rolling_back_leads_to_the_champion_before(made: Deployer) -> None:
    for version in (1, 2, 3):
        made.promote(MODEL, version)
    assert made.roll_back(MODEL, reason="3 is wrong").aliases == {CHAMPION: 2}
    assert made.roll_back(MODEL).aliases == {CHAMPION: 1}
    assert made.roll_back(MODEL).aliases == {CHAMPION: 4}  # which answered when the log began
    with pytest.raises(
        PromotionRefused,
        match=r"^Version 4 of 'iris' is the first champion, so nothing can be rolled back; "
        r"promote the version that shall answer\.$",
    ):
        made.roll_back(MODEL)
    assert [entry[0] for entry in kinds(made.store)] == ["promote"] * 3 + ["rollback"] * 3
    assert kinds(made.store)[3] == ("rollback", CHAMPION, 2, 3)


def test_without_a_log_rolling_back_leads_to_the_version_before(made: Deployer) -> None:
    found = made.roll_back(MODEL)
    assert (found.aliases, found.champions) == ({CHAMPION: 3}, (3,))
    assert kinds(made.store) == [("rollback", CHAMPION, 3, 4)]


def test_a_champion_that_is_gone_is_not_rolled_back_to(made: Deployer) -> None:
    made.promote(MODEL, 1)
    made.promote(MODEL, 2)
    (made.store.root / MODEL / "1").rename(made.store.root / MODEL / ".gone")
    with pytest.raises(
        PromotionRefused,
        match=r"^Version 1 of 'iris', the champion before, is not in the store any more; promote one of 2, 3, 4\.$",
    ):
        made.roll_back(MODEL)
    with pytest.raises(ModelNotFound, match="There is no model 'wine'"):
        made.roll_back("wine")


def test_where_nothing_was_ever_live_nothing_is_rolled_back(store: Store) -> None:
    made = deployer(published(store, 1))
    made.keep(MODEL, 1, reason="it is bad")
    with pytest.raises(PromotionRefused, match=r"^'iris' has no champion, so nothing can be rolled back; promote"):
        made.roll_back(MODEL)


# --- traffic


def test_the_challenger_answers_a_share_or_copies(made: Deployer) -> None:
    made.promote(MODEL, 1)
    made.promote(MODEL, 2, CHALLENGER)
    assert made.traffic(MODEL, share=10, reason="carefully").share == 10.0
    found = made.traffic(MODEL, shadow=True)
    assert (found.share, found.shadow) == (10.0, True)
    assert made.traffic(MODEL, share=10, shadow=True) == made.traffic(MODEL) == found  # nothing to be done
    ended = made.traffic(MODEL, share=0, shadow=False)  # both in one entry, so that neither is done without the other
    assert (ended.share, ended.shadow) == (0.0, False)
    assert [entry[0] for entry in kinds(made.store)[2:]] == ["traffic", "traffic", "traffic"]


def test_a_challenger_that_takes_other_requests_gets_none_but_copies(made: Deployer) -> None:
    fields = (*REGRESSION.inputs, Field(name="region", type="string", dtype="str"))
    other = made.store.publish(
        sealed(made.store, model=MODEL, signature=REGRESSION.model_copy(update={"inputs": fields}))
    )
    made.promote(MODEL, 1)
    made.promote(MODEL, other, CHALLENGER)
    said = r"^Version 5 of 'iris' takes other requests than version 1: 'region' is new\. Callers can try it at /models/"
    with pytest.raises(PromotionRefused, match=said):
        made.traffic(MODEL, share=10)
    assert made.traffic(MODEL, share=0) == made.deployment(MODEL)
    assert made.traffic(MODEL, shadow=True).shadow


def test_without_a_challenger_nothing_is_split(made: Deployer) -> None:
    made.promote(MODEL, 1)
    for move in (partial(made.traffic, MODEL, share=10), partial(made.traffic, MODEL, shadow=True)):
        with pytest.raises(
            PromotionRefused,
            match=r"^Model 'iris' has no challenger; `lectern alias iris challenger VERSION` names one\.$",
        ):
            move()
    assert made.traffic(MODEL, share=0, shadow=False) == made.deployment(MODEL)
    assert made.deployment(MODEL).number == 1


@pytest.mark.parametrize("share", [-1, 100.5, float("nan"), float("inf")])
def test_what_is_no_percentage_is_no_share(made: Deployer, share: float) -> None:
    with pytest.raises(PromotionRefused, match=rf"^{re.escape(f'{share:g}')} is no share; give percent from 0 to 100"):
        made.traffic(MODEL, share=share)


# --- keep


def test_a_version_that_is_kept_back_is_noted_and_moves_nothing(made: Deployer) -> None:
    made.promote(MODEL, 2)
    found = made.keep(MODEL, 4, reason="it is worse", expected=2, gate={"verdict": "kept"})
    assert (found.number, found.aliases) == (2, {CHAMPION: 2})
    assert kinds(made.store)[1] == ("keep", "", 4, 2)
    with pytest.raises(PromotionConflict, match="champion is version 2, not version 3"):
        made.keep(MODEL, 4, reason="it is worse", expected=3)
    with pytest.raises(VersionNotFound, match="has no version 5"):
        made.keep(MODEL, 5, reason="it is worse")


def test_a_log_that_begins_with_keeping_says_first_what_answers(made: Deployer) -> None:
    spoil(made.store, 3)
    assert made.keep(MODEL, 4, reason="it is worse").aliases == {CHAMPION: 2}
    assert kinds(made.store) == [("promote", CHAMPION, 2, 1), ("keep", "", 4, 2)]
    assert made.roll_back(MODEL).aliases == {CHAMPION: 1}  # never to what was kept back


@pytest.mark.parametrize("versions", [1, 2])
def test_what_is_kept_back_does_not_answer_where_nothing_else_can(store: Store, versions: int) -> None:
    made = deployer(published(store, versions))
    spoil(store, *range(1, versions))
    found = made.keep(MODEL, versions, reason="it is bad")
    assert found.champion(store.versions(MODEL)) is None
    assert [entry[0] for entry in kinds(store)] == ["keep"]


# --- who


def test_who_moves_is_a_user_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert re.fullmatch(r"ada@\S+", who())


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    assert re.fullmatch(r"987654321@\S+", who())
