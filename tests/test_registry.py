"""serving.registry: which version answers, and how one takes the place of another."""

import asyncio
import contextlib
import itertools
import logging
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.answers import Answers
from contract.deploying import Deployer
from contract.errors import ArtifactError, ModelNotFound, VersionNotFound
from contract.store import Store
from serving.loading import Served
from serving.registry import Registry
from serving.settings import ServeSettings
from serving.snapshot import Failure, ModelState
from tests.live import (
    PATIENCE_S,
    Times,
    Unpickled,
    damage,
    model_processes,
    once_there,
    publish,
    publish_graph,
    republish,
    until,
)


@asynccontextmanager
async def started(store: Store, *, complete: bool = True, **settings: Any) -> AsyncIterator[Registry]:
    """A registry that looks at a store; by default one that has seen all that is there."""
    registry = Registry(store, ServeSettings(**{"poll_s": 0.02} | settings))
    registry.start(asyncio.get_running_loop())
    try:
        if complete:
            await eventually(lambda: registry.snapshot.complete)
        yield registry
    finally:
        registry.stop()


async def eventually(condition: Callable[..., object], *arguments: Any) -> None:
    """Wait for something to be true, with the loop at work."""
    await asyncio.to_thread(until, partial(condition, *arguments))


async def looked(registry: Registry) -> None:
    """Wait until the store has been looked at twice more, and nothing is being loaded."""
    await asyncio.sleep(4 * registry.settings.poll_s)
    await eventually(lambda: registry.settled)


async def ask(served: Served, x: float = 1.0) -> Any:
    with served.predictor.in_use():
        answers = await served.predictor.answer({"x": [x]})
    return answers.values[0]


def champions(registry: Registry) -> dict[str, int | None]:
    models = registry.snapshot.models
    return {name: state.champion.version if state.champion else None for name, state in models.items()}


def versions(registry: Registry, name: str) -> tuple[int, ...]:
    models = registry.snapshot.models
    return models[name].versions if name in models else ()


def children() -> set[int]:
    return set(model_processes(os.getpid()))


# --- the newest good version answers


def test_an_empty_store_is_read_and_filled_later(store: Store) -> None:
    async def scenario() -> None:
        async with started(store) as registry:
            assert champions(registry) == {}
            with pytest.raises(ModelNotFound, match=r"^There is no model 'double'; the store is empty\.$"):
                registry.model("double")
            publish_graph(store, "double")
            await eventually(lambda: champions(registry) == {"double": 1})
            assert await ask(registry.alias("double")) == 2.0

    asyncio.run(scenario())


def test_at_the_start_the_newest_good_version_of_each_model_answers(store: Store) -> None:
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, "times", factor)
    publish_graph(store, "other", 5.0)
    damage(store.artifact("times", 3), "model.onnx")

    async def scenario() -> None:
        async with started(store) as registry:
            assert champions(registry) == {"times": 2, "other": 1}
            assert await ask(registry.alias("times")) == 2.0
            failure = registry.snapshot.models["times"].failures[3]
            assert (failure.code, failure.retry_at) == ("checksum_mismatch", None)
            assert failure.reason.startswith("model.onnx is not the file that was published")
            with pytest.raises(ModelNotFound, match=r"^There is no model 'iris'; the store holds other, times\.$"):
                registry.alias("iris")

    asyncio.run(scenario())


def test_versions_that_arrive_out_of_order_never_turn_time_back(store: Store, tmp_path: Path) -> None:
    others = Store(tmp_path / "others")
    for factor in (1.0, 2.0, 3.0, 4.0):
        publish_graph(others, "times", factor)

    def put(number: int) -> None:
        whole = store.root / ".arriving"
        shutil.copytree(others.root / "times" / str(number), whole)
        (store.root / "times").mkdir(exist_ok=True)
        whole.rename(store.root / "times" / str(number))

    store.root.mkdir()

    async def scenario() -> None:
        seen = []
        async with started(store) as registry:
            for number in (2, 1, 4, 3):
                put(number)
                await eventually(lambda number: number in versions(registry, "times"), number)
                await looked(registry)
                await eventually(lambda: champions(registry)["times"])
                seen.append(champions(registry)["times"])
        assert seen == [2, 2, 4, 4]

    asyncio.run(scenario())


