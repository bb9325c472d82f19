"""contract.pruning: which versions go, in which order, and that nobody needs them."""

import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.deploying import Deployer
from contract.errors import (
    ArtifactError,
    ModelNotFound,
    PromotionConflict,
    PromotionFailed,
    PromotionRefused,
    VersionNotFound,
)
from contract.pruning import plan, prune
from contract.store import Store
from tests.promoting import MODEL, deployer, promotion, published
from tests.samples import sealed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""When the samples say that they were made."""


@pytest.fixture
def made(store: Store) -> Deployer:
    """Who deploys versions 1 to 6, of which 2 and 3 were champions, and 4 is called beta."""
    found = deployer(published(store, 6))
    found.promote(MODEL, 2)
    found.promote(MODEL, 3)
    found.promote(MODEL, 4, "beta")
    return found


def hidden(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / MODEL).glob(".*"))


# --- what goes


def test_what_is_live_or_may_be_again_stays(made: Deployer) -> None:
    found = plan(made.store, MODEL)
    assert found.going == found.unnoted == (1, 5)
    assert found.staying == {
        2: "rolling back leads to it",
        3: "it is the champion",
        4: "the alias beta names it",
        6: "it is the newest",
    }


def test_the_newest_stay_as_many_as_are_asked_for(made: Deployer) -> None:
    found = plan(made.store, MODEL, keep=2)
    assert (found.going, found.staying[5]) == ((1,), "it is one of the newest 2")
    assert plan(made.store, MODEL, keep=100).going == ()
    assert plan(made.store, MODEL, keep=0).going == (1, 5)


def test_without_a_log_the_newest_two_stay(store: Store) -> None:
    found = plan(published(store, 3), MODEL)
    assert found.going == (1,)
    assert found.staying == {2: "rolling back leads to it", 3: "it is the champion"}


def test_only_what_is_old_enough_goes(store: Store) -> None:
    for days in (100, 80, 91, 0, 0):
        published(store, 1, created=NOW - timedelta(days=days))
    found = plan(store, MODEL, older_than=timedelta(days=90), now=NOW)
    assert found.going == (1, 3)
    assert found.staying[2] == "it is of 2026-09-02"
    assert plan(store, MODEL, keep=3, older_than=timedelta(days=90), now=NOW).going == (1,)
    assert plan(store, MODEL, older_than=timedelta(days=90)).going  # and it knows what time it is


def test_a_version_whose_age_is_not_known_is_not_old(made: Deployer) -> None:
    (made.store.artifact(MODEL, 1).folder / "manifest.json").write_text("{")
    found = plan(made.store, MODEL, older_than=timedelta(days=1), now=NOW + timedelta(days=9))
    assert found.going == (5,)
    assert found.staying[1].startswith("its age is not known: The manifest ")
    assert plan(made.store, MODEL).going == (1, 5)  # though it may go for another reason


def test_a_model_that_is_not_there_is_not_pruned(store: Store) -> None:
    with pytest.raises(ModelNotFound, match="There is no model 'iris'"):
        plan(store, MODEL)


def test_where_the_log_is_damaged_nothing_goes(made: Deployer) -> None:
    (made.store.promotions(MODEL).folder / "00000003.json").write_text("{")
    with pytest.raises(
        PromotionRefused,
        match=r"^Promotion 3 of 'iris' cannot be read, and may name a version that is needed: "
        r"restore it from a backup, or delete by hand what you know to be useless\.$",
    ):
        prune(made, MODEL)
    assert made.store.versions(MODEL) == [1, 2, 3, 4, 5, 6]


# --- how it goes


def test_pruning_deletes_for_good_and_says_so_in_the_log(made: Deployer) -> None:
    assert prune(made, MODEL, reason="they are old").going == (1, 5)
    assert made.store.versions(MODEL) == [2, 3, 4, 6]
    entry = made.store.promotions(MODEL).entry(4)
    assert entry is not None
    assert (entry.kind, entry.versions, entry.by, entry.reason) == ("prune", (1, 5), "ada@lab", "they are old")
    assert made.deployment(MODEL).pruned == {1, 5}
    for version in (2, 3, 4, 6):
        made.store.artifact(MODEL, version).verify()
    with pytest.raises(VersionNotFound, match="has no version 5; the store holds 2, 3, 4, 6"):
        made.promote(MODEL, 5)


def test_what_was_pruned_is_not_pruned_again(made: Deployer) -> None:
    prune(made, MODEL)
    assert prune(made, MODEL) == plan(made.store, MODEL)
    assert made.deployment(MODEL).number == 4


def test_nothing_is_noted_where_nothing_goes(store: Store) -> None:
    assert prune(deployer(published(store, 2)), MODEL).going == ()
    assert not store.promotions(MODEL).folder.exists()


def test_a_log_that_begins_with_a_prune_says_first_what_answers(store: Store) -> None:
    made = deployer(published(store, 4))
    assert prune(made, MODEL).going == (1, 2)
    found = made.deployment(MODEL)
    assert (found.number, found.champions, found.pruned) == (2, (3, 4), frozenset({1, 2}))
    assert made.roll_back(MODEL).champion([3, 4]) == 3


def test_a_log_cannot_begin_with_a_prune_where_nothing_can_answer(store: Store) -> None:
    published(store, 3)
    for version in (1, 2, 3):
        (store.artifact(MODEL, version).folder / "model.joblib").unlink()
    with pytest.raises(ArtifactError, match=r"model\.joblib is missing"):
        prune(deployer(store), MODEL)
    assert store.versions(MODEL) == [1, 2, 3]


def test_no_number_is_used_twice_even_if_the_newest_are_deleted_by_hand(made: Deployer) -> None:
    prune(made, MODEL)
    assert hidden(made.store) == [".withdrawn-5"]  # of the highest, and empty
    assert list((made.store.root / MODEL / ".withdrawn-5").iterdir()) == []
    shutil.rmtree(made.store.root / MODEL / "6")
    assert made.store.publish(sealed(made.store)) == 6
    assert prune(deployer(published(made.store, 4)), MODEL).going == (6, 7, 8, 9)
    assert hidden(made.store) == [".withdrawn-9"]
    shutil.rmtree(made.store.root / MODEL / "10")
    assert made.store.publish(sealed(made.store)) == 10


def test_what_a_killed_prune_left_goes_with_the_next(made: Deployer) -> None:
    log, folder = made.store.promotions(MODEL), made.store.root / MODEL
    log.append(promotion("prune", None, versions=(1, 5)), after=log.read())
    (folder / "1").rename(folder / ".withdrawn-1")
    found = plan(made.store, MODEL, keep=6)
    assert (found.going, found.unnoted) == ((5,), ())
    assert prune(made, MODEL, keep=6).going == (5,)
    assert made.store.versions(MODEL) == [2, 3, 4, 6]
    assert hidden(made.store) == [".withdrawn-5"]
    assert made.deployment(MODEL).number == 4


def test_what_comes_back_from_a_backup_goes_again_unless_it_is_live(made: Deployer) -> None:
    folder = made.store.root / MODEL
    shutil.copytree(folder / "5", folder.parent / "backup")
    prune(made, MODEL)
    shutil.copytree(folder.parent / "backup", folder / "5")
    shutil.copytree(folder.parent / "backup", folder / ".withdrawn-5", dirs_exist_ok=True)
    assert prune(made, MODEL, keep=6).going == (5,)
    log = made.store.promotions(MODEL)  # by hand only: nobody who asks may do that
    log.append(promotion("alias", 5, alias="gamma"), after=log.read())
    shutil.copytree(folder.parent / "backup", folder / "5")
    assert plan(made.store, MODEL).staying[5] == "the alias gamma names it"


def test_what_only_looks_like_a_version_is_not_followed_anywhere(made: Deployer, tmp_path: Path) -> None:
    folder = made.store.root / MODEL
    shutil.rmtree(folder / "5")
    (folder / "5").symlink_to(folder / "6", target_is_directory=True)
    (folder / "1" / "inner").mkdir()
    (folder / "1" / "inner" / "file").write_text("by hand")
    (folder / "1" / "link").symlink_to(folder / "2", target_is_directory=True)
    (folder / ".withdrawn-0").mkdir()
    (folder / ".withdrawn-x").mkdir()
    (folder / ".withdrawn-x" / "file").write_text("of somebody")
    assert prune(made, MODEL).going == (1, 5)
    assert made.store.versions(MODEL) == [2, 3, 4, 6]
    for version in (2, 3, 4, 6):
        made.store.artifact(MODEL, version).verify()
    assert hidden(made.store) == [".withdrawn-0", ".withdrawn-5", ".withdrawn-x"]
    assert (folder / ".withdrawn-x" / "file").exists()


def test_what_cannot_be_removed_is_told_and_removed_by_the_next(made: Deployer) -> None:
    folder = made.store.root / MODEL
    (folder / ".withdrawn-5").write_text("by hand")  # in the way
    with pytest.raises(
        PromotionFailed,
        match=r"^The log of 'iris' notes what was deleted, but not all of it could be removed: Not a directory\. "
        r"Prune again to go on\.$",
    ):
        prune(made, MODEL)
    assert made.store.versions(MODEL) == [2, 3, 4, 5, 6]
    (folder / ".withdrawn-5").unlink()
    assert prune(made, MODEL).going == (5,)


# --- together with others


def test_who_promotes_while_a_prune_notes_it_is_told(made: Deployer) -> None:
    def slowly(artifact: Artifact) -> None:
        artifact.verify()
        prune(made, MODEL)

    with pytest.raises(PromotionConflict, match=r"changed meanwhile: deleted versions 1, 5, by ada@lab"):
        deployer(made.store, try_out=slowly).promote(MODEL, 1)
    assert made.deployment(MODEL).champion([]) == 3


def test_a_prune_that_is_too_late_plans_again(made: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def slowly(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        made.promote(MODEL, 5)
        link(source, target)

    monkeypatch.setattr(os, "link", slowly)
    assert plan(made.store, MODEL).going == (1, 5)
    assert prune(made, MODEL).going == (1, 2)  # 5 became the champion, and 2 is no more the one before
    assert made.store.versions(MODEL) == [3, 4, 5, 6]


def test_those_who_promote_and_prune_at_once_never_lose_what_is_live(store: Store) -> None:
    made = deployer(published(store, 12))
    made.promote(MODEL, 12)
    gone: list[object] = []

    def promoting() -> None:
        for version in range(1, 12):
            try:
                made.promote(MODEL, version)
            except (PromotionConflict, PromotionRefused, VersionNotFound, ArtifactError):
                continue

    def pruning() -> None:
        for _ in range(4):
            prune(made, MODEL)

    def watching() -> None:
        for _ in range(200):
            live = made.deployment(MODEL)
            gone.extend({live.champion([])} - set(store.versions(MODEL)) if live == made.deployment(MODEL) else ())

    threads = [threading.Thread(target=work) for work in (promoting, pruning, watching, pruning, promoting)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gone == []
    found = made.deployment(MODEL)
    assert set(found.aliases.values()) <= set(store.versions(MODEL))
    assert set(found.champions[-2:]) <= set(store.versions(MODEL))
    assert set(range(1, 13)) - set(store.versions(MODEL)) == found.pruned


@pytest.mark.parametrize("moment", ["before the manifest", "before a file"])
def test_a_reader_of_a_version_that_is_just_deleted_is_told(made: Deployer, moment: str) -> None:
    artifact = made.store.artifact(MODEL, 5)
    if moment == "before a file":
        assert artifact.manifest.model == MODEL
    prune(made, MODEL)
    with pytest.raises(ArtifactError, match=r"(The artifact has no manifest|model\.joblib is missing)\.$"):
        artifact.verify()


def test_a_reader_that_has_a_file_open_reads_it_to_its_end(made: Deployer) -> None:
    descriptor = os.open(made.store.artifact(MODEL, 5).folder / "model.joblib", os.O_RDONLY)
    prune(made, MODEL)
    with os.fdopen(descriptor, "rb") as file:
        assert file.read() == b"\x80 no pickle"
