"""contract.formats.pickles against pickles that run something: under the policy `known` none of them comes to it."""

import pickle
from contextlib import suppress
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.child import Child
from contract.errors import ArtifactError, ForbiddenType
from contract.formats import joblib
from contract.limits import Limits
from tests.children import until
from tests.hostile import ALIVE, UNLIVED
from tests.samples import artifact

HOSTILE = ALIVE | UNLIVED


def version(folder: Path, content: bytes) -> Artifact:
    return artifact(folder, {joblib.FILE: content})


@pytest.mark.parametrize("name", HOSTILE)
def test_under_known_types_nothing_is_run(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(ForbiddenType, match=r"^The model's file uses .*LECTERN_PICKLE=any serves it\.$") as caught:
        Child(version(tmp_path, HOSTILE[name](marker)), "joblib", Limits(60, 60, pickle="known"), warm=True)
    assert len(str(caught.value)) < 400
    assert not marker.exists()


@pytest.mark.parametrize("name", ALIVE)
def test_each_would_run_if_it_could(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with suppress(ArtifactError):
        Child(version(tmp_path, ALIVE[name](marker)), "joblib", Limits(60, 60), warm=True).close()
    until(marker.exists)


def test_the_reason_names_what_is_forbidden(tmp_path: Path) -> None:
    says = r"^The model's file uses 'posix\.system', which no estimator that this server knows is made of; "
    with pytest.raises(ForbiddenType, match=says):
        Child(version(tmp_path, HOSTILE["posix.system"](tmp_path)), "joblib", Limits(60, 60, pickle="known"), warm=True)


def test_there_are_many_of_them(tmp_path: Path) -> None:
    contents = {make(tmp_path / "marker") for make in HOSTILE.values()}
    assert len(contents) == len(HOSTILE) > 75
    assert all(content.startswith(pickle.PROTO) for content in contents)