def test_a_store_that_vanishes_takes_nothing_with_it(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double")

    async def scenario() -> None:
        async with started(store) as registry:
            away = store.root.rename(tmp_path / "away")
            await looked(registry)
            assert champions(registry) == {"double": 1}
            assert await ask(registry.alias("double")) == 2.0
            away.rename(store.root)
            publish_graph(store, "double", 3.0)
            await eventually(lambda: champions(registry) == {"double": 2})

    asyncio.run(scenario())


def test_a_newer_version_that_comes_while_a_broken_one_is_tried_is_next(store: Store, tmp_path: Path) -> None:
    go = tmp_path / "go"
    publish_graph(store, "double", 1.0)
    publish(store, "double", Unpickled(once_there, go, Times(7.0)), answers=Answers([2.0, 2.0]))

    async def scenario() -> None:
        async with started(store, complete=False) as registry:
            await eventually(lambda: "double" in registry.snapshot.models)
            publish_graph(store, "double", 3.0)
            await eventually(lambda: 3 in registry.snapshot.models["double"].versions)
            go.touch()
            await eventually(lambda: registry.snapshot.models["double"].champion)
            assert champions(registry) == {"double": 3}

    asyncio.run(scenario())


# --- what cannot be served


def test_a_model_without_a_good_version_says_why(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    damage(store.artifact("double", publish_graph(store, "double")), "model.onnx")
    publish(store, "strange", Times(2.0), answers=Answers([9.0, 9.0]))

    async def scenario() -> None:
        async with started(store) as registry:
            assert champions(registry) == {"double": None, "strange": None}
            message = r"^Version 1 of 'double' cannot be served: model\.onnx is not the file that was published"
            for _ in range(2):
                with pytest.raises(ArtifactError, match=message):
                    registry.alias("double")
                with pytest.raises(ArtifactError, match=message):
                    await registry.version("double", 1)
            with pytest.raises(ArtifactError, match=r"^Version 1 of 'strange' cannot be served: The model answers"):
                registry.alias("strange")

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    told = sorted(record.getMessage() for record in caplog.records)
    assert [re.sub(":.*", "", line) for line in told] == [
        "double version 1 is not served",
        "strange version 1 is not served",
    ]
    assert not any(record.exc_info for record in caplog.records)


def test_a_model_that_is_being_loaded_says_so(store: Store) -> None:
    publish(store, "slow", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))

    async def scenario() -> None:
        async with started(store, complete=False, load_timeout_s=2) as registry:
            await eventually(lambda: "slow" in registry.snapshot.models)
            with pytest.raises(ArtifactError, match=r"^'slow' is being loaded; ask again in a moment\.$"):
                registry.alias("slow")
            assert not registry.snapshot.complete
            await eventually(lambda: registry.snapshot.complete)
            with pytest.raises(ArtifactError, match=r"cannot be served: The model was not loaded within 2 s\.$"):
                registry.alias("slow")

    asyncio.run(scenario())


def test_what_nobody_foresaw_is_logged_whole_and_stays_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    artifact = store.artifact("double", publish_graph(store, "double"))
    [field] = artifact.manifest.signature.inputs
    nothing = artifact.manifest.signature.model_copy(
        update={"inputs": (field.model_copy(update={"type": "date", "observed": ("long ago", "today")}),)}
    )
    republish(store, artifact, signature=nothing)

    async def scenario() -> None:
        async with started(store) as registry:
            assert champions(registry) == {"double": 1}
            assert registry.snapshot.models["double"].failures[2] == Failure(
                "internal_error", "Loading it failed in an unforeseen way; the log says how."
            )

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    [record] = caplog.records
    assert record.exc_info


def test_a_version_that_cannot_be_read_now_is_tried_again(store: Store, tmp_path: Path) -> None:
    publish_graph(Store(tmp_path / "other"), "double")
    store.root.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        async with started(store) as registry:
            await asyncio.to_thread(int)  # the loop has its thread
            lowest = lowest_free_descriptor()
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
            (tmp_path / "other" / "double").rename(store.root / "double")
            try:
                for limit in itertools.count(lowest):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limits[1]))
                    await asyncio.sleep(0.5)
                    if not registry.snapshot.trouble:  # it can open a file to list the store, and no second one to load
                        break
                await eventually(lambda: registry.snapshot.models["double"].failures)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            failure = registry.snapshot.models["double"].failures[1]
            assert (failure.code, failure.reason) == ("unreadable", "Too many open files.")
            await eventually(lambda: champions(registry) == {"double": 1})
            assert registry.snapshot.models["double"].failures == {}

    asyncio.run(scenario())


