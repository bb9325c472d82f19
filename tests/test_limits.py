"""contract.limits: what a version may cost, and that a file which takes more harms nobody."""

import os
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from contract import limits
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import LecternError, PickleRefused, ResourceLimit, SettingsRefused
from contract.formats import joblib
from contract.limits import LEAST_MEMORY, Limits, usual_memory
from contract.manifest import File, Onnx, Runtime
from serving.settings import ServeSettings
from tests.children import obedient, row, stored
from tests.exploding import ENDLESS, PICKLES
from tests.live import model_processes
from tests.samples import artifact, manifest

GIBIBYTE = 1 << 30


@pytest.mark.parametrize("name", PICKLES)
def test_a_file_that_grows_as_it_is_read_is_given_up(name: str, tmp_path: Path) -> None:
    version = artifact(tmp_path, {joblib.FILE: PICKLES[name]})
    says = r"^The model takes more memory than it may \(LECTERN_MODEL_MEMORY_BYTES\)\.$"
    with pytest.raises(ResourceLimit, match=says):
        Child(version, "joblib", Limits(60, 60, GIBIBYTE // 2, "known"), warm=True)


def test_a_file_that_takes_years_to_read_is_given_up(tmp_path: Path) -> None:
    before = set(model_processes(os.getpid()))
    with pytest.raises(ResourceLimit, match=r"^The model was not loaded within 1 s\.$"):
        Child(artifact(tmp_path, {joblib.FILE: ENDLESS}), "joblib", Limits(1, 60, GIBIBYTE, "known"))
    assert set(model_processes(os.getpid())) <= before


def test_a_model_that_takes_too_much_for_an_answer_goes_on(tmp_path: Path) -> None:
    def takes() -> None:
        bytearray(4 * GIBIBYTE)

    with closing(Child(stored(tmp_path, obedient({7: takes})), "joblib", Limits(60, 60, GIBIBYTE), warm=True)) as child:
        with pytest.raises(LecternError, match=r"^The model raised MemoryError on these rows\.$"):
            child.answer(row(7))
        assert child.answer(row(1)).values == [2.0]


def test_where_no_pickle_is_loaded_a_graph_is() -> None:
    never = Limits(60, 60, pickle="never")
    with pytest.raises(PickleRefused, match=r"^The version is stored as joblib, .* \(LECTERN_PICKLE=never\)\.$"):
        never.admit(manifest())
    never.admit(manifest(runtime=Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0))))


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_child_has_the_limits_and_its_parent_has_not(tmp_path: Path, warm: bool) -> None:
    version = stored(tmp_path, obedient({}))
    with closing(Child(version, "joblib", Limits(60, 60, GIBIBYTE), warm=warm)) as child:
        lines = Path(f"/proc/{child.process_id}/limits").read_text().splitlines()
        found = {line[:25].strip(): line[25:].split()[:2] for line in lines}
        assert found["Max data size"] == [str(GIBIBYTE)] * 2
        assert found["Max core file size"] == ["0", "0"]
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_a_tighter_limit_of_the_system_stays() -> None:
    script = f"""
import resource
from contract.limits import impose
resource.setrlimit(resource.RLIMIT_DATA, ({GIBIBYTE}, {GIBIBYTE}))
impose(None)
impose({4 * GIBIBYTE})
print(resource.getrlimit(resource.RLIMIT_DATA))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == f"({GIBIBYTE}, {GIBIBYTE})\n"


def test_a_file_larger_than_the_memory_is_refused_by_the_manifest(tmp_path: Path) -> None:
    files = {joblib.FILE: File(size=20 * GIBIBYTE, sha256="0" * 64)}
    says = r"^model\.joblib has 21,474,836,480 bytes; a version may take 8,589,934,592 bytes of memory here \(LECTERN_"
    with pytest.raises(ResourceLimit, match=says):
        Limits(1, 1, 8 * GIBIBYTE).admit(manifest(files=files))
    Limits(1, 1, 20 * GIBIBYTE).admit(manifest(files=files))
    Limits(1, 1).admit(manifest(files=files))


# --- what it is when nobody sets it


def test_half_of_the_machine_is_what_a_model_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(limits, "_GROUP", tmp_path / "memory.max")
    assert usual_memory() == machine // 2
    (tmp_path / "memory.max").write_text("max\n")
    assert usual_memory() == machine // 2
    (tmp_path / "memory.max").write_text(f"{2 * GIBIBYTE}\n")
    assert usual_memory() == GIBIBYTE
    (tmp_path / "memory.max").write_text("1000\n")
    assert usual_memory() == LEAST_MEMORY == GIBIBYTE // 4


def test_the_setting_is_a_number_that_can_be_seen() -> None:
    settings = ServeSettings.read({})
    assert settings.limits == Limits(60, 30, usual_memory(), "any")
    table = {name: (value, source) for name, value, source, _ in settings.table({})}
    assert table["LECTERN_MODEL_MEMORY_BYTES"] == (str(usual_memory()), "default")
    assert ServeSettings.read({"LECTERN_MODEL_MEMORY_BYTES": str(GIBIBYTE)}).limits.memory_bytes == GIBIBYTE
    with pytest.raises(SettingsRefused, match=r"^LECTERN_MODEL_MEMORY_BYTES=1000 does not do: "):
        ServeSettings.read({"LECTERN_MODEL_MEMORY_BYTES": "1000"})


def test_no_other_file_is_opened_before_the_size_is_known(tmp_path: Path) -> None:
    from contract.trying import try_out

    version: Artifact = artifact(tmp_path, {joblib.FILE: b"x" * 1000})
    (version.folder / joblib.FILE).unlink()
    with pytest.raises(ResourceLimit, match=r"^model\.joblib has 1,000 bytes; "):
        try_out(version, Limits(1, 1, 999))
