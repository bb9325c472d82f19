"""contract.store: which versions there are, and how one more comes to be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract.errors import ManifestInvalid, ModelNotFound, NameRefused, NotRegularFile, PublishFailed, VersionNotFound
from contract.staging import Stage
from contract.store import Store
from tests.samples import FILES, manifest, sealed

ROOT = Path(__file__).parents[1]


def test_versions_are_numbered_from_one(store: Store) -> None:
    assert [store.publish(sealed(store)) for _ in range(3)] == [1, 2, 3]
    assert store.publish(sealed(store, model="wine")) == 1
    assert store.versions("iris") == [1, 2, 3]
    assert store.models() == ["iris", "wine"]
    assert store.artifact("iris").folder == store.root / "iris" / "3"
    assert store.artifact("iris", 2).folder == store.root / "iris" / "2"
    store.artifact("iris", 1).verify()


def test_publishing_leaves_nothing_beside_the_version(store: Store) -> None:
    stage = sealed(store)
    store.publish(stage)
    found = sorted(str(path.relative_to(store.root)) for path in store.root.glob("**/*"))
    assert found == sorted(["iris", "iris/1", "iris/1/manifest.json", *(f"iris/1/{name}" for name in FILES)])


def test_a_published_version_is_as_readable_as_any_file_of_its_owner(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from contract.store import Store
from tests.samples import sealed
for umask in (0o022, 0o027):
    os.umask(umask)
    store = Store(Path(sys.argv[1]) / oct(umask))
    store.publish(sealed(store))
    print(*(oct(path.stat().st_mode & 0o777) for path in (store.root / "iris", *sorted(store.root.glob("iris/**/*")))))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == ["0o755 0o755" + 4 * " 0o644", "0o750 0o750" + 4 * " 0o640"]


def test_a_store_that_is_not_there_is_an_empty_one(store: Store) -> None:
    assert store.models() == []
    assert store.versions("iris") == []
    with pytest.raises(ModelNotFound, match=r"^There is no model 'iris'; the store is empty\.$"):
        store.artifact("iris")
    assert not store.root.exists()


def test_what_is_asked_for_and_not_held_is_answered_with_what_is(store: Store) -> None:
    store.publish(sealed(store))
    with pytest.raises(ModelNotFound, match=r"^There is no model 'wine'; the store holds iris\.$"):
        store.artifact("wine")
    with pytest.raises(VersionNotFound, match=r"^Model 'iris' has no version 7; the store holds 1\.$"):
        store.artifact("iris", 7)


@pytest.mark.parametrize("name", ["..", ".", "", "../store/iris", "iris/1", "iris\0", "i" * 300, "Iris"])
def test_what_cannot_name_a_model_names_none(store: Store, name: str) -> None:
    store.publish(sealed(store))
    assert store.versions(name) == []
    with pytest.raises(ModelNotFound, match="There is no model"):
        store.artifact(name)


def test_a_path_is_not_followed_out_of_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "1").mkdir(parents=True)
    for path in ("../elsewhere", str(tmp_path / "elsewhere")):
        assert store.versions(path) == []


# --- what else lies about


def test_what_is_no_model_is_passed_over(store: Store) -> None:
    store.publish(sealed(store))
    for name in (".cache", ".staging-x", "Iris", "lost+found", "a b", "wine"):
        (store.root / name).mkdir()
    for name in (".cache", "Iris", "lost+found", "a b"):
        (store.root / name / "1").mkdir()
    (store.root / "README.md").write_text("a file")
    (store.root / "file").write_text("a file")
    os.mkdir(os.fsencode(store.root) + b"/\xff")  # noqa: PTH102  # no text names it
    assert store.models() == ["iris"]


def test_what_is_no_version_is_passed_over(store: Store) -> None:
    names = [
        "007",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0",
        "٣",
        "²",
        "1" + "0" * 30,
        ".x",
        ".7",
        "latest",
        "v7",
        "7 ",
        "promotions",
    ]
    store.publish(sealed(store))
    for name in names:
        (store.root / "iris" / name).mkdir()
    os.mkdir(os.fsencode(store.root) + b"/iris/\xff")  # noqa: PTH102  # no text names it
    assert store.versions("iris") == [1]
    assert store.publish(sealed(store)) == 2


def test_a_number_that_somebody_took_is_not_used(store: Store) -> None:
    model = store.root / "iris"
    (model / "7").mkdir(parents=True)
    assert store.publish(sealed(store)) == 8
    (model / "11").write_text("a file")
    assert store.publish(sealed(store)) == 12
    (model / ".withdrawn-20").mkdir()
    assert store.publish(sealed(store)) == 21
    (model / "30").symlink_to(model / "8", target_is_directory=True)
    assert store.publish(sealed(store)) == 31
    assert sorted(path.name for path in model.iterdir()) == [".withdrawn-20", "11", "12", "21", "30", "31", "7", "8"]
    assert list((model / "7").iterdir()) == []
    for version in (8, 12, 21, 31):
        store.artifact("iris", version).verify()


def test_what_only_looks_like_a_version_says_so_when_it_is_read(store: Store) -> None:
    model = store.root / "iris"
    (model / "7").mkdir(parents=True)
    (model / "8").write_text("a file")
    assert store.versions("iris") == [7, 8]
    with pytest.raises(ManifestInvalid, match=r"^The artifact has no manifest\.$"):
        store.artifact("iris", 7).verify()
    with pytest.raises(NotRegularFile, match=r"^8 is not a folder of its own\.$"):
        store.artifact("iris").verify()


def test_ten_thousand_versions_are_listed(store: Store) -> None:
    for number in range(1, 10_001):
        (store.root / "iris" / str(number)).mkdir(parents=True)
    assert store.versions("iris") == list(range(1, 10_001))
    assert store.models() == ["iris"]
    assert store.publish(sealed(store)) == 10_001


# --- publishing


def test_exporters_at_once_get_a_number_each(store: Store) -> None:
    script = """