def lowest_free_descriptor() -> int:
    with Path("/dev/null").open() as file:
        return file.fileno()


def test_a_store_that_cannot_be_read_is_told_once_and_read_when_it_can(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.root.symlink_to(store.root)

    async def scenario() -> None:
        async with started(store, complete=False) as registry:
            await eventually(lambda: registry.snapshot.trouble)
            await looked(registry)
            assert registry.snapshot.trouble == "Too many levels of symbolic links"
            store.root.unlink()
            publish_graph(store, "double")
            await eventually(lambda: champions(registry) == {"double": 1})
            assert registry.snapshot.trouble == ""

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    [record] = caplog.records
    assert record.getMessage() == (
        f"Cannot look at the store {store.root}: Too many levels of symbolic links; what is loaded goes on answering."
    )


# --- versions asked for by number


def test_a_version_is_loaded_when_it_is_asked_for_and_once_for_all_who_ask(store: Store, tmp_path: Path) -> None:
    publish(store, "times", Times(1.0, tmp_path))
    publish_graph(store, "times", 2.0)

    async def scenario() -> None:
        async with started(store) as registry:
            (tmp_path / "asked").unlink()
            found = await asyncio.gather(*(registry.version("times", 1) for _ in range(20)))
            assert len(set(map(id, found))) == 1
            assert (tmp_path / "asked").read_text() == "[1.0, 1.0]\n[1.0]\n"  # golden rows and the example, once
            assert await ask(found[0], 7.0) == 7.0
            assert await registry.version("times", 2) is registry.alias("times")
            assert await registry.version("times", 1) is found[0]
            for name, number, error, message in (
                ("times", 3, VersionNotFound, r"^Model 'times' has no version 3; the store holds 1, 2\.$"),
                ("iris", 1, ModelNotFound, r"^There is no model 'iris'; the store holds times\.$"),
            ):
                with pytest.raises(error, match=message):
                    await registry.version(name, number)

    asyncio.run(scenario())


def test_who_asks_for_a_broken_version_is_told_why_all_alike(store: Store) -> None:
    damage(store.artifact("times", publish_graph(store, "times")), "model.onnx")
    publish_graph(store, "times", 2.0)

    async def scenario() -> None:
        async with started(store) as registry:
            found = await asyncio.gather(*(registry.version("times", 1) for _ in range(20)), return_exceptions=True)
            assert {type(error) for error in found} == {ArtifactError}
            assert len({str(error) for error in found}) == 1
            assert registry.snapshot.models["times"].failures[1].code == "checksum_mismatch"

    asyncio.run(scenario())


def test_a_version_that_has_vanished_by_the_time_it_is_asked_for_says_so(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "times", 1.0)
    publish_graph(store, "times", 2.0)

    async def scenario() -> None:
        async with started(store, complete=False, poll_s=3600) as registry:
            await eventually(lambda: champions(registry).get("times"))
            (store.root / "times" / "1").rename(tmp_path / "away")
            message = r"^Version 1 of 'times' cannot be served: Model 'times' has no version 1; the store holds 2\.$"
            for _ in range(2):
                with pytest.raises(ArtifactError, match=message):
                    await registry.version("times", 1)
            failure = registry.snapshot.models["times"].failures[1]
            assert failure.code == "vanished"
            assert failure.retry_at is not None
            assert failure.retry_at > time.monotonic()

    asyncio.run(scenario())


def test_who_hangs_up_does_not_take_the_version_from_the_others(store: Store) -> None:
    publish(store, "times", Times(1.0))
    publish_graph(store, "times", 2.0)

    async def scenario() -> None:
        async with started(store) as registry:
            first, second = (asyncio.create_task(registry.version("times", 1)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).version == 1
            assert first.cancelled()

    asyncio.run(scenario())


def test_more_versions_than_may_be_kept_make_the_oldest_go(store: Store) -> None:
    for factor in (1.0, 2.0, 3.0, 4.0, 5.0):
        publish(store, "times", Times(factor))
    before = children()

    async def scenario() -> None:
        async with started(store, pinned_versions=2) as registry:
            old = await registry.version("times", 1)
            with old.predictor.in_use():  # a request that still reads its body
                for number in (2, 3, 4):
                    await registry.version("times", number)
                assert list(registry.snapshot.pinned) == [("times", 3), ("times", 4)]
                assert len(children() - before) == 4
                assert await ask(old) == 1.0
            await eventually(lambda: len(children() - before) == 3)
            assert await ask(await registry.version("times", 1)) == 1.0
            assert list(registry.snapshot.pinned) == [("times", 4), ("times", 1)]

    asyncio.run(scenario())
    until(lambda: children() <= before)


def test_versions_that_push_each_other_out_are_all_answered(store: Store) -> None:
    for factor in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        publish_graph(store, "times", factor)

    async def one(registry: Registry, number: int) -> float:
        return float(await ask(await registry.version("times", number)))

    async def scenario() -> None:
        async with started(store, pinned_versions=1) as registry:
            wanted = [1 + n % 5 for n in range(100)]
            assert await asyncio.gather(*(one(registry, number) for number in wanted)) == wanted
            assert len(registry.snapshot.pinned) == 1

    asyncio.run(scenario())


# --- paths


def routes(registry: Registry) -> dict[str, str]:
    found = sorted(registry.snapshot.routes.items())
    return {path: f"{served.model} {served.version}" for path, served in found if isinstance(served, Served)}


def test_the_only_model_is_the_default_one(store: Store) -> None:
    publish_graph(store, "a")
    publish_graph(store, "a")

    async def scenario() -> None:
        async with started(store) as registry:
            await registry.version("a", 1)
            before = registry.default_model
            assert before == "a"
            assert routes(registry) == {
                "/models/a/predict": "a 2",
                "/models/a/versions/1/predict": "a 1",
                "/models/a/versions/2/predict": "a 2",
                "/models/a@champion/predict": "a 2",
                "/predict": "a 2",
                "/v1/predict": "a 1",
                "/v2/predict": "a 2",
            }
            publish_graph(store, "b")
            await eventually(lambda: "b" in champions(registry) and champions(registry)["b"])
            assert registry.default_model is None
            assert {path for path in routes(registry) if not path.startswith("/models/")} == set()

    asyncio.run(scenario())


def test_the_default_model_is_the_one_that_was_set(store: Store) -> None:
    publish_graph(store, "a")
    publish_graph(store, "b")

    async def scenario() -> None:
        async with started(store, default_model="b") as registry:
            assert routes(registry)["/predict"] == routes(registry)["/v1/predict"] == "b 1"
        async with started(store, default_model="c") as registry:
            assert registry.default_model == "c"
            assert {path for path in routes(registry) if not path.startswith("/models/")} == set()

    asyncio.run(scenario())


# --- new up before old down


def test_no_request_meets_a_version_that_has_gone(store: Store) -> None:
    """Clients that hold a version across a swap, while it is swapped again and again."""
    publish(store, "times", Times(1.0))
    before = children()

    async def client(registry: Registry, done: asyncio.Event) -> list[int]:
        seen = []
        while not done.is_set():
            served = registry.alias("times")
            with served.predictor.in_use():
                await asyncio.sleep(0.05)  # its body arrives slowly
                answers = await served.predictor.answer({"x": [1.0]})
            assert answers.values == [float(served.version)]
            seen.append(served.version)
        return seen

    async def scenario() -> None:
        done = asyncio.Event()
        async with started(store) as registry:
            tasks = [asyncio.create_task(client(registry, done)) for _ in range(8)]
            for factor in (2.0, 3.0, 4.0):
                publish(store, "times", Times(factor))
                await eventually(lambda factor: champions(registry)["times"] == factor, factor)
            done.set()
            for seen in await asyncio.gather(*tasks):
                assert seen == sorted(seen)
            await eventually(lambda: len(children() - before) == 1)

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
    until(lambda: children() <= before)


def test_stopping_does_not_wait_for_a_version_that_hangs_while_it_loads(store: Store) -> None:
    publish(store, "slow", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))

    async def scenario() -> Registry:
        async with started(store, complete=False, load_timeout_s=86_400) as registry:
            await eventually(lambda: "slow" in registry.snapshot.models)
        return registry

    before = children()
    registry = asyncio.run(scenario())
    assert champions(registry) == {"slow": None}
    for process in children() - before:
        os.kill(process, signal.SIGKILL)


def test_a_version_that_is_asked_for_while_it_is_promoted_is_loaded_once(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "times")
    before = children()
    deployer = Deployer(store, "somebody", lambda _: None)
    deployer.promote("times", 1)

    async def scenario() -> None:
        async with started(store) as registry:
            publish(store, "times", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))
            await eventually(lambda: versions(registry, "times") == (1, 2))
            pinned = asyncio.create_task(registry.version("times", 2))
            await eventually(lambda: children() - before)
            deployer.promote("times", 2)
            await eventually(lambda: not registry.settled)
            await asyncio.sleep(0.2)  # a second process would have begun
            assert len(children() - before) == 1
            (tmp_path / "go").touch()
            served = await pinned
            await eventually(lambda: registry.alias("times") is served)
            assert registry.snapshot.loaded == {served}
            assert registry.snapshot.pinned == {}

    asyncio.run(scenario())
    until(lambda: children() <= before)


