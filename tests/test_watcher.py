"""What answers follows the promotion log: at the start, while it runs, and where it cannot be followed."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.deploying import Deployer
from contract.errors import AliasNotFound, ArtifactError
from contract.promotions import CHALLENGER, CHAMPION, Promotion
from contract.store import Store
from serving.canary import Split
from serving.registry import Registry
from serving.snapshot import ModelState
from serving.watcher import candidates
from tests.live import Times, damage, model_processes, publish, publish_graph
from tests.test_registry import ask, eventually, looked, started

MODEL = "times"
Scenario = Callable[[Registry], Coroutine[Any, Any, None]]


@pytest.fixture
def deployer(store: Store) -> Deployer:
    """Moves of somebody who tries nothing out; three versions are there."""
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, MODEL, factor)
    return Deployer(store, "somebody", lambda _: None)


def play(store: Store, scenario: Scenario) -> None:
    async def played() -> None:
        async with started(store) as registry:
            await scenario(registry)

    asyncio.run(played())


def answering(registry: Registry) -> dict[str, int]:
    return {alias: served.version for alias, served in registry.snapshot.models[MODEL].answering.items()}


# --- what the log says


def test_what_was_promoted_answers_although_a_newer_version_is_there(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 2)

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 2}
        publish_graph(store, MODEL, 4.0)
        await eventually(lambda: registry.model(MODEL).versions == (1, 2, 3, 4))
        await looked(registry)
        assert answering(registry) == {CHAMPION: 2}
        deployer.promote(MODEL, 4)
        await eventually(lambda: answering(registry) == {CHAMPION: 4})
        assert await ask(registry.alias(MODEL)) == 4.0
        deployer.roll_back(MODEL)
        await eventually(lambda: answering(registry) == {CHAMPION: 2})
        assert await ask(registry.alias(MODEL)) == 2.0

    play(store, scenario)


def test_where_a_log_begins_with_another_version_that_one_answers(store: Store, deployer: Deployer) -> None:
    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 3}
        deployer.promote(MODEL, 1)
        await eventually(lambda: answering(registry) == {CHAMPION: 1})

    play(store, scenario)


def test_the_champion_is_loaded_before_what_has_other_names(
    store: Store, deployer: Deployer, caplog: pytest.LogCaptureFixture
) -> None:
    deployer.promote(MODEL, 2)
    deployer.promote(MODEL, 1, "another")
    with caplog.at_level(logging.INFO, "lectern.registry"):
        play(store, looked)
    assert caplog.messages == ["times version 2 answers now.", "times version 1 answers now as another."]


def test_a_log_without_a_champion_lets_nothing_answer(store: Store) -> None:
    publish_graph(store, MODEL)
    Deployer(store, "somebody", lambda _: None).keep(MODEL, 1, reason="never")

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {}
        with pytest.raises(ArtifactError, match=r"^'times' has no champion; `lectern promote times VERSION` makes one"):
            registry.alias(MODEL)

    play(store, scenario)


def test_an_alias_answers_until_it_is_removed(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, 2, "staging")

    async def scenario(registry: Registry) -> None:
        assert await ask(registry.alias(MODEL, "staging")) == 2.0
        assert registry.snapshot.routes["/models/times@staging/predict"] is registry.alias(MODEL, "staging")
        deployer.promote(MODEL, 3, "staging")
        await eventually(lambda: answering(registry) == {CHAMPION: 1, "staging": 3})
        deployer.remove(MODEL, "staging")
        await eventually(lambda: answering(registry) == {CHAMPION: 1})
        assert "/models/times@staging/predict" not in registry.snapshot.routes
        with pytest.raises(AliasNotFound, match=r"^Model 'times' has no alias 'staging'; it has champion\.$"):
            registry.alias(MODEL, "staging")

    play(store, scenario)


def test_a_version_that_answers_already_is_not_loaded_again(store: Store) -> None:
    for factor in (1.0, 2.0):
        publish(store, MODEL, Times(factor))
    deployer = Deployer(store, "somebody", lambda _: None)
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, 2, CHALLENGER)

    async def scenario(registry: Registry) -> None:
        challenger = registry.alias(MODEL, CHALLENGER)
        first = registry.alias(MODEL)
        deployer.promote(MODEL, 2)
        await eventually(lambda: answering(registry) == {CHAMPION: 2})
        assert registry.alias(MODEL) is challenger
        pinned = await registry.version(MODEL, 1)
        assert pinned is not first
        deployer.roll_back(MODEL)
        await eventually(lambda: answering(registry) == {CHAMPION: 1})
        assert registry.alias(MODEL) is pinned
        assert registry.snapshot.pinned == {}
        await eventually(lambda: len(model_processes(os.getpid())) == 1)  # the other's process has gone

    play(store, scenario)


# --- what cannot be followed


def test_a_version_that_cannot_be_served_leaves_the_old_one(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 1)

    async def scenario(registry: Registry) -> None:
        damage(store.artifact(MODEL, 3), "model.onnx")
        deployer.promote(MODEL, 3)
        await eventually(lambda: registry.model(MODEL).failures)
        assert registry.model(MODEL).failures[3].code == "checksum_mismatch"
        assert answering(registry) == {CHAMPION: 1}
        assert registry.model(MODEL).lags
        deployer.promote(MODEL, 2)
        await eventually(lambda: answering(registry) == {CHAMPION: 2})
        assert not registry.model(MODEL).lags

    play(store, scenario)


def test_a_version_that_took_the_place_of_a_promoted_one_is_not_served(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, 3)
    shutil.rmtree(store.root / MODEL / "3")
    assert publish_graph(store, MODEL, 33.0) == 3

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 1}
        failure = registry.model(MODEL).failures[3]
        assert failure.reason == "Version 3 is not the one that was promoted: its manifest is another."
        deployer.promote(MODEL, 2)
        deployer.promote(MODEL, 3)  # now it is
        await eventually(lambda: answering(registry) == {CHAMPION: 3})
        assert await ask(registry.alias(MODEL)) == 33.0

    play(store, scenario)


def test_at_the_start_the_champion_before_stands_in(store: Store, deployer: Deployer) -> None:
    for version in (2, 1, 3):
        deployer.promote(MODEL, version)
    damage(store.artifact(MODEL, 3), "model.onnx")

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 1}
        assert registry.model(MODEL).lags

    play(store, scenario)


@pytest.mark.parametrize("content", [b"", b'{"kind": "promote"', b"[]"])
def test_a_damaged_entry_changes_nothing(
    store: Store, deployer: Deployer, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    deployer.promote(MODEL, 2)

    async def scenario(registry: Registry) -> None:
        (store.root / MODEL / "promotions" / "00000002.json").write_bytes(content)
        with caplog.at_level(logging.WARNING):
            await eventually(lambda: registry.model(MODEL).lags)
        assert "Promotion 2 of 'times' cannot be read; what is live stays live." in caplog.text
        assert answering(registry) == {CHAMPION: 2}
        deployer.promote(MODEL, 3)
        await eventually(lambda: answering(registry) == {CHAMPION: 3})

    play(store, scenario)
    play(store, looked)  # and at the next start
    assert store.promotions(MODEL).read().champion([]) == 3


def test_what_vanishes_from_the_store_goes_on_answering(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 2)
    deployer.promote(MODEL, 1, CHALLENGER)
    deployer.traffic(MODEL, share=50)

    async def scenario(registry: Registry) -> None:
        shutil.rmtree(store.root / MODEL / "promotions")
        await looked(registry)
        assert answering(registry) == {CHAMPION: 2, CHALLENGER: 1}
        store.root.rename(store.root.with_name("elsewhere"))
        await looked(registry)
        assert answering(registry) == {CHAMPION: 2, CHALLENGER: 1}
        assert isinstance(registry.snapshot.routes["/models/times/predict"], Split)

    play(store, scenario)


def test_a_log_that_is_being_removed_is_not_believed_halfway(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 2)
    deployer.promote(MODEL, 1, CHALLENGER)
    deployer.traffic(MODEL, share=50)
    log = store.root / MODEL / "promotions"

    async def scenario(registry: Registry) -> None:
        registry._watcher.stop()  # from here on it looks when told
        for number in (1, 3, 2):
            (log / f"0000000{number}.json").unlink()
            registry._watcher._look_at(MODEL)
            assert registry.model(MODEL).deployment.aliases == {CHAMPION: 2, CHALLENGER: 1}

    play(store, scenario)


def test_a_log_that_stays_shorter_is_another_one(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 2)
    deployer.promote(MODEL, 3)

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 3}
        (store.root / MODEL / "promotions" / "00000002.json").unlink()
        await eventually(lambda: answering(registry) == {CHAMPION: 2})

    play(store, scenario)


def test_an_entry_that_was_restored_is_followed(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 2)
    deployer.promote(MODEL, 3)
    entry = store.root / MODEL / "promotions" / "00000002.json"
    content = entry.read_bytes()
    entry.write_bytes(b"")

    async def scenario(registry: Registry) -> None:
        assert answering(registry) == {CHAMPION: 2}
        assert registry.model(MODEL).lags
        entry.write_bytes(content)
        await eventually(lambda: answering(registry) == {CHAMPION: 3})
        assert not registry.model(MODEL).lags

    play(store, scenario)


def test_a_challenger_that_cannot_be_served_gives_its_share_to_nobody(store: Store, deployer: Deployer) -> None:
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, 2, CHALLENGER)

    async def scenario(registry: Registry) -> None:
        damage(store.artifact(MODEL, 3), "model.onnx")
        deployer.promote(MODEL, 3, CHALLENGER)
        deployer.traffic(MODEL, share=50)
        deployer.traffic(MODEL, shadow=True)
        await eventually(lambda: registry.model(MODEL).failures and registry.model(MODEL).deployment.shadow)
        assert answering(registry) == {CHAMPION: 1, CHALLENGER: 2}
        assert registry.snapshot.routes["/models/times/predict"] is registry.alias(MODEL)
        assert registry.model(MODEL).shadowed is None
        deployer.promote(MODEL, 2, CHALLENGER)
        deployer.traffic(MODEL, share=50)
        await eventually(lambda: isinstance(registry.snapshot.routes["/models/times/predict"], Split))

    play(store, scenario)


def test_a_log_that_cannot_be_read_holds_up_no_other_model(store: Store, deployer: Deployer) -> None:
    publish_graph(store, "another")
    deployer.promote(MODEL, 1)

    async def scenario(registry: Registry) -> None:
        (store.root / "another" / "promotions").symlink_to("promotions")
        await eventually(lambda: registry.snapshot.trouble == "Too many levels of symbolic links")
        deployer.promote(MODEL, 2)
        await eventually(lambda: answering(registry) == {CHAMPION: 2})
        assert registry.alias("another").version == 1

    play(store, scenario)


# --- the rule, without a store


def _state(*promotions: dict[str, Any], versions: tuple[int, ...] = (1, 2, 3)) -> ModelState:
    state = ModelState(versions=versions)
    deployment = state.deployment
    for facts in promotions:
        deployment = deployment.after(Promotion(at=datetime.now(UTC), **facts))
    return ModelState(versions=versions, deployment=deployment)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (_state(), [3, 2, 1]),
        (_state({"kind": "keep", "version": 3}), []),
        (_state({"kind": "promote", "alias": CHAMPION, "version": 2, "before": 3}), [2, 3]),
        (_state({"kind": "promote", "alias": CHAMPION, "version": 2}, versions=(1, 3)), []),
    ],
    ids=["without a log", "no champion", "the champion before last", "a version that is gone"],
)
def test_the_candidates_for_champion(state: ModelState, expected: list[int]) -> None:
    found = candidates(state, CHAMPION) if CHAMPION in state.deployment.aliases or not state.deployment.number else []
    assert found == expected
