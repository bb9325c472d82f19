"""Releasing: what becomes of a version that was just published, whoever else publishes and whatever fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from contract import trust
from contract.artifact import Artifact
from contract.deploying import Deployer, who
from contract.errors import PromotionConflict, SelfTestFailed, SettingsRefused
from contract.limits import Limits
from contract.manifest import Policy
from contract.promotions import Promotion
from contract.store import Store
from contract.trying import try_out
from pipeline.gating.releasing import Release, champion
from pipeline.settings import TrainSettings
from tests.gated import MODEL, Zoo


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)


def release(store: Store, promote: Policy | None = "if-better", tolerance: float = 0) -> Release:
    """Zoo's versions ask to be promoted never, so tests say what they want."""
    return Release(store, TrainSettings(tolerance=tolerance), promote=promote)


def log(store: Store) -> list[tuple[str, int | None, int | None]]:
    entries = [entry for _, entry in store.promotions(MODEL).history()]
    return [(entry.kind, entry.version, entry.before) for entry in entries if entry is not None]


def entry(store: Store, number: int) -> Promotion:
    found = store.promotions(MODEL).entry(number)
    assert found is not None
    return found


def live(store: Store) -> int | None:
    return store.promotions(MODEL).read().champion(store.versions(MODEL))


def plainly(store: Store) -> Deployer:
    return Deployer(store, "somebody@else", lambda _: None)


def test_each_version_is_promoted_if_it_is_not_worse(zoo: Zoo, store: Store) -> None:
    version, first = release(store).publish(zoo.stage("bad", store))
    assert (version, str(first)) == (1, "champion now: no version was champion before")
    _, better = release(store).publish(zoo.stage("good", store))
    assert str(better) == "champion now: accuracy 1 against 0.5167 of version 1, on 60 rows of version 2"
    _, worse = release(store).publish(zoo.stage("bad", store))
    assert worse.verdict == "kept"
    _, same = release(store).publish(zoo.stage("good", store))
    assert same.promoted
    _, tolerated = release(store, tolerance=0.5).publish(zoo.stage("bad", store))
    assert tolerated.promoted
    assert log(store) == [
        ("promote", 1, None),
        ("promote", 2, 1),
        ("keep", 3, 2),
        ("promote", 4, 2),
        ("promote", 5, 4),
    ]
    kept = entry(store, 3)
    assert (kept.by, kept.reason) == (who(), "accuracy 0.5167 against 1 of version 2, on 60 rows of version 3")
    assert kept.gate == worse.as_json()
    assert entry(store, 2).manifest_sha256 == store.artifact(MODEL, 2).manifest_sha256
    assert entry(store, 1).gate == {"verdict": "promoted", "reason": "no version was champion before"}
    assert champion(store, MODEL) == (5, store.artifact(MODEL, 5).manifest)
    assert champion(store, "nobody") is None


def test_limits_hold_for_every_candidate_and_the_first_one_too(zoo: Zoo, store: Store) -> None:
    strict = Release(store, TrainSettings(limits="accuracy>=0.9; balanced_accuracy >= 0.8"), promote="if-better")
    _, bad = strict.publish(zoo.stage("bad", store))
    assert (bad.verdict, bad.champion, live(store)) == ("kept", None, None)
    assert bad.reason.startswith("accuracy is 0.5167, >= 0.9 is asked for; balanced_accuracy is ")
    assert [check["held"] for check in bad.as_json()["limits"]] == [False, False]
    _, good = strict.publish(zoo.stage("good", store))
    assert (good.promoted, good.reason, live(store)) == (True, "no version was champion before", 2)
    assert log(store) == [("keep", 1, None), ("promote", 2, None)]
    _, same = strict.publish(zoo.stage("good", store))
    assert (same.promoted, same.champion) == (True, 2)
    with pytest.raises(SettingsRefused, match=r"^LECTERN_TRAIN_LIMITS does not do: 'accuracy' is no limit; write"):
        Release(store, TrainSettings(limits="f1_macro>0.5; accuracy"))


def test_the_notebook_s_wish_goes_before_the_settings_and_the_caller_s_before_both(zoo: Zoo, store: Store) -> None:
    assert zoo["good"].manifest.run.promote == "never"
    _, kept = release(store, None).publish(zoo.stage("good", store))
    assert (kept.verdict, live(store), log(store)) == ("kept", None, [("keep", 1, None)])
    assert str(kept).endswith("; `lectern promote flower 1` promotes it")
    _, first = release(store).publish(zoo.stage("good", store))
    assert (first.promoted, live(store)) == (True, 2)
    _, always = release(store, "always").publish(zoo.stage("bad", store))
    assert (always.promoted, live(store)) == (True, 3)


def test_the_log_begins_with_what_answers_already(zoo: Zoo, store: Store) -> None:
    for number in (1, 2):
        zoo.put("good", store, number)
    _, worse = release(store).publish(zoo.stage("bad", store))
    assert (worse.verdict, worse.champion, live(store)) == ("kept", 2, 2)
    assert log(store) == [("promote", 2, 1), ("keep", 3, 2)]
    assert entry(store, 1).reason == "it was the newest when the log began"


