"""serving.access.door where nothing is counted, or nobody says who they are; what else there is without a service."""

from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from contract.errors import ModelNotFound, StoreError
from serving.access import key_file
from serving.access.caller import CALLER, Caller, granted
from serving.access.credentials import credential_of, header_of
from serving.access.door import Door
from serving.access.rules import asked
from serving.access.schemes import secure
from serving.access.sight import may_predict, visible, without_others
from serving.limiting.charging import RATES, charge, charge_blocking
from serving.limiting.rates import Rates
from serving.problems import Problem
from serving.settings import ServeSettings
from serving.snapshot import ModelState, Snapshot
from tests.live import until
from tests.locked import bearer

CLIENT = ("192.0.2.7", 50_000)


def scope(path: str = "/predict", method: str = "POST", **headers: str) -> dict[str, Any]:
    """Of a request to a service whose default model is iris."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": pairs, "client": CLIENT}


def entering(door: Door, **headers: str) -> dict[str, Any]:
    """The scope of a prediction that was let in."""
    found = scope(**headers)
    caller = asyncio.run(door.enter(found, "predict", "iris"))
    assert found[CALLER] is caller
    return found


@pytest.fixture
def key(tmp_path: Path) -> str:
    return key_file.add(tmp_path / "keys.json", "ada", ["predict"], ["iris"])[1]


@pytest.fixture
def keyed(key: str, tmp_path: Path) -> Door:
    """A door for keys, behind which nothing is counted but wrong ones."""
    door = Door.of(ServeSettings(keys=tmp_path / "keys.json"))
    assert door is not None
    return door


@pytest.fixture
def counted() -> Door:
    """A door for anybody, behind which each address has three requests."""
    door = Door.of(ServeSettings(limit_per_address="3/day"))
    assert door is not None
    return door


def test_who_has_a_key_is_let_in_and_nothing_is_counted(keyed: Door, key: str) -> None:
    found = entering(keyed, **bearer(key))
    assert found[CALLER] == Caller("ada", CLIENT[0], {"iris": frozenset({"predict"})})
    assert not found[CALLER].personal
    assert RATES not in found
    found = scope(**bearer(key))
    assert asyncio.run(keyed.admit(found, asked(found, "iris"))) is found[CALLER]
    assert RATES not in found


def test_a_door_that_counts_nothing_has_nothing_to_let_go_of() -> None:
    door = Door()
    assert entering(door)[CALLER].may("admin")
    asyncio.run(door.stop())


def test_who_has_no_key_is_not(keyed: Door) -> None:
    for how in (keyed.enter(scope(), "predict", "iris"), keyed.admit(scope(), asked(scope(), "iris"))):
        with pytest.raises(Problem, match="Send a key as") as raised:
            asyncio.run(how)
        assert raised.value.status == 401


def test_who_may_not_is_told_what_is_missing(keyed: Door, key: str) -> None:
    for path, method, told in (("/models/wine/predict", "POST", "predict this"), ("/models/iris", "GET", "read this")):
        found = scope(path, method, **bearer(key))
        with pytest.raises(Problem, match=f"does not give the right to {told} model;") as raised:
            asyncio.run(keyed.admit(found, asked(found, "iris")))
        assert raised.value.status == 403


def test_what_is_not_there_is_told_to_whoever_is_known(keyed: Door, key: str) -> None:
    found = scope("/nowhere", "GET", **bearer(key))
    assert asked(found, "iris").right == "read"
    assert asyncio.run(keyed.admit(found, asked(found, "iris"))).name == "ada"


def test_where_nobody_has_to_say_who_they_are_the_address_is_counted(counted: Door) -> None:
    assert not counted.locked
    found = [entering(counted) for _ in range(3)]
    assert {one[CALLER].name for one in found} == {""}
    assert found[0][CALLER].may("admin")
    assert isinstance(found[0][RATES], Rates)
    with pytest.raises(Problem, match="3 requests") as raised:
        entering(counted)
    assert raised.value.status == 429


def test_so_is_a_request_of_any_kind(counted: Door) -> None:
    for number in range(4):
        found = scope("/models", "GET")
        admitted = counted.admit(found, asked(found, "iris"))
        if number < 3:
            assert asyncio.run(admitted) is found[CALLER]
        else:
            with pytest.raises(Problem, match="3 requests"):
                asyncio.run(admitted)


def test_a_caller_is_counted_for_predictions_and_for_nothing_else() -> None:
    door = Door.of(ServeSettings(limit_per_caller="1/day"))
    assert door is not None

    def admitted(path: str, method: str) -> bool:
        found = scope(path, method)
        try:
            return asyncio.run(door.admit(found, asked(found, "iris"))) is found[CALLER]
        except Problem:
            return False

    assert all(admitted("/models", "GET") for _ in range(3))
    assert [admitted("/predict", "POST") for _ in range(2)] == [True, False]
    assert not admitted("/models/iris/predict", "POST")
    assert admitted("/models", "GET")


def test_keys_that_are_none_are_counted_and_callers_without_one_are_not(key: str, tmp_path: Path) -> None:
    door = Door.of(ServeSettings(keys=tmp_path / "keys.json", limit_failed_keys="2/day"))
    assert door is not None

    def status(**headers: str) -> int:
        with pytest.raises(Problem) as raised:
            asyncio.run(door.enter(scope(**headers), "predict", "iris"))
        return raised.value.status

    assert [status(accept="*/*") for _ in range(4)] == [401] * 4
    assert [status(**bearer("x")) for _ in range(4)] == [401, 401, 429, 429]
    assert entering(door, **bearer(key))[CALLER].name == "ada"


def test_who_may_pass_at_once_does_and_leaves_no_trace_otherwise(keyed: Door, key: str) -> None:
    found = scope(**bearer(key))
    assert keyed.passes(found, "iris")
    assert found[CALLER].name == "ada"
    for headers, model in (({}, "iris"), (bearer("x"), "iris"), (bearer(key), "wine")):
        found = before = scope(**headers)
        assert not keyed.passes(found, model)
        assert found == before == scope(**headers)


def test_who_passes_at_once_is_counted_and_one_too_many_is_not(counted: Door) -> None:
    for _ in range(3):
        found = scope()
        assert counted.passes(found, "iris")
        assert isinstance(found[RATES], Rates)
    found = scope()
    assert not counted.passes(found, "iris")
    assert found == scope()


def test_where_redis_has_to_be_asked_nobody_passes_at_once(tmp_path: Path) -> None:
    door = Door.of(ServeSettings(limit_per_address="3/day", limits_store=f"unix://{tmp_path}/nowhere"))
    assert door is not None
    assert not door.passes(scope(), "iris")


def test_only_a_door_with_files_has_somebody_to_look_at_them(keyed: Door, counted: Door) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "lectern-keys"]

    before = len(threads())
    counted.start()
    assert len(threads()) == before
    keyed.start()
    assert len(threads()) == before + 1
    asyncio.run(keyed.stop())
    asyncio.run(counted.stop())
    until(lambda: len(threads()) == before)


def test_a_truth_is_taken_from_whoever_may_ask(keyed: Door) -> None:
    assert may_predict(None, "iris")
    assert may_predict(Caller("ada", "", granted({"iris": ("predict",)})), "iris")
    assert not may_predict(Caller("ada", "", granted({"iris": ("read",), "wine": ("admin",)})), "iris")


def test_who_may_read_one_model_sees_no_other() -> None:
    pinned: Any = {("iris", 1): "one", ("wine", 2): "other"}
    everything = Snapshot({"iris": ModelState(), "wine": ModelState()}, pinned)
    error = ModelNotFound("rose", ["iris", "wine"])
    for rights, models, told in (
        (granted({"iris": ("read",)}), ["iris"], ("iris",)),
        (granted({"*": ("predict",), "wine": ("read",)}), ["wine"], ("iris", "wine")),
        (granted({"*": ("read",)}), ["iris", "wine"], ("iris", "wine")),
    ):
        found = {CALLER: Caller("ada", "", rights)}
        assert [*visible(everything, found).models] == models
        assert [name for name, _ in visible(everything, found).pinned] == models
        shorter = without_others(error, found)
        assert isinstance(shorter, ModelNotFound)
        assert (shorter.model, shorter.known) == ("rose", told)
        assert without_others(other := StoreError("x"), found) is other
    assert visible(everything, {}) is everything
    assert without_others(error, {}) is error


def test_a_document_says_of_each_operation_what_it_takes() -> None:
    icon: dict[str, Any] = {"get": {"responses": {}}, "post": {"responses": {"401": "own"}}}
    document = {"components": {}, "paths": {"/favicon.ico": icon, "/predict": {"post": {"responses": {}}}}}
    secure(document)
    assert icon["get"] == {"responses": {}, "security": []}
    assert icon["post"]["responses"].keys() == {"401", "403"}
    assert icon["post"]["responses"]["401"] == "own"
    assert document["paths"]["/predict"]["post"]["responses"].keys() == {"401", "403"}


def test_as_long_a_header_as_may_be_is_looked_at() -> None:
    longest = b"Bearer ".ljust(8_192, b"x")
    assert header_of([(b"authorization", longest)]) is longest
    assert header_of([(b"authorization", longest + b"x")]) is None
    for encoded in (base64.b64encode(b"ada:key"), b" " + base64.b64encode(b":key")):
        assert credential_of(b"Basic " + encoded) == b"key"
        assert credential_of(b"Basic " + encoded[:-4] + b"!" + encoded[-4:]) is None


def test_rows_are_charged_to_nobody_where_nothing_is_counted(key: str, keyed: Door) -> None:
    async def charged() -> None:
        found = scope()
        await charge(found, 1_000_000)
        await charge(found | {CALLER: Caller("ada", "", {})}, 1_000_000)
        charge_blocking(found, asyncio.get_running_loop(), 1_000_000)

    asyncio.run(charged())


def test_rows_are_charged_to_who_brings_them() -> None:
    async def charged() -> tuple[Problem, Problem]:
        rates = Rates.of(ServeSettings(quota_rows="10/day"))
        found = scope() | {RATES: rates, CALLER: Caller("ada", "", {})}
        await charge(found, 0)
        await charge(found, 6)
        with pytest.raises(Problem, match="10 rows") as at_once:
            await charge(found, 5)
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(charge_blocking, found, loop, 4)
        with pytest.raises(Problem, match="10 rows") as in_a_thread:
            await asyncio.to_thread(charge_blocking, found, loop, 1)
        return at_once.value, in_a_thread.value

    assert {problem.status for problem in asyncio.run(charged())} == {429}
