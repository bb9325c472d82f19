"""One bit flipped anywhere in an artifact: it is refused, and nothing of the damaged file was parsed before."""

import random
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.errors import ArtifactError, ChecksumMismatch, ManifestInvalid
from contract.manifest import MANIFEST, opened, sealed
from contract.store import Store
from serving.loading import load
from serving.settings import ServeSettings
from tests.live import publish_graph
from tests.samples import artifact, manifest

FLIPS = 1_000


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_thousand_flips_are_refused(tmp_path: Path) -> None:
    folder = artifact(tmp_path).folder
    paths = sorted(folder.iterdir())
    draw = random.Random(0)
    for number in range(FLIPS):
        path = paths[number % len(paths)]
        bit = draw.randrange(8 * path.stat().st_size)
        flip(path, bit)
        with pytest.raises((ChecksumMismatch, ManifestInvalid)) as refused:
            Artifact(folder).verify()
        assert path.name == MANIFEST or isinstance(refused.value, ChecksumMismatch)
        flip(path, bit)
    Artifact(folder).verify()


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "golden.json"])
def test_loading_looks_at_the_bytes_first(store: Store, name: str) -> None:
    publish_graph(store, "times")
    found = store.artifact("times", 1)
    flip(found.folder / name, 8 * 20 + 3)
    with pytest.raises(ArtifactError, match=r"is not the (file|one) that was published"):
        load("times", 1, Artifact(found.folder), ServeSettings())


def test_a_seal_comes_off_whole_or_not_at_all() -> None:
    document = manifest().to_bytes()
    stored = sealed(document)
    assert opened(stored) == document
    for bit in range(0, 8 * len(stored), 7):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ChecksumMismatch, ManifestInvalid)):
            opened(bytes(damaged))
    with pytest.raises(ManifestInvalid, match=r"does not end with its SHA-256: it was cut off, or somebody else wrote"):
        opened(stored[:-1])
    with pytest.raises(ManifestInvalid, match="does not end with its SHA-256"):
        opened(document)
    with pytest.raises(ChecksumMismatch, match=r"is not the one that was published: the SHA-256 at its end is another"):
        opened(stored.replace(b"iris", b"iri5"))
