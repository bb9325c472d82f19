"""The verbs rollback, history, alias, traffic and prune, as `lectern` runs them."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import lectern
from contract.deploying import Deployer
from contract.store import Store
from contract.telling import told
from tests.live import damage, publish_graph
from tests.promoting import deployer, promotion, published

MODEL = "double"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Every verb is about this store."""
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    monkeypatch.setenv("LOGNAME", "grace")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def made(store: Store) -> Deployer:
    """Who has promoted versions 1 and 2 of four."""
    for _ in range(4):
        publish_graph(store, MODEL)
    found = deployer(store)
    found.promote(MODEL, 1, reason="the first")
    gate: dict[str, Any] = {
        "verdict": "promoted",
        "metric": "r2",
        "table": [{"metric": "r2", "champion": 0.91234, "candidate": 0.95}],
    }
    found.promote(MODEL, 2, reason="r2 is not lower", gate=gate)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, list(arguments), prog_name="lectern", terminal_width=200)


def said(*arguments: str) -> str:
    """What a command prints that is done."""
    found = run(*arguments)
    assert (found.exit_code, found.stderr) == (0, ""), found.output
    return found.stdout


def lines(*arguments: str) -> list[list[str]]:
    """What a command prints as a table, without its rule."""
    rows = [line.split() for line in said(*arguments).splitlines() if line.strip()]
    return [row for row in rows if "──" not in row[0]]


def refused(*arguments: str) -> str:
    """What a command says that is refused."""
    found = run(*arguments)
    assert (found.exit_code, found.stdout) == (1, ""), found.output
    assert found.stderr.startswith("lectern: ")
    assert found.stderr.count("\n") == 1
    return found.stderr.removeprefix("lectern: ").rstrip()


# --- rollback


def test_rollback_makes_the_champion_before_champion_again(made: Deployer) -> None:
    assert said("rollback", MODEL, "--reason", "it is\x1b wrong") == "double version 1 is the champion again.\n"
    entry = made.store.promotions(MODEL).entry(3)
    assert entry is not None
    assert (entry.kind, entry.version, entry.before, entry.reason) == ("rollback", 1, 2, "it is wrong")
    assert entry.by.startswith("grace@")


def test_rollback_refuses_what_it_cannot_do(made: Deployer) -> None:
    assert refused("rollback", MODEL, "--expect", "1") == (
        "Model 'double' was changed meanwhile: champion is version 2, not version 1. Look at it, and try again."
    )
    assert refused("rollback", "wine") == "There is no model 'wine'; the store holds double."
    damage(made.store.artifact(MODEL, 1), "model.onnx")
    assert "is not the file that was published" in refused("rollback", MODEL)
    assert made.deployment(MODEL).number == 2


