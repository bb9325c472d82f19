"""serving.access.keys, .key_file, .followed, `lectern keys`: what a key is, where it is kept, and how it ends."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lectern
from contract.errors import AccessRefused, NameRefused
from serving.access import keys
from serving.access.caller import Caller, granted
from serving.access.followed import Followed
from serving.access.key_file import add, keyring, listed, revoke
from serving.access.keys import Keyring, find
from serving.prediction_log.privacy import Policy, Privacy
from tests.locked import written

EVERYTHING = {"*": frozenset({"admin", "read", "predict"})}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.json"


def ring(path: Path) -> Keyring:
    return keyring(path.read_bytes(), path)


def known(path: Path, shown: str) -> str | None:
    found = find(shown.encode(), ring(path), time.time())
    return found.name if found else None


def test_a_key_is_recognised_by_a_file_that_does_not_hold_it(file: Path) -> None:
    key, shown = add(file, "ada", ["predict"])
    assert shown.startswith(f"lk_{key.id}_")
    secret = shown.removeprefix(f"lk_{key.id}_")
    assert len(secret) == 43  # 256 bits
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert file.read_text().startswith('{\n "format": 1,\n "keys": [\n  {')
    assert secret not in file.read_text()
    assert known(file, shown) == "ada"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"]


def test_what_is_not_the_key_is_not_recognised(file: Path) -> None:
    _, shown = add(file, "ada", ["predict"])
    _, other = add(file, "bob", ["predict"])
    swapped = shown[:16] + other[16:]
    last = shown[:-1] + ("A" if shown[-1] != "A" else "E")
    for wrong in ("", "lk_", shown[:-1], shown + "A", last, swapped, "lk_" + "0" * 12 + shown[15:], shown.upper()):
        assert known(file, wrong) is None


def test_it_is_looked_up_by_its_id_and_compared_in_constant_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, shown = add(file, "ada", ["predict"])
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "compare_digest", compare)
    [expected] = ring(file).values()
    for wrong in (shown[:16] + "A" * 43, shown[:-1] + "_", f"lk_{'0' * 12}_{'A' * 43}"):
        assert known(file, wrong) is None
    assert [other for _, other in compared] == [expected.digest, expected.digest, bytes(32)]  # for nobody's as well
    assert {len(one) for one, _ in compared} == {32}  # of the secret only its digest is looked at


def test_a_key_ends_when_it_is_revoked_or_expires(file: Path) -> None:
    key, shown = add(file, "ada", ["predict"], lasts_s=60)
    [found] = ring(file).values()
    assert key.expires is not None
    assert found.until == key.expires.timestamp()
    assert find(shown.encode(), ring(file), time.time() + 59)
    assert find(shown.encode(), ring(file), found.until) is None
    assert find(shown.encode(), ring(file), time.time() + 61) is None
    assert [one.id for one in revoke(file, "ada")] == [key.id]
    assert known(file, shown) is None
    assert [one.state for one in listed(file)] == ["revoked"]
    with pytest.raises(AccessRefused, match=r"has no key 'ada' that is not revoked; `lectern keys list` has them\."):
        revoke(file, "ada")
    add(file, "ada", ["predict"])  # the name is free again


def test_names_are_of_one_valid_key_and_of_few_letters(file: Path) -> None:
    add(file, "ada", ["predict"])
    with pytest.raises(AccessRefused, match=r"has a key 'ada' already: revoke it first, or take another name\."):
        add(file, "ada", ["read"])
    for name in ("", "a b", "-a", "a\n", "x" * 65, "é"):
        with pytest.raises(AccessRefused, match=r"(?s)No key can be called '.*': give up to 64 letters"):
            add(file, name, ["read"])
    with pytest.raises(AccessRefused, match=r"No key can be called 'x{80}': "):
        add(file, "x" * 100, ["read"])
    with pytest.raises(AccessRefused, match=r"has no key 'x{80}' that is not revoked"):
        revoke(file, "x" * 100)
    with pytest.raises(NameRefused, match="cannot name a model"):
        add(file, "bob", ["read"], ["../x"])


def test_rights_include_others(file: Path) -> None:
    add(file, "root", ["admin"])
    add(file, "ada", ["predict"], ["iris", "cardio"])
    root, ada = (Caller(one.name, "", one.rights) for one in ring(file).values())
    assert root.rights == EVERYTHING
    assert ada.may("predict", "iris")
    assert ada.may_somewhere("predict")
    assert not ada.may("predict")
    assert not ada.may("predict", "wine")
    assert not ada.may("read", "iris")
    assert not ada.may_somewhere("read")
    assert granted({"*": ("read",)}) == {"*": {"read"}}


def test_many_who_add_at_once_lose_nothing(file: Path) -> None:
    code = "import sys; from pathlib import Path; from serving.access.key_file import add\n"
    code += "for n in range(10): add(Path(sys.argv[1]), f'{sys.argv[2]}-{n}', ['read'])"
    running = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in ("one", "two")]
    assert [process.wait(60) for process in running] == [0, 0]
    assert len(listed(file)) == 20


def test_of_a_file_of_keys_the_first_thing_that_is_wrong_is_told(file: Path) -> None:
    facts = {"id": "0" * 12, "name": "ada", "sha256": "0" * 64, "rights": {}, "created": "2026-01-01T00:00:00Z"}
    document = {"format": 1, "keys": [facts]}
    assert [*keyring(json.dumps(document).encode(), file)] == [b"0" * 12]
    for change in ({"created": 0}, {"created": 0, "sha256": "0", "more": 1}):
        wrong = json.dumps(document | {"keys": [{**facts, **change}]}).encode()
        with pytest.raises(
            AccessRefused, match=rf"`lectern keys`: keys\.0\.{'created' if len(change) == 1 else 'sha256'} "
        ):
            keyring(wrong, file)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [{"id": 1}]}', b'{"format": 2, "keys": []}', b"\xff"])
def test_another_file_is_none_of_keys_and_stays_as_it_is(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    written(file, content)
    with pytest.raises(AccessRefused, match="is no file of `lectern keys`: "):
        listed(file)
    with pytest.raises(AccessRefused, match="is no file of `lectern keys`: "):
        add(file, "ada", ["read"])
    assert file.read_bytes() == content


def test_a_file_that_others_can_write_to_is_refused(file: Path) -> None:
    add(file, "ada", ["read"])
    for mode in (0o664, 0o602):
        file.chmod(mode)
        with pytest.raises(AccessRefused, match=r"can be written to by others, who could let anybody in: chmod 600\."):
            listed(file)
    file.chmod(0o711)
    assert len(listed(file)) == 1


def test_what_cannot_be_read_or_written_says_so(file: Path) -> None:
    with pytest.raises(AccessRefused, match=r"cannot be read: No such file or directory\."):
        Followed[Keyring](file, keyring, {})
    file.parent.mkdir()
    written(file, b" " * (16 << 20) + b"x")
    with pytest.raises(AccessRefused, match="has more than 16,777,216 bytes, and is not read"):
        listed(file)
    with pytest.raises(AccessRefused, match=r"cannot be written: "):
        add(file / "below", "ada", ["read"])


@pytest.mark.parametrize(
    ("policy", "key", "person"), [("none", None, None), ("hash", "ada", "[0-9a-f]{32}"), ("full", "ada", "ada")]
)
def test_the_log_keeps_the_name_of_a_key_and_of_a_person_what_the_policy_says(
    policy: Policy, key: str | None, person: str | None
) -> None:
    privacy = Privacy(policy, b"k" * 32)
    assert privacy.name(Caller("ada", "10.0.0.1", {})) == key
    kept = privacy.name(Caller("ada", "10.0.0.1", {}, personal=True))
    assert kept is None if person is None else kept and re.fullmatch(person, kept)


# --- followed


def test_a_file_is_read_again_when_it_is_another_one(file: Path) -> None:
    add(file, "ada", ["read"])
    followed: Followed[Keyring] = Followed(file, keyring, {})
    before = followed.value
    followed.look()
    assert followed.value is before
    revoke(file, "ada")
    followed.look()
    assert followed.value == {}


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_what_is_gone_or_damaged_counts_for_a_while_and_then_no_more(
    file: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(file, "ada", ["read"])
    content = file.read_bytes()
    followed: Followed[Keyring] = Followed(file, keyring, {}, grace_s=0.05)
    file.unlink() if how == "gone" else written(file, content[:-9])
    with caplog.at_level(logging.WARNING):
        followed.look()
        assert followed.value
        assert "What it held before counts for 0.05 s, then nothing of it does." in followed.trouble
        time.sleep(0.06)
        for _ in range(3):
            followed.look()
        assert followed.value == {}
        assert followed.trouble.endswith("Nothing of it counts until that is mended.")
        written(file, content)
        followed.look()
    assert len(followed.value) == 1
    assert followed.trouble == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_whatever_is_wrong_with_a_file_it_is_looked_at_again(file: Path) -> None:
    file.parent.mkdir()

    def read(content: bytes, _: Path) -> int:
        return int(content)

    followed = Followed(written(file, b"1"), read, 0)
    written(file, b"one")
    followed.look()
    assert followed.trouble.startswith(f"{file} cannot be read: ValueError. What it held before counts for 300 s")
    written(file, b"22")
    followed.look()
    assert (followed.value, followed.trouble) == (22, "")


# --- the verb


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["keys", *arguments], prog_name="lectern", terminal_width=200)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_verb_prints_the_key_alone_and_keeps_it_in_the_home(tmp_path: Path) -> None:
    made = run("add", "ada", "--scope", "predict", "--scope", "read", "--model", "iris", "--expires", "90d")
    assert (made.exit_code, made.stdout.count("\n")) == (0, 1)
    place = tmp_path / ".config" / "lectern" / "keys.json"
    assert known(place, made.stdout.strip()) == "ada"
    assert "It is ada's, to predict and read iris until 2" in made.stderr
    assert f"Services that use {place} know it within two seconds." in made.stderr
    assert re.search(r"\bada +valid +2[0-9-]{9} +predict and read iris\b", run("list").stdout)
    [row] = json.loads(run("list", "--json").stdout)
    assert (row["name"], row["state"], row["rights"]) == ("ada", "valid", {"iris": ["predict", "read"]})
    assert "sha256" not in row
    revoked = run("revoke", row["id"])
    assert (revoked.exit_code, revoked.stdout) == (0, f"{row['id']} of ada is revoked.\n")


def test_the_file_is_the_option_or_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_KEYS", str(tmp_path / "set.json"))
    told = run("list").stdout
    assert told == f"There is no key in {tmp_path}/set.json; `lectern keys add NAME --scope predict` makes one.\n"
    assert run("add", "ada", "--scope", "admin", "--file", str(tmp_path / "given.json")).exit_code == 0
    assert run("add", "bob", "--scope", "admin").exit_code == 0
    assert [[key.name for key in listed(tmp_path / name)] for name in ("given.json", "set.json")] == [["ada"], ["bob"]]


def test_what_it_refuses_is_one_line_and_exit_code_1_or_2() -> None:
    assert run("add", "ada").exit_code == 2  # what for has to be said
    assert run("add", "ada", "--scope", "everything").exit_code == 2
    done = run("add", "ada", "--scope", "read", "--expires", "soon")
    assert (done.exit_code, done.stderr) == (
        1,
        "lectern: 'soon' is no duration; write a number and its unit, as 90s, 30m, 12h, 7d or 2w.\n",
    )


@pytest.mark.parametrize("verb", ["add", "revoke", "list"])
def test_the_help_has_an_example(verb: str) -> None:
    assert f"Example: lectern keys {verb}" in " ".join(run(verb, "--help").stdout.split())