def test_what_the_system_could_not_do_is_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for factor in (1.0, 2.0):
        publish_graph(store, "times", factor)
    monkeypatch.setattr("serving.snapshot.RETRY_S", 0.1)

    async def scenario() -> None:
        async with started(store) as registry:
            with monkeypatch.context() as patched:
                patched.setattr(sys, "executable", "/no/python")
                with pytest.raises(ArtifactError, match="No process for the model could be started: No such file or "):
                    await registry.version("times", 1)
            assert registry.model("times").failures[1].code == "load_failed"
            await asyncio.sleep(0.1)
            assert (await registry.version("times", 1)).version == 1
            assert registry.model("times").failures == {}

    asyncio.run(scenario())


def test_what_was_put_away_meanwhile_is_loaded_again(store: Store) -> None:
    for factor in (1.0, 2.0):
        publish(store, "times", Times(factor))

    async def scenario() -> None:
        async with started(store, pinned_idle_s=1e-9) as registry:
            for _ in range(3):
                await registry.version("times", 1)
                registry.put_away()
                registry.answer_with("times", 1, "other")
                assert await ask(registry.alias("times", "other")) == 1.0
                registry.answer_no_more("times", "other")

    asyncio.run(scenario())


def test_a_version_that_is_asked_for_by_number_when_it_stops_is_let_go(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "slow")
    before = children()

    async def scenario() -> None:
        async with started(store) as registry:
            publish(store, "slow", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))
            Deployer(store, "somebody", lambda _: None).promote("slow", 1)
            await eventually(lambda: versions(registry, "slow") == (1, 2))
            asked = asyncio.create_task(registry.version("slow", 2))
            await eventually(lambda: children() - before)
        with contextlib.suppress(asyncio.CancelledError):
            asked.cancel()
            await asked
        with pytest.raises(ArtifactError, match=r"^Version 3 of 'slow' is not loaded any more: the service stops\.$"):
            registry.answer_with("slow", 3, "other")

    asyncio.run(scenario())
    (tmp_path / "go").touch()
    until(lambda: children() <= before)


def test_a_version_that_is_loaded_after_the_stop_is_let_go(store: Store, tmp_path: Path) -> None:
    before = children()
    publish(store, "slow", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))

    async def scenario() -> Registry:
        async with started(store, complete=False) as registry:
            await eventually(lambda: children() - before)
        return registry

    registry = asyncio.run(scenario())
    assert children() - before
    (tmp_path / "go").touch()
    until(lambda: children() <= before)
    assert registry.snapshot.models["slow"] == ModelState(versions=(1,))