def test_a_version_is_held_to_the_signature_that_this_machine_asks_for(
    made: Deployer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from contract import keys

    monkeypatch.setenv("LECTERN_TRUSTED_KEYS", str(keys.new(tmp_path / "keys", "own").public))
    monkeypatch.setenv("LECTERN_REQUIRE_SIGNATURE", "true")
    assert refused("rollback", MODEL).startswith("The version is not signed, and this server requires it")


def test_ctrl_c_is_no_failure_to_explain(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, told():
        raise KeyboardInterrupt
    assert (stopped.value.code, capsys.readouterr().err) == (130, "lectern: interrupted.\n")


# --- history


def test_history_shows_every_promotion_the_newest_last(made: Deployer) -> None:
    (made.store.promotions(MODEL).folder / "00000003.json").write_text("{")
    made.keep(MODEL, 4, reason="it is worse", gate={"verdict": "kept", "metric": 7, "table": [3]})
    first, second, third, fourth, fifth = lines("history", MODEL)
    assert first == ["number", "when", "who", "what", "why", "gate"]
    assert " ".join(second[3:]) == "ada@lab champion is version 1 instead of 4 the first"
    assert " ".join(third[3:]) == (
        "ada@lab champion is version 2 instead of 1 r2 is not lower promoted: r2 0.95 against 0.9123"
    )
    assert fourth == ["3", "cannot", "be", "read"]
    assert " ".join(fifth[3:]) == "ada@lab version 4 was not promoted over 2 it is worse kept"
    assert [row[0] for row in (second, third, fourth, fifth)] == ["1", "2", "3", "4"]


def test_history_says_once_what_decided(made: Deployer) -> None:
    line: dict[str, Any] = {"metric": "r2", "champion": 0.9, "candidate": 0.8}
    gate: dict[str, Any] = {"verdict": "kept", "reason": "r2 0.8 against 0.9", "metric": "r2", "table": [line]}
    made.keep(MODEL, 4, reason="r2 0.8 against 0.9", gate=gate)
    assert " ".join(lines("history", MODEL)[-1][3:]).endswith(" over 2 r2 0.8 against 0.9 kept")


def test_a_narrow_terminal_loses_no_letter(made: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    made.keep(MODEL, 4, reason="it lacks " + "x" * 70)
    assert said("history", MODEL).count("x") == 70
    made.promote(MODEL, 4, "y" * 32)
    assert said("list").count("y") == 32


def test_history_speaks_json(made: Deployer) -> None:
    (made.store.promotions(MODEL).folder / "00000003.json").write_text("{")
    first, second, third = json.loads(said("history", MODEL, "--json"))
    assert (first["number"], first["kind"], first["version"], first["by"]) == (1, "promote", 1, "ada@lab")
    assert second["gate"]["verdict"] == "promoted"
    assert third == {"number": 3, "damaged": True}


def test_history_of_a_model_without_a_log_says_what_answers(store: Store) -> None:
    publish_graph(store, MODEL)
    assert said("history", MODEL) == "double has no promotions: its newest version, 1, answers.\n"
    assert said("history", MODEL, "--json") == "[]\n"
    assert refused("history", "wine") == "There is no model 'wine'; the store holds double."


# --- alias


def test_alias_names_a_version_lists_the_names_and_takes_one_away(made: Deployer) -> None:
    assert said("alias", MODEL, "beta", "3", "--reason", "to try") == "double version 3 is beta now.\n"
    assert lines("alias", MODEL) == [["alias", "version"], ["champion", "2"], ["beta", "3"]]
    assert json.loads(said("alias", MODEL, "--json")) == {"champion": 2, "beta": 3}
    assert said("alias", MODEL, "beta", "--remove") == "double has no beta any more.\n"
    assert json.loads(said("alias", MODEL, "--json")) == {"champion": 2}
    entry = made.store.promotions(MODEL).entry(3)
    assert entry is not None
    assert entry.reason == "to try"


def test_alias_refuses_what_is_not_there(made: Deployer) -> None:
    assert refused("alias", MODEL, "beta", "9") == "Model 'double' has no version 9; the store holds 1, 2, 3, 4."
    assert refused("alias", MODEL, "beta", "--remove") == "Model 'double' has no alias 'beta'; it has champion."
    assert refused("alias", MODEL, "7", "1").startswith("'7' cannot be an alias: it is 1 to 32 lower-case letters")
    assert refused("alias", MODEL, "champion", "--remove").startswith("'double' would have no champion; promote")


def test_the_champion_of_a_model_without_a_log_is_listed_too(store: Store) -> None:
    publish_graph(store, MODEL)
    assert json.loads(said("alias", MODEL, "--json")) == {"champion": 1}


# --- traffic


def test_traffic_says_how_the_requests_are_shared(made: Deployer) -> None:
    champion = "double: the champion, version 2, answers all requests.\n"
    assert said("traffic", MODEL) == champion + "There is no challenger.\n"
    made.promote(MODEL, 3, "challenger")
    assert said("traffic", MODEL) == champion + "The challenger, version 3, answers none.\n"
    shared = "double: the champion, version 2, answers 87.5 % of the requests.\n"
    assert said("traffic", MODEL, "--challenger", "12.5") == (
        shared + "The challenger, version 3, answers 12.5 % of them.\n"
    )
    assert said("traffic", MODEL, "--shadow", "--reason", "to compare") == (
        shared + "The challenger, version 3, answers 12.5 % of them, and copies of the others, which nobody sees.\n"
    )
    assert json.loads(said("traffic", MODEL, "--json")) == {
        "model": MODEL,
        "champion": 2,
        "challenger": 3,
        "share": 12.5,
        "shadow": True,
    }
    assert said("traffic", MODEL, "--challenger", "0") == (
        champion + "The challenger, version 3, answers copies of them, which nobody sees.\n"
    )
    assert said("traffic", MODEL, "--no-shadow") == champion + "The challenger, version 3, answers none.\n"


def test_traffic_needs_a_challenger(made: Deployer) -> None:
    told = "Model 'double' has no challenger; `lectern alias double challenger VERSION` names one."
    assert refused("traffic", MODEL, "--challenger", "10") == told
    assert refused("traffic", MODEL, "--shadow") == told


# --- prune


def test_prune_says_what_would_go_and_does_nothing(made: Deployer) -> None:
    head, *rows, end = lines("prune", MODEL, "--keep", "1")
    assert head == ["model", "version", "why"]
    assert [" ".join(row) for row in rows] == [
        "double 1 stays rolling back leads to it",
        "double 2 stays it is the champion",
        "double 3 would go",
        "double 4 stays it is the newest",
    ]
    assert " ".join(end) == "Nothing was deleted; --yes deletes 1 version."
    assert made.store.versions(MODEL) == [1, 2, 3, 4]
    assert " ".join(lines("prune", MODEL, "--keep", "4")[-1]) == "Nothing was deleted, and nothing would be."


def test_prune_deletes_when_it_is_told_to(made: Deployer) -> None:
    shown = lines("prune", MODEL, "--keep", "1", "--yes", "--reason", "old")
    assert ["double", "3", "was", "deleted"] in shown
    assert " ".join(shown[-1]) == "1 version deleted."
    assert made.store.versions(MODEL) == [1, 2, 4]
    entry = made.store.promotions(MODEL).entry(3)
    assert entry is not None
    assert (entry.kind, entry.reason, entry.by.partition("@")[0]) == ("prune", "old", "grace")


def test_prune_looks_at_every_model_when_none_is_named(made: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    published(made.store, 3, model="wine")
    shown = json.loads(said("prune", "--keep", "1", "--json"))
    assert [(found["model"], found["going"], found["deleted"]) for found in shown] == [
        ("double", [3], False),
        ("wine", [1], False),
    ]
    assert shown[1]["staying"] == {"2": "rolling back leads to it", "3": "it is the champion"}


def test_prune_goes_on_with_the_next_model_where_one_is_refused(made: Deployer) -> None:
    found = run("prune", "wine", MODEL, "--keep", "1", "--yes")
    assert (found.exit_code, found.stderr) == (1, "lectern: There is no model 'wine'; the store holds double.\n")
    assert "1 version deleted." in found.stdout


@pytest.mark.parametrize(("age", "going"), [("2400h", [1]), ("99d", [1, 2]), ("14w", [1, 2]), ("0d", [1, 2, 3])])
def test_prune_leaves_what_is_young(store: Store, age: str, going: list[int]) -> None:
    for days in (101, 99.5, 1, 0, 0):
        published(store, 1, model="wine", created=datetime.now(UTC) - timedelta(days=days))
    shown = json.loads(said("prune", "wine", "--older-than", age, "--json"))
    assert shown[0]["going"] == going


# --- what goes wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rollback"], "Missing argument 'model'"),
        (["alias", MODEL, "beta"], "give the version it shall point at, or --remove"),
        (["alias", MODEL, "beta", "2", "--remove"], "give the version it shall point at, or --remove"),
        (["alias", MODEL, "--remove"], "say which alias"),
        (["alias", MODEL, "champion", "2"], "`lectern promote double 2` makes a champion"),
        (["alias", MODEL, "beta", "../3"], "Input should be a valid integer"),
        (["traffic", MODEL, "--challenger", "101"], "Input should be less than or equal to 100"),
        (["traffic", MODEL, "--challenger", "nan"], "Input should be less than or equal to 100"),
        (["prune"], "say what stays with --keep, --older-than or both"),
        (["prune", "--keep", "0"], "Input should be greater than or equal to 1"),
        (["prune", "--older-than", "90"], "give hours, days or weeks: 12h, 90d, 8w"),
        (["prune", "--older-than", "-1d"], "give hours, days or weeks: 12h, 90d, 8w"),
        (["prune", "--older-than", "999999999999d"], "give hours, days or weeks: 12h, 90d, 8w"),
    ],
    ids=" ".join,
)
def test_what_is_used_wrongly_is_exit_code_2(made: Deployer, arguments: list[str], message: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert message in found.stderr.replace("\n", " ").replace("│", "").replace("  ", " ")
    assert made.deployment(MODEL).number == 2


def test_what_the_file_system_refuses_is_one_line(store: Store) -> None:
    store.root.mkdir()
    (store.root / MODEL).symlink_to(MODEL)  # leads nowhere, for ever
    told = f"Cannot use the store {store.root}: Too many levels of symbolic links."
    assert refused("rollback", MODEL) == told
    assert refused("history", MODEL) == told


def test_a_log_that_cannot_be_written_to_is_one_line(made: Deployer) -> None:
    shutil.rmtree(made.store.promotions(MODEL).folder)
    made.store.promotions(MODEL).folder.write_text("a file")
    assert refused("rollback", MODEL).endswith("promotions: File exists. Nothing was changed.")


def test_an_entry_by_hand_is_shown_as_far_as_it_makes_sense(made: Deployer) -> None:
    log = made.store.promotions(MODEL)
    for gate in (
        {},
        {"verdict": "\x1b[31m"},
        {"table": 7},
        {"metric": "a", "table": [{"metric": "a", "candidate": "x"}]},
    ):
        log.append(promotion("keep", 3, gate=gate), after=log.read())
    assert len(lines("history", MODEL)) == 7
    assert "\x1b" not in said("history", MODEL)
