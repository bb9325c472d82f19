"""`lectern promote`: what the gate lets pass, what it refuses, and what goes past it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lectern
from contract import keys
from contract.deploying import Deployer
from contract.store import Store
from tests.gated import KIND, MODEL, ROWS, Zoo


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def models(zoo: Zoo, store: Store) -> Store:
    """A store of a good version, which is the champion, a bad one and another good one that keeps no rows."""
    for number, name in enumerate(["good", "bad", "discreet"], 1):
        zoo.put(name, store, number)
    assert promote(store, "1", "--force", "--reason", "first").exit_code == 0
    return store


def promote(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["promote", MODEL, *arguments, "--store", str(store.root)])


def live(store: Store) -> dict[str, int]:
    return dict(store.promotions(MODEL).read().aliases)


def test_a_worse_version_is_refused_with_the_table(models: Store) -> None:
    refused = promote(models, "2")
    assert (refused.exit_code, live(models)) == (1, {"champion": 1})
    table = [line.split() for line in refused.stdout.splitlines() if line.strip()]
    assert table[0] == ["metric", "version", "1", "version", "2", "difference"]
    assert table[2] == ["accuracy", "*", "1.0000", "0.5167", "-0.4833", "▼", "worse"]
    assert table[-1] == ["*", "decides;", "60", "rows", "of", "version", "2"]
    assert refused.stderr == (
        "lectern: flower version 2 was not promoted: accuracy 0.5167 against 1 of version 1, on 60 rows of version 2; "
        '`lectern promote flower 2 --force --reason "…"` promotes it.\n'
    )
    spoken = promote(models, "2", "--json")
    told = json.loads(spoken.stdout)
    assert (spoken.exit_code, told["model"], told["version"], told["decision"]["verdict"]) == (1, "flower", 2, "kept")
    assert promote(models, "2", "--tolerance", "0.5").exit_code == 0
    assert live(models) == {"champion": 2}


def test_force_goes_past_the_gate_and_needs_a_reason(models: Store) -> None:
    refused = promote(models, "2", "--force")
    assert (refused.exit_code, live(models)) == (2, {"champion": 1})
    assert "say why with --reason." in refused.stderr
    done = promote(models, "2", "--force", "--reason", "a trial")
    assert (done.exit_code, done.stdout) == (0, "flower version 2 is champion now.\n")
    entry = models.promotions(MODEL).entry(2)
    assert entry is not None
    assert (entry.reason, entry.gate, entry.before) == ("a trial", None, 1)
    better = promote(models, "1", "--reason", "back")
    assert better.stdout.splitlines()[-1] == (
        "flower version 1 is champion now: accuracy 1 against 0.5167 of version 2, on 60 rows of version 1."
    )
    entry = models.promotions(MODEL).entry(3)
    assert entry is not None
    assert entry.gate is not None
    assert (entry.reason, entry.gate["verdict"], entry.gate["rows"]) == ("back", "promoted", 60)
    assert promote(models, "1").stdout == "flower version 1 is champion now.\n"
    assert len(models.promotions(MODEL).history()) == 3


def test_limits_are_held_and_a_first_champion_is_held_to_them_too(models: Store, zoo: Zoo) -> None:
    refused = promote(models, "3", "--limit", "accuracy>=0.9", "--limit", "length: log_loss<=-1")
    assert refused.exit_code == 1
    assert "lectern: flower version 3 was not promoted: length=" in refused.stderr
    done = promote(models, "3", "--limit", "accuracy>=0.9", "--limit", "length: accuracy>=0.9", "--json")
    assert (done.exit_code, live(models)) == (0, {"champion": 3})
    assert [limit["held"] for limit in json.loads(done.stdout)["decision"]["limits"]] == [True] * 5

    fresh = Store(models.root.with_name("fresh"))
    zoo.put("bad", fresh, 1)
    Deployer(fresh, "", lambda _: None).keep(MODEL, 1, reason="the policy was never")
    zoo.put("good", fresh, 2)
    assert live(fresh) == {}
    assert promote(fresh, "1", "--limit", "accuracy>=0.9").exit_code == 1
    assert promote(fresh, "2", "--limit", "accuracy>=0.9").exit_code == 0
    assert live(fresh) == {"champion": 2}


def test_rows_can_be_given_by_hand(models: Store, zoo: Zoo) -> None:
    ROWS.assign(kind=KIND).to_csv("rows.csv", index=False)
    zoo.put("discreet", models, 4)
    assert promote(models, "3", "--force", "--reason", "x").exit_code == 0
    refused = promote(models, "4")
    assert refused.exit_code == 1
    assert "keeps held-out rows with their truth; give some with --data FILE --target COLUMN" in refused.stderr
    done = promote(models, "4", "--data", "rows.csv", "--target", "kind")
    assert done.stdout.splitlines()[-1].endswith("on 160 rows of rows.csv.")
    assert live(models) == {"champion": 4}


def test_where_nothing_is_ever_compared_no_limit_is_passed_over(zoo: Zoo, store: Store) -> None:
    for number in (1, 2):
        zoo.put("blind", store, number)
    refused = promote(store, "1", "--limit", "accuracy>=0.9")
    assert refused.exit_code == 1
    assert "flower version 1 was not promoted, as nothing was compared: nothing was compared with" in refused.stderr
    assert promote(store, "1").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("9",), 1, "lectern: Model 'flower' has no version 9; the store holds 1, 2, 3."),
        (("2", "--alias", "latest"), 1, "lectern: 'latest' cannot be an alias"),
        (("2", "--alias", "beta", "--expect", "1"), 1, "was changed meanwhile: beta points at nothing, not version 1."),
        (("3", "--expect", "2"), 1, "was changed meanwhile: champion is version 1, not version 2."),
        (("2", "--limit", "accuracy"), 2, "is no limit"),
        (("2", "--data", "rows.csv"), 2, "--data and --target go together"),
        (("2", "--alias", "beta", "--limit", "accuracy>=0.9"), 2, "are for a comparison"),
        (("2", "--metric", "f2"), 1, "lectern: No metric 'f2' can be computed of these rows; there is accuracy,"),
    ],
)
def test_what_is_refused_says_why(models: Store, arguments: tuple[str, ...], code: int, message: str) -> None:
    refused = promote(models, *arguments)
    assert (refused.exit_code, live(models)) == (code, {"champion": 1})
    assert message in " ".join(refused.stderr.replace("│", " ").split())


def test_an_unknown_model_is_told(models: Store) -> None:
    refused = CliRunner().invoke(lectern.app, ["promote", "rose", "1", "--store", str(models.root)])
    assert (refused.exit_code, refused.stderr) == (1, "lectern: There is no model 'rose'; the store holds flower.\n")


def test_what_a_server_with_these_settings_would_refuse_is_not_promoted(
    models: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = keys.new(tmp_path / "keys", "mine")
    monkeypatch.setenv("LECTERN_TRUSTED_KEYS", str(pair.public))
    monkeypatch.setenv("LECTERN_REQUIRE_SIGNATURE", "true")
    refused = promote(models, "3", "--force", "--reason", "in a hurry")
    assert (refused.exit_code, live(models)) == (1, {"champion": 1})
    assert refused.stderr.startswith("lectern: The version is not signed, and this server requires it: publish it with")
