"""contract.memory: how often the system ended a process for want of memory is found where it is told."""

from pathlib import Path

import pytest

from contract import child, memory
from contract.child import Child
from contract.errors import ModelCrashed
from contract.limits import Limits
from contract.store import Store
from tests.live import DIES, Times, publish


def test_the_container_is_asked_before_the_machine(tmp_path: Path) -> None:
    container, machine = tmp_path / "memory.events", tmp_path / "vmstat"
    places = (container, machine)
    assert memory.kills(places) == 0
    machine.write_text("nr_free_pages 7\noom_kill 3\n")
    assert memory.kills(places) == 3
    container.write_text("low 0\noom_kill 1\noom_group_kill 0\n")
    assert memory.kills(places) == 1
    container.write_text("oom_kill many\n")
    assert memory.kills(places) == 3


def test_this_machine_tells() -> None:
    assert memory.kills() >= 0


def test_a_process_that_dies_while_the_count_grows_died_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    number = publish(store, "triple", Times(3.0))
    artifact = store.artifact("triple", number)
    for grown, reason, told in (0, "crash", r"^The process of the model died"), (1, "memory", r": memory ran out\.$"):
        one = Child(artifact, "joblib", Limits(60, 60), warm=True)
        monkeypatch.setattr(child, "kills", lambda grown=grown: memory.kills() + grown)
        with pytest.raises(ModelCrashed, match=told) as died:
            one.answer({"x": [DIES]})
        assert died.value.reason == reason
        monkeypatch.undo()
