"""Planning: what a run will be, all of it checked before a kernel starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import ParametersRefused
from contract.store import Store
from pipeline.running import parameters, recognition
from pipeline.running.masking import Mask
from pipeline.running.notebooks import read_notebook
from pipeline.running.recognition import Surroundings
from pipeline.running.records import Made

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True, slots=True)
class Plan:
    """A run whose parameters were checked."""

    notebook: Path
    source: NotebookNode
    given: dict[str, Any]
    """The values that the kernel is given in place of the notebook's defaults."""
    values: dict[str, Any]
    """The value of every parameter."""
    digest: str

    @property
    def mask(self) -> Mask:
        """What hides the secrets among the parameters."""
        return Mask(self.values)

    def made_before(self, store: Store) -> Made | None:
        """The version that the same run made, if the store holds it."""
        artifact = recognition.find(store, self.digest)
        return None if artifact is None else (artifact.manifest, int(artifact.folder.name))


class Planner:
    """Plans runs of one notebook, which is read once, as are the files they depend on.

    Raises:
        ParametersRefused: it is no training notebook.
    """

    def __init__(self, notebook: Path) -> None:
        self.notebook = notebook
        self.source = read_notebook(notebook)
        try:
            self.declared = parameters.declared(self.source)
        except ParametersRefused as error:
            raise self._of_this(error) from None
        self._surroundings = Surroundings(notebook, self.source)

    def plan(self, given: Mapping[str, Any]) -> Plan:
        """A run with the parameters `given`.

        Raises:
            ParametersRefused: they are not the notebook's.
        """
        try:
            values = parameters.check(self.declared, given)
        except ParametersRefused as error:
            raise self._of_this(error) from None
        digest = self._surroundings.digest(self.declared, values)
        return Plan(self.notebook, self.source, {name: values[name] for name in given}, values, digest)

    def _of_this(self, error: ParametersRefused) -> ParametersRefused:
        return ParametersRefused(f"{self.notebook.name}: {error}")
