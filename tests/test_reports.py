"""Reports: kept beside the model, made of monitoring notebooks by `lectern report`, shown as a stranger's page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lectern
from contract.errors import ParametersRefused, PublishFailed, ReportNotFound
from contract.reports import Reports
from contract.store import Store
from pipeline.reporting import notebooks
from serving.app import create_app
from serving.executed import MOST_BYTES
from serving.settings import ServeSettings
from tests.conftest import WriteNotebook
from tests.live import publish_graph
from tests.test_app import served

PARAMETERS = 'model: str = "iris"  # its name\nsince: str = "7d"  # how far back'
PAGE = {"accept": "text/html"}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reports(store: Store) -> Reports:
    publish_graph(store, "times")
    return Reports(store.root / "times")


def dated(reports: Reports, *names: str) -> None:
    reports.folder.mkdir(exist_ok=True)
    for name in names:
        (reports.folder / name).write_text(name)


def run(store: Store, *arguments: str) -> Result:
    command = ["report", *arguments, "--store", str(store.root)]
    return CliRunner().invoke(lectern.app, command, prog_name="lectern", terminal_width=200)


# --- what is kept


def test_a_report_is_read_as_it_was_kept(reports: Reports) -> None:
    assert reports.all() == []
    kept = reports.add("drift", "<p>ä</p>")
    assert reports.all() == [kept]
    assert (kept.kind, kept.size, kept.name) == ("drift", 9, f"{kept.made:%Y%m%dT%H%M%SZ}-drift.html")
    assert reports.read(kept.name, 100).decode() == "<p>ä</p>"
    assert reports.read(kept.name, 3) == b"<p>"
    assert [path.name for path in reports.folder.iterdir()] == [kept.name]


def test_the_newest_is_the_first_and_what_is_no_report_is_passed_over(reports: Reports) -> None:
    dated(reports, "20260102T000000Z-drift.html", "20270102T000000Z-a.html", "20261302T000000Z-a.html", "notes.html")
    (reports.folder / "20280101T000000Z-link.html").symlink_to("/etc/hostname")
    assert [report.name for report in reports.all()] == ["20270102T000000Z-a.html", "20260102T000000Z-drift.html"]


@pytest.mark.parametrize("name", ["20260102T000000Z-x.html", "../1/manifest.json", "x", "20280101T000000Z-link.html"])
def test_a_name_that_nothing_has_is_told(reports: Reports, name: str) -> None:
    dated(reports)
    (reports.folder / "20280101T000000Z-link.html").symlink_to("/etc/hostname")
    with pytest.raises(ReportNotFound, match=r"Model 'times' has no report '.*'; /models/times/reports lists"):
        reports.read(name, 100)


def test_of_each_kind_the_newest_stay(reports: Reports) -> None:
    dated(reports, *(f"2026010{day}T000000Z-{kind}.html" for day in range(1, 6) for kind in ("drift", "traffic")))
    assert reports.keep(2) == 6
    assert {report.made.day for report in reports.all()} == {4, 5}
    assert len(reports.all()) == 4


def test_a_store_that_takes_nothing_is_told(reports: Reports) -> None:
    reports.folder.write_text("in the way")
    with pytest.raises(PublishFailed, match=r"Could not write to .*/reports: File exists\. No report was kept\."):
        reports.add("drift", "")


# --- the verb


def test_a_notebook_becomes_a_page_beside_the_model(
    store: Store, reports: Reports, write_notebook: WriteNotebook
) -> None:
    code = "import os, shutil\nprint(model, since, os.environ['LECTERN_STORE'], shutil.which('lectern'))"
    notebook = write_notebook(PARAMETERS, code, name="seen")
    done = run(store, "times", "--notebook", str(notebook), "--since", "12h", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    [kept] = reports.all()
    told = json.loads(done.stdout)
    assert (told["kind"], told["file"]) == ("seen", str(reports.folder / kept.name))
    page = reports.read(kept.name, 10**7).decode()
    assert f"times 12h {store.root} {Path(sys.executable).with_name('lectern')}" in page
    assert "<title>times: seen</title>" in page


def test_one_that_fails_is_told_and_the_others_are_made(
    store: Store, reports: Reports, write_notebook: WriteNotebook
) -> None:
    broken = write_notebook(PARAMETERS, "1 / 0", name="broken")
    sound = write_notebook(PARAMETERS, "print(1)", name="sound")
    done = run(store, "times", "--notebook", str(broken), "--notebook", str(sound))
    assert done.exit_code == 1
    assert (
        f"lectern: {broken} failed in code cell 2 of 2: ZeroDivisionError: division by zero\n    1 / 0" in done.stderr
    )
    assert [report.kind for report in reports.all()] == ["sound"]
    assert done.stdout.startswith("sound of times: ")


@pytest.mark.parametrize(
    ("name", "parameters", "arguments", "told"),
    [
        ("seen", PARAMETERS, ["other"], "There is no model 'other'"),
        ("seen", 'model: str = "x"  # its name', ["times"], "since"),
        ("Seen it", PARAMETERS, ["times"], "Seen it.ipynb: a report takes its name, so it has a-z, 0-9"),
        ("seen", PARAMETERS, ["times", "--since", "soon"], "'soon' is no duration"),
        ("seen", PARAMETERS, ["times", "--every", "0d"], "'0d' is no duration"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    store: Store,
    reports: Reports,
    write_notebook: WriteNotebook,
    name: str,
    parameters: str,
    arguments: list[str],
    told: str,
) -> None:
    done = run(store, *arguments, "--notebook", str(write_notebook(parameters, "1 / 0", name=name)))
    assert done.exit_code == 1
    assert told in done.stderr
    assert reports.all() == []


def test_the_projects_notebooks_are_the_usual_ones(tmp_path: Path) -> None:
    with pytest.raises(ParametersRefused, match=r"There is no notebooks/monitoring/\*.ipynb in .* or above; name a"):
        notebooks(tmp_path)
    folder = tmp_path / "notebooks" / "monitoring"
    folder.mkdir(parents=True)
    for name in ("b.ipynb", "a.ipynb", "a.txt"):
        (folder / name).touch()
    (tmp_path / "deep" / "down").mkdir(parents=True)
    assert notebooks(tmp_path / "deep" / "down") == [folder / "a.ipynb", folder / "b.ipynb"]


def test_it_is_done_again_until_somebody_ends_it(store: Store, reports: Reports, write_notebook: WriteNotebook) -> None:
    notebook = write_notebook(PARAMETERS, "print(1)", name="seen")
    options = ["--notebook", str(notebook), "--every", "1s", "--keep", "1", "--store", str(store.root)]
    command = [str(Path(sys.executable).with_name("lectern")), "report", "times", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert [line.partition(": ")[0] for line in said] == ["seen of times"] * 2
    assert process.returncode == 130
    assert err.endswith("lectern: interrupted.\n")
    assert len(reports.all()) <= 2  # the second took the place of the first; a third may just have been made


# --- over HTTP


def test_the_service_lists_and_shows_them(store: Store, reports: Reports) -> None:
    kept = reports.add("drift", "<script>1</script>")
    dated(reports, "20260102T000000Z-drift.html")
    with (reports.folder / "20260103T000000Z-large.html").open("wb") as large:
        large.write(b"<p>begins")
        large.truncate(MOST_BYTES * 2)
    with served(create_app(ServeSettings(store=store.root))) as client:
        listed = client.get("/models/times/reports").json()
        assert [one["kind"] for one in listed] == ["drift", "large", "drift"]
        page = client.get("/models/times/reports", headers=PAGE).text
        assert page.count("<iframe sandbox ") == 2
        assert "2026-01-02" in page
        shown = client.get(f"/models/times/reports/{kept.name}")
        assert shown.text == "<script>1</script>"
        assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        large_one = client.get("/models/times/reports/20260103T000000Z-large.html").content
        assert b"only its beginning is shown" in large_one[:300]
        assert len(large_one) < MOST_BYTES + 300
        for path in ("/models/times/reports/x", "/models/times/reports/..%2f1%2fmanifest.json", "/models/no/reports"):
            assert client.get(path).status_code == 404


def test_a_model_without_reports_says_how_to_make_one(store: Store, reports: Reports) -> None:
    with served(create_app(ServeSettings(store=store.root))) as client:
        assert client.get("/models/times/reports").json() == []
        assert "lectern report times" in client.get("/models/times/reports", headers=PAGE).text