import json, sys
from pathlib import Path
from contract.store import Store
from tests.samples import sealed
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([store.publish(sealed(store, metrics={"exporter": float(sys.argv[2])})) for _ in range(25)]))
"""
    exporters = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(store.root), str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for exporter in exporters:
        assert exporter.stdout is not None
        assert exporter.stdout.readline() == "ready\n"
    for exporter in exporters:  # only now do all of them begin
        assert exporter.stdin is not None
        exporter.stdin.write("\n")
        exporter.stdin.flush()
    given = [json.loads(exporter.communicate()[0]) for exporter in exporters]
    assert [exporter.returncode for exporter in exporters] == [0] * 8
    assert sorted(number for numbers in given for number in numbers) == list(range(1, 201))
    assert store.versions("iris") == list(range(1, 201))
    for number in range(1, 201):
        artifact = store.artifact("iris", number)
        artifact.verify()
        assert number in given[int(artifact.manifest.metrics["exporter"])]
    assert [path.name for path in store.root.iterdir()] == ["iris"]
    assert len(list((store.root / "iris").iterdir())) == 200


def test_a_stage_that_is_not_sealed_is_not_published(store: Store) -> None:
    stage = store.stage()
    stage.path("model.onnx").write_bytes(b"half")
    with pytest.raises(ManifestInvalid, match=r"^The artifact has no manifest\.$"):
        store.publish(stage)
    assert store.models() == []
    assert stage.path("model.onnx").exists()


def test_a_model_that_may_not_be_called_so_is_not_published(store: Store) -> None:
    with pytest.raises(NameRefused, match=r"'\.\./iris' cannot name a model"):
        store.publish(sealed(store, model="../iris"))
    assert store.models() == []


def test_a_store_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(
            PublishFailed, match=re.escape(f"Cannot write to the store {root}: ") + "(File ex|Not a dir)"
        ):
            Store(root).stage()


def test_a_model_that_cannot_get_a_folder_is_not_published(store: Store) -> None:
    stage = sealed(store)
    (store.root / "iris").write_text("a file")
    with pytest.raises(
        PublishFailed, match=rf"^Could not publish to {store.root}/iris: File exists. Nothing became visib"
    ):
        store.publish(stage)
    assert not stage.folder.exists()
    assert store.models() == []


def test_a_stage_that_is_gone_is_not_published(store: Store) -> None:
    with pytest.raises(ManifestInvalid, match="The artifact has no manifest"):
        store.publish(Stage(store.root / ".staging-gone"))


def test_a_published_stage_may_still_be_discarded(store: Store) -> None:
    stage = sealed(store)
    store.publish(stage)
    stage.discard()
    store.artifact("iris").verify()


# --- where it is


def test_the_nearest_store_is_that_of_the_project(tmp_path: Path) -> None:
    notebooks = tmp_path / "project" / "notebooks" / "training"
    notebooks.mkdir(parents=True)
    assert Store.nearest(notebooks).root == notebooks / "artifacts"
    (tmp_path / "artifacts").write_text("a file")
    (tmp_path / "project" / "artifacts").mkdir()
    assert Store.nearest(notebooks).root == tmp_path / "project" / "artifacts"
    (notebooks / "artifacts").mkdir()
    assert Store.nearest(notebooks).root == notebooks / "artifacts"


def test_a_store_stays_where_it_was_when_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("store"))
    monkeypatch.chdir("/")
    assert store.root == tmp_path / "store"


def test_a_store_is_read_without_any_heavy_library() -> None:
    script = "import sys, contract.store, contract.settings; print(*{name.partition('.')[0] for name in sys.modules})"
    found = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "contract" in found
    assert not found & {"numpy", "pandas", "sklearn", "joblib", "cloudpickle", "onnxruntime", "skl2onnx", "pyarrow"}


def test_a_manifest_is_published_as_it_was_sealed(store: Store) -> None:
    stage = store.stage()
    written = stage.seal(manifest(description="été"))
    store.publish(stage)
    assert store.artifact("iris").manifest == written