def test_a_process_that_ends_between_the_two_leaves_the_champion(
    zoo: Zoo, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.put("good", store, 1)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Release, "decide", end)
    with pytest.raises(KeyboardInterrupt):
        release(store).publish(zoo.stage("bad", store))
    assert (store.versions(MODEL), live(store), log(store)) == ([1, 2], 1, [("promote", 1, None)])
    monkeypatch.undo()
    decision = release(store).catch_up(MODEL, 2)
    assert decision is not None
    assert (decision.verdict, live(store)) == ("kept", 1)


def test_the_log_does_not_begin_with_a_version_that_does_not_load(zoo: Zoo, store: Store) -> None:
    broken = zoo.put("good", store, 1)
    (broken.folder / "model.onnx").write_bytes(b"no graph")
    _, made = release(store).publish(zoo.stage("bad", store))
    assert str(made).startswith("champion now: nothing was compared with version 1: version 1 cannot be asked: ")
    assert log(store) == [("promote", 2, 1)]
    (store.artifact(MODEL, 2).folder / "model.joblib").write_bytes(b"no pickle")
    _, beside = release(store).publish(zoo.stage("good", store))
    assert str(beside).startswith("not promoted: it could not be compared with version 2: version 2 cannot be asked: ")
    assert live(store) == 2


def test_a_version_that_was_never_decided_about_is_when_its_run_is_recognised(zoo: Zoo, store: Store) -> None:
    zoo.put("good", store, 1)
    assert release(store).catch_up(MODEL, 1) is None  # it answers, and no log has begun
    release(store).publish(zoo.stage("bad", store))
    assert [release(store).catch_up(MODEL, number) for number in (1, 2)] == [None, None]
    zoo.put("good", store, 3)
    assert live(store) == 1
    decision = release(store).catch_up(MODEL, 3)
    assert decision is not None
    assert (decision.promoted, live(store)) == (True, 3)
    assert release(store).catch_up(MODEL, 3) is None


def test_a_lost_race_is_run_again_against_the_new_champion(
    zoo: Zoo, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.put("bad", store, 1)
    zoo.put("good", store, 2)
    plainly(store).promote(MODEL, 1)
    zoo.put("bad", store, 3)
    competing(monkeypatch, lambda: plainly(store).promote(MODEL, 2), times=1)
    decision = release(store).decide(MODEL, 3)
    assert (decision.verdict, decision.champion) == ("kept", 2)
    assert log(store) == [("promote", 1, 2), ("promote", 2, 1), ("keep", 3, 2)]


def test_a_race_that_is_lost_again_and_again_leaves_the_version(
    zoo: Zoo, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        zoo.put("bad", store, number)
    plainly(store).promote(MODEL, 1)
    zoo.put("good", store, 3)
    competing(monkeypatch, lambda: plainly(store).promote(MODEL, 3 - (live(store) or 0)), times=99)
    decision = release(store).decide(MODEL, 3)
    assert str(decision).startswith("not promoted: Model 'flower' was changed meanwhile: champion is version 2 instead")
    assert str(decision).endswith("try again; `lectern promote flower 3` promotes it")
    assert len(log(store)) == 6


def competing(monkeypatch: pytest.MonkeyPatch, move: Callable[[], object], times: int) -> None:
    """Have somebody else make a move between a look at what is live and the promotion that follows from it."""
    left = [times]

    def tried(artifact: Artifact, limits: Limits) -> None:
        if left[0]:
            left[0] -= 1
            move()
        try_out(artifact, limits)

    monkeypatch.setattr(trust, "try_out", tried)


def test_a_version_is_kept_back_only_from_the_champion_it_was_compared_with(zoo: Zoo, store: Store) -> None:
    for number in (1, 2):
        zoo.put("good", store, number)
    plainly(store).promote(MODEL, 2)
    with pytest.raises(PromotionConflict, match="champion is version 2, not version 1"):
        plainly(store).keep(MODEL, 2, reason="worse", expected=1)
    with pytest.raises(PromotionConflict, match="champion is version 2, which was expected to point at nothing"):
        plainly(store).keep(MODEL, 2, reason="worse", expected=0)


def test_two_that_publish_at_once_are_both_decided_about(zoo: Zoo, store: Store) -> None:
    names = ["good", "short", "good", "short"]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda name: release(store).publish(zoo.stage(name, store)), names))
    assert sorted(version for version, _ in made) == [1, 2, 3, 4]
    assert {decision.verdict for _, decision in made} == {"promoted"}
    assert {number for _, number, _ in log(store)} == {1, 2, 3, 4}


def test_whatever_fails_the_version_is_there(zoo: Zoo, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.put("bad", store, 1)
    plainly(store).promote(MODEL, 1)
    monkeypatch.setattr(trust, "try_out", refuse)
    version, decision = release(store).publish(zoo.stage("good", store))
    assert (version, decision.verdict, live(store)) == (2, "undecided", 1)
    assert str(decision) == "not promoted: It fell over; `lectern promote flower 2` promotes it"
    assert len(log(store)) == 1
    monkeypatch.setattr(trust, "try_out", crash)
    _, decision = release(store).publish(zoo.stage("good", store))
    assert decision.reason == "KeyError: 'a mistake of ours'"


def refuse(artifact: Artifact, limits: Limits) -> None:
    raise SelfTestFailed("It fell over.")


def crash(artifact: Artifact, limits: Limits) -> None:
    raise KeyError("a mistake of ours")
