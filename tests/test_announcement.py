"""serving.announcement: what the terminal says, and that the requests it shows work as they stand."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from contract.answers import Answers
from contract.signature import Field, Signature
from contract.store import Store
from serving.announcement import text
from tests.live import Says, Service, Times, Unpickled, X, damage, once_there, publish, publish_graph, running, until

ADDRESS = "http://127.0.0.1:8000"
READY = {"status": "ready", "detail": "Every model answers.", "models": {"iris": 3}}
IRIS = {"model": "iris", "champion": 3, "metrics": {"accuracy": 0.97368, "f1": 0.9}, "failed": []}


def said(service: Service, begin: str, end: str) -> str:
    """What the announcement shows between two of its lines."""
    printed = service.printed
    return textwrap.dedent(printed[printed.index(begin) + len(begin) : printed.index(end)])


def asked_by_sh(service: Service) -> Any:
    command = said(service, "From a shell:\n", "From Python:")
    done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def asked_by_python(service: Service) -> Any:
    *imports, request = said(service, "From Python:\n", "Ctrl-C").strip().splitlines()
    script = "\n".join(["import json", *imports, f"print(json.dumps({request}))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_it_says_where_what_and_how() -> None:
    paths = {"path": "/models/iris/predict", "signature": "/models/iris/signature"}
    example = paths | {"row": {"a": 1.5, "b": None, "c": True, "d": "x"}}
    reasons = [{"reason": "First."}, {"reason": "It is bad."}]
    failed: dict[str, Any] = {"model": "old", "champion": None, "metrics": {}, "failed": reasons}
    kept = failed | {"model": "new", "failed": []}
    assert text(ADDRESS, Path("/srv/artifacts"), READY, [IRIS, failed, kept], example) == (
        "Lectern answers at http://127.0.0.1:8000  (try it in the browser)\n"
        "from the store /srv/artifacts\n"
        "\n"
        "  iris             version 3  accuracy 0.974\n"
        "  old              not served: It is bad.\n"
        "  new              not served: no version of it was promoted\n"
        "\n"
        "From a shell:\n"
        "  curl -X POST http://127.0.0.1:8000/models/iris/predict -H 'Content-Type: application/json' \\\n"
        '       -d \'{"a": 1.5, "b": null, "c": true, "d": "x"}\'\n'
        "From Python:\n"
        "  import httpx\n"
        "  httpx.post('http://127.0.0.1:8000/models/iris/predict', "
        "json={'a': 1.5, 'b': None, 'c': True, 'd': 'x'}).json()\n"
        "\n"
        "Ctrl-C stops it."
    )


def test_without_a_model_it_says_how_to_make_one() -> None:
    health = {"status": "empty", "detail": "The store is empty. Make one.", "models": {}}
    assert text(ADDRESS, Path("/srv/artifacts"), health, [], None) == (
        "Lectern answers at http://127.0.0.1:8000  (try it in the browser)\n"
        "from the store /srv/artifacts\n"
        "\n"
        "  The store is empty. Make one.\n"
        "\n"
        "Ctrl-C stops it."
    )


def test_its_requests_work_as_they_stand(examples: Service) -> None:
    assert asked_by_python(examples)["prediction"] == "setosa"
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    answer = asked_by_sh(examples)
    assert (answer["prediction"], answer["confidence"], answer["model"]) == ("setosa", 1.0, "iris")


def test_on_a_socket_its_requests_work_as_well(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double")
    path = tmp_path / "a socket"
    with running(store, socket=path, announced=False) as service:
        until(lambda: "Ctrl-C stops it." in service.printed)
        assert service.printed.startswith(f"Lectern answers at unix:{path}\nfrom the store {store.root}\n")
        assert asked_by_python(service)["prediction"] == 2.0
        if shutil.which("curl") is None:
            pytest.skip("there is no curl here")
        assert asked_by_sh(service)["prediction"] == 2.0


STRANGE = "O'Brien \"\\ $HOME `id` \n größe 🌼 %s !! \x1b[31m\x9b\u202e\u200b @x"


def test_its_requests_work_with_whatever_stands_in_the_example(store: Store) -> None:
    signature = Signature(
        container="frame",
        inputs=(
            *X.inputs,
            Field(name=STRANGE, type="string", dtype="str", levels=(STRANGE,), example=STRANGE),
            Field(name="self", type="boolean", dtype="bool", example=True),
            Field(name="", type="category", dtype="category", levels=(1, 2), example=2),
            Field(name="-d @/etc/passwd", type="datetime", dtype="datetime64[ns]", example="2026-02-03T04:05:06"),
        ),
        output=X.output,
    )
    publish(store, "odd", Times(2.0), signature=signature)
    with running(
        store, environment={"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    ) as service:
        assert service.printed.replace("\n", "").isprintable()
        assert "größe 🌼" in service.printed
        answer = asked_by_python(service)
        assert (answer["prediction"], answer["warnings"]) == (2.0, [])
        if shutil.which("curl") is None:
            pytest.skip("there is no curl here")
        assert asked_by_sh(service)["prediction"] == 2.0


def test_a_row_too_long_to_be_shown_is_asked_for_first(store: Store) -> None:
    image: Any = [[place / 7 for place in range(100)] for _ in range(100)]
    signature = Signature(
        container="array",
        inputs=(Field(name="it's an image", type="tensor", dtype="float64", shape=(100, 100), example=image),),
        output=X.output,
    )
    publish(store, "wide", Says(predict=lambda rows: rows[:, 0, 7]), signature=signature)
    with running(store) as service:
        assert len(service.printed) < 2_000
        assert asked_by_python(service)["prediction"] == 1.0
        if shutil.which("curl") is None:
            pytest.skip("there is no curl here")
        assert asked_by_sh(service)["prediction"] == 1.0


def test_it_waits_until_everything_was_tried(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "quick", metrics={"r2": 1.0})
    publish(store, "slow", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))
    damage(store.artifact("broken", publish_graph(store, "broken")), "golden.json")
    with running(store, default_model="slow", host="0.0.0.0", insecure=True, pickle="any", announced=False) as service:
        until(lambda: "broken version 1 is not served" in service.complaints)
        until(lambda: "quick version 1 answers now" in service.complaints)
        assert service.printed == ""
        (tmp_path / "go").touch()
        service.wait()
        listed = service.printed.split("\n\n")[1].splitlines()
        assert listed[0].startswith("  broken           not served: golden.json is not the file that was published")
        assert listed[1:] == ["  quick            version 1  r2 1.000", "  slow             version 1"]
        assert service.url.startswith("http://127.0.0.1:")
        assert "/models/slow/predict" in said(service, "From a shell:\n", "From Python:")
        assert f"\nfrom the store {store.root}\n" in service.printed


def test_on_every_address_of_the_machine_it_names_one_that_can_be_asked(store: Store) -> None:
    publish_graph(store, "double")
    try:
        with running(store, host="::1") as service:
            assert service.url.startswith("http://[::1]:")
            assert asked_by_python(service)["prediction"] == 2.0
    except AssertionError as error:
        if "Cannot listen on ::1" not in str(error):
            raise
        pytest.skip("there is no IPv6 here")
