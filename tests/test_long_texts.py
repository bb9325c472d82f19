"""What somebody else wrote is read up to a limit, and told in part; a limit is the number that it says."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest

from contract import keys, signing
from contract.artifact import Artifact
from contract.errors import AccessRefused, KeyRefused, KeyUnknown, ManifestInvalid, PromotionRefused, SignatureInvalid
from contract.formats import joblib
from contract.manifest import MANIFEST, MAX_BYTES, parse
from contract.promotion_log import MAX_BYTES as MOST_OF_A_PROMOTION
from contract.signing import SIGNATURE, Statement
from contract.store import Store
from serving.access import key_file
from tests.promoting import promotion
from tests.samples import artifact, manifest, sealed
from tests.signed import signature_of, signer

LONG = "x" * 500


def document(**changes: object) -> bytes:
    """A manifest's, with other entries."""
    return json.dumps(json.loads(manifest().to_bytes()) | changes).encode()


# --- told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"%b": 1, "%b": 2}' % (LONG.encode(), LONG.encode()), f"sound JSON: the key {'x' * 60!r} stands twice."),
        (b'{"a": 1%b.0}' % (b"0" * 400), f"sound JSON: 1{'0' * 19} is no finite number."),
        (document(manifest_format=LONG), f"has format number '{'x' * 19}; this Lectern"),
        (document(**{LONG: 1}), f"is wrong at '{'x' * 100}': "),
    ],
    ids=["a key", "a number", "a format number", "a place"],
)
def test_of_a_manifest_that_is_none_only_so_much_is_told(content: bytes, says: str) -> None:
    with pytest.raises(ManifestInvalid, match=re.escape(says)):
        parse(content)


def test_so_it_is_where_it_is_wider_than_long() -> None:
    wide = "\U000e0001" * 60  # ten characters each where it is shown as Python writes it
    with pytest.raises(ManifestInvalid) as raised:
        parse(f'{{"{wide}": 1, "{wide}": 2}}'.encode())
    assert len(str(raised.value)) == len("The manifest is not sound JSON: .") + 200


def test_of_a_name_that_no_key_can_have_only_so_much_is_told(tmp_path: Path) -> None:
    shown = f"^No key can be called '{'x' * 80}': give up to 64"
    with pytest.raises(KeyRefused, match=shown):
        keys.new(tmp_path, LONG)
    with pytest.raises(AccessRefused, match=shown):
        key_file.add(tmp_path / "keys.json", LONG, ["read"])
    key_file.add(tmp_path / "keys.json", "ada", ["read"])
    with pytest.raises(AccessRefused, match=f" has no key '{'x' * 80}' that is not revoked"):
        key_file.revoke(tmp_path / "keys.json", LONG)


# --- read


def signed(tmp_path: Path) -> tuple[Artifact, Statement]:
    """An artifact that is signed with a key of this folder, and what is said of it."""
    store = Store(tmp_path / "store")
    found = store.artifact("iris", store.publish(sealed(store), signer(tmp_path / "keys")))
    return found, Statement(model="iris", version=1, manifest_sha256=found.manifest_sha256)


def test_of_the_name_of_a_key_that_is_not_known_only_so_much_is_told(tmp_path: Path) -> None:
    found, statement = signed(tmp_path)
    other = signature_of(found).model_copy(update={"key": LONG})
    (found.folder / SIGNATURE).write_text(other.model_dump_json())
    with pytest.raises(KeyUnknown, match=f"^manifest.sig is by the key '{'x' * 40}', which is not trusted here"):
        signing.check(found, statement, keys.read_trusted(tmp_path / "keys"))


def test_a_signature_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    found, statement = signed(tmp_path)
    path, trusted = found.folder / SIGNATURE, keys.read_trusted(tmp_path / "keys")
    content = path.read_bytes().strip()
    path.write_bytes(content.rjust((1 << 14) + 1))
    assert signing.check(found, statement, trusted)
    path.write_bytes(content.rjust((1 << 14) + 2))
    with pytest.raises(SignatureInvalid, match=r"^manifest\.sig is no signature\.$"):
        signing.check(found, statement, trusted)


def test_a_key_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    path = keys.new(tmp_path, "mine").public
    content = path.read_bytes()
    path.write_bytes(content.rjust(1 << 16, b"\n"))
    assert len(keys.read_trusted(path)) == 1
    path.write_bytes(content.rstrip().rjust((1 << 16) + 1, b"\n"))
    with pytest.raises(KeyRefused, match="holds no public key"):
        keys.read_trusted(path)


def test_a_file_of_callers_may_be_as_large_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_file.add(path, "ada", ["read"])
    content = path.read_bytes()
    path.write_bytes(content.ljust(16 << 20))
    path.chmod(0o755)  # readable and more, but nobody else's to write
    assert [key.name for key in key_file.listed(path)] == ["ada"]
    path.write_bytes(content.ljust((16 << 20) + 1))
    with pytest.raises(AccessRefused, match="has more than 16,777,216 bytes, and is not read"):
        key_file.listed(path)


def test_a_manifest_may_be_as_large_as_it_says(tmp_path: Path) -> None:
    found = artifact(tmp_path)
    for size, says in ((MAX_BYTES, "does not end with its SHA-256"), (MAX_BYTES + 1, "has 1,048,577 bytes; 1,048,576")):
        (found.folder / MANIFEST).write_bytes(b" " * size)
        with pytest.raises(ManifestInvalid, match=says):
            Artifact(found.folder).verify()
    whole = document()
    assert parse(whole.ljust(MAX_BYTES)) == manifest()
    with pytest.raises(ManifestInvalid, match="has 1,048,577 bytes; 1,048,576 are allowed"):
        parse(whole.ljust(MAX_BYTES + 1))


def test_a_promotion_may_be_as_large_as_it_says(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(sealed(store))
    log = store.promotions("iris")
    rest = len(promotion(gate={"text": ""}).model_dump_json(indent=1)) + 1
    with pytest.raises(PromotionRefused, match=r"^The promotion has 1,048,577 bytes; 1,048,576 are allowed\.$"):
        log.append(promotion(gate={"text": "x" * (MOST_OF_A_PROMOTION - rest + 1)}), after=log.read())
    log.append(promotion(gate={"text": "x" * (MOST_OF_A_PROMOTION - rest)}), after=log.read())
    assert log.read().number == 1


def test_a_file_comes_in_pieces_of_a_mebibyte(tmp_path: Path) -> None:
    found = artifact(tmp_path, {"model.joblib": bytes(5 << 19)})
    assert [len(piece) for piece in found.pieces("model.joblib")] == [1 << 20, 1 << 20, 1 << 19]


def test_a_model_file_of_a_mebibyte_is_worth_sharing(tmp_path: Path) -> None:
    rest = len(pickle.dumps(bytes(1 << 20))) - (1 << 20)
    for size, many in (((1 << 20) - 1, 0), (1 << 20, 1)):
        joblib.load(pickle.dumps(bytes(size - rest)), manifest(), shared=tmp_path)
        assert len(list(tmp_path.iterdir())) == many
