"""contract.trust: what a server asks of signatures, in its settings, while a version is loaded, and as it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract import golden, keys
from contract.answers import Answers
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import (
    ArtifactError,
    ChecksumMismatch,
    KeyUnknown,
    ManifestMismatch,
    SelfTestMismatch,
    SettingsRefused,
    SignatureInvalid,
    UnlistedFile,
    Unsigned,
)
from contract.limits import Limits
from contract.manifest import MANIFEST
from contract.signing import SIGNATURE, Signer
from contract.store import Store
from contract.trust import prover
from serving.loading import Served, load
from serving.settings import ServeSettings
from tests.live import damage, publish_graph, republish, running, until
from tests.signed import replay, sign_again, signer

UNSIGNED = r"^The version is not signed, and this server requires it: publish it with LECTERN_TRAIN_SIGNING_KEY set\.$"


@pytest.fixture
def by(tmp_path: Path) -> Signer:
    return signer(tmp_path / "keys")


@pytest.fixture
def other(tmp_path: Path) -> Signer:
    return signer(tmp_path / "others")


@pytest.fixture
def trusting(by: Signer, tmp_path: Path) -> dict[str, Any]:
    """Settings of a server that knows a key."""
    return {"trusted_keys": tmp_path / "keys" / "signing.pub"}


@pytest.fixture
def requiring(trusting: dict[str, Any]) -> dict[str, Any]:
    """Settings of one that asks for its signature."""
    return trusting | {"require_signature": True}


def graph(store: Store, factor: float, by: Signer | None = None) -> int:
    """Publish a model that multiplies by `factor`, signed or not."""
    return publish_graph(store, "times", factor, signer=by)


def loaded(store: Store, settings: dict[str, Any], number: int = 1) -> Served:
    return load("times", number, store.artifact("times", number), ServeSettings(**settings))


def refused(store: Store, settings: dict[str, Any], error: type[ArtifactError], says: str, number: int = 1) -> None:
    with pytest.raises(error, match=says):
        loaded(store, settings, number)


# --- what is loaded


def test_what_a_trusted_key_signed_is_loaded(store: Store, by: Signer, requiring: dict[str, Any]) -> None:
    graph(store, 2.0, by)
    assert loaded(store, requiring).warnings == ()
    requiring["trusted_keys"] = requiring["trusted_keys"].parent  # a folder of keys does as well
    assert loaded(store, requiring).warnings == ()


def test_what_nobody_signed_is_loaded_where_nothing_else_is_asked(
    store: Store, trusting: dict[str, Any], requiring: dict[str, Any]
) -> None:
    graph(store, 2.0)
    assert loaded(store, {}).warnings == ()
    assert loaded(store, trusting).warnings == ()
    refused(store, requiring, Unsigned, UNSIGNED)


def test_a_key_that_is_not_known_is_as_good_as_none(
    store: Store, other: Signer, trusting: dict[str, Any], requiring: dict[str, Any]
) -> None:
    graph(store, 2.0, other)
    says = f"manifest.sig is by the key '{other.key_id}', which is not trusted here."
    assert loaded(store, {}).warnings == ()
    assert loaded(store, trusting).warnings == (says,)
    refused(store, requiring, KeyUnknown, f"^{says}$")


@pytest.mark.parametrize("required", [False, True])
def test_a_signature_that_is_wrong_is_refused_whether_one_is_asked_for_or_not(
    store: Store, by: Signer, required: bool, requiring: dict[str, Any]
) -> None:
    graph(store, 2.0, by)
    settings = requiring | {"require_signature": required}
    path = store.artifact("times", 1).folder / SIGNATURE
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 2'))
    refused(store, settings, SignatureInvalid, "was not made with the key")
    replay(store, "times", 1, 2)
    refused(store, settings, SignatureInvalid, "was not made with the key", 2)


@pytest.mark.parametrize("required", [False, True])
def test_an_old_version_in_the_place_of_a_new_one_is_refused(
    store: Store, by: Signer, required: bool, requiring: dict[str, Any]
) -> None:
    graph(store, 2.0, by)
    replay(store, "times", 1, 2)
    settings = requiring | {"require_signature": required}
    refused(store, settings, ManifestMismatch, "^manifest.sig is of version 1 of 'times', and this is version 2 of", 2)


def test_what_the_manifest_does_not_name_is_told_of_or_refused(
    store: Store, by: Signer, requiring: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    graph(store, 2.0, by)
    folder = store.artifact("times", 1).folder
    for name in ("a.py", "b\x1b[31m", "c", "d"):
        (folder / name).write_text("")
    says = "In the artifact's folder lies what its manifest does not name{}: 'a.py', 'b\\x1b[31m', 'c' and 1 more."
    assert loaded(store, {}).warnings == (says.format(", and nobody reads"),)
    assert caplog.messages == [f"times version 1: {says.format(', and nobody reads')}"]
    with pytest.raises(UnlistedFile) as raised:
        loaded(store, requiring)
    assert str(raised.value) == says.format("")


def test_keys_are_read_anew_for_each_version(store: Store, by: Signer, requiring: dict[str, Any]) -> None:
    graph(store, 2.0, by)
    path = requiring["trusted_keys"]
    away = path.rename(path.with_name("away"))
    refused(
        store, requiring, SignatureInvalid, r"^No signature can be checked: The key .*signing\.pub cannot be read: No"
    )
    away.rename(path)
    loaded(store, requiring)


def test_a_child_loads_under_the_manifest_that_was_verified_or_not_at_all(store: Store, by: Signer) -> None:
    """Whoever can write to the store could change it between the check and the loading."""
    artifact = store.artifact("times", graph(store, 2.0, by))
    artifact.verify()
    path = artifact.folder / MANIFEST
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ChecksumMismatch, match=r"^The manifest is not the one that was verified: it was changed"):
        Child(artifact, "onnx", Limits(60, 60), warm=True)


def test_a_version_that_is_to_be_live_has_to_be_whole_signed_and_able_to_answer(
    store: Store, by: Signer, requiring: dict[str, Any]
) -> None:
    prove = prover(ServeSettings(**requiring), Limits(60, 60))
    prove(store.artifact("times", graph(store, 2.0, by)))
    with pytest.raises(Unsigned, match=UNSIGNED):
        prove(store.artifact("times", graph(store, 2.0)))
    damaged = store.artifact("times", graph(store, 2.0, by))
    damage(damaged, "golden.json")
    with pytest.raises(ChecksumMismatch, match=r"^golden\.json is not the file that was published"):
        prove(Artifact(damaged.folder))
    wrong = golden.write({"x": [1.0]}, Answers([3.0]))
    republish(store, store.artifact("times", 1), files={golden.GOLDEN: wrong})
    sign_again(store.artifact("times"), by)
    with pytest.raises(SelfTestMismatch, match=r"^The model answers its golden rows otherwise than when it was fitted"):
        prove(store.artifact("times"))


# --- the settings


def test_a_signature_cannot_be_required_without_a_key_to_check_it() -> None:
    says = r"^LECTERN_REQUIRE_SIGNATURE=true does not do: set LECTERN_TRUSTED_KEYS too, the keys to check signatures"
    with pytest.raises(SettingsRefused, match=says):
        ServeSettings.read({"LECTERN_REQUIRE_SIGNATURE": "true"})
    found = ServeSettings.read({"LECTERN_REQUIRE_SIGNATURE": "true", "LECTERN_TRUSTED_KEYS": "keys"})
    assert (found.require_signature, found.trusted_keys) == (True, Path("keys"))


def test_keys_that_cannot_be_used_are_told_of_at_the_start(store: Store, tmp_path: Path) -> None:
    pair = keys.new(tmp_path / "keys", "mine")
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    settings = {"LECTERN_STORE": str(store.root), "LECTERN_PORT": "0", "LECTERN_TRUSTED_KEYS": str(pair.private)}
    command = [sys.executable, "-m", "serving"]
    done = subprocess.run(command, env=own | settings, capture_output=True, text=True, check=False)
    said = f"lectern: {pair.private} is a private key; only public ones belong among the trusted keys.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


# --- a server that runs


def test_the_old_version_answers_until_a_rightly_signed_one_comes(
    store: Store, by: Signer, other: Signer, requiring: dict[str, Any]
) -> None:
    graph(store, 1.0, by)
    with running(store, **requiring) as service:
        graph(store, 2.0)
        graph(store, 3.0, other)
        replay(store, "times", 1, 4)
        graph(store, 5.0, by)
        until(lambda: service.predict({"x": 7.0}).json()["version"] == 5)
        graph(store, 6.0, other)
        replay(store, "times", 5, 7, without=[SIGNATURE])
        expected = {
            2: ("unsigned", UNSIGNED),
            3: ("signature_invalid", f"^manifest.sig is by the key '{other.key_id}', which is not trusted here"),
            4: ("manifest_mismatch", "^manifest.sig is of version 1 of 'times', and this is version 4 of 'times'"),
            6: ("signature_invalid", "^manifest.sig is by the key"),
            7: ("unsigned", UNSIGNED),
        }
        for number in (2, 3, 4):  # they were older than the champion before anybody looked at them, or not
            service.predict({"x": 7.0}, f"/models/times/versions/{number}/predict")
        until(lambda: {found["version"] for found in service.get("/models/times")["failed"]} == set(expected))
        for found in service.get("/models/times")["failed"]:
            code, says = expected[found["version"]]
            assert found["code"] == code
            assert re.search(says, found["reason"])
        answer = service.predict({"x": 7.0}).json()
        assert (answer["version"], answer["prediction"]) == (5, 35.0)
