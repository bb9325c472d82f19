"""The README against the code: its settings, its commands, its map of the house."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import lectern
from pipeline.settings import TrainSettings
from serving.settings import ServeSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_what_the_settings_are() -> None:
    rows = re.findall(r"^\| `(LECTERN_\w+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    expected = {}
    for settings in (ServeSettings, TrainSettings):
        for field, info in settings.model_fields.items():
            if field not in ("stage", "notebook", "shared_folder", "log"):  # between processes of ours, nobody's to set
                default = "" if info.default_factory or info.default is None else f"`{info.default}`"
                expected[settings.variable(field)] = (default, info.description)
    assert {name: (default, description) for name, default, description in rows} == expected


def test_every_make_task_and_verb_it_names_exists() -> None:
    tasks = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    assert tasks
    assert tasks <= set(re.findall(r"make ([a-z-]+)", listed))
    verbs = set(re.findall(r"`lectern ([a-z]+)", README))
    assert verbs
    assert verbs <= set(lectern.VERBS)


def test_every_file_and_folder_it_names_exists() -> None:
    links = set(re.findall(r"\]\(([^)#:]+)\)", README))
    drawn = set(re.findall(r"^([\w./-]+)  +\S", README.split("```text")[1].split("```")[0], re.MULTILINE))
    assert links
    assert drawn
    assert not [name for name in links | drawn if not (ROOT / name).exists()]
