"""How an exported model shows itself: a table in JupyterLab, lines in a terminal. Stable, small, without script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from contract.manifest import Manifest


@dataclass(frozen=True, repr=False)
class Exported:
    """What `export` made: the model, its version (None until the runner publishes it), and what it replaces."""

    manifest: Manifest
    version: int | None
    store: Path
    before: tuple[int, Manifest] | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics by name."""
        return dict(self.manifest.metrics)

    def __repr__(self) -> str:
        lines = [f"{self._title()}: {self._runtime()}"]
        lines += [
            f"  {name:<18} {now}{f'   (version {self._earlier()}: {was})' if was else ''}"
            for name, now, was in self._rows()
        ]
        return "\n".join([*lines, f"  {self._call()}"])

    def _repr_html_(self) -> str:
        earlier = f"<th>version {self._earlier()}</th>" if self.before else ""
        body = ""
        for name, now, was in self._rows():
            beside = f"<td>{was}</td>" if self.before else ""
            body += f"<tr><th style='text-align:left'>{escape(name)}</th><td>{now}</td>{beside}</tr>"
        head = f"<thead><tr><th></th><th>this</th>{earlier}</tr></thead>"
        table = f"<table>{head}<tbody>{body}</tbody></table>" if body else ""
        return (
            f"<div><p><strong>{escape(self._title())}</strong><br>{escape(self._runtime())}</p>{table}"
            f"<p><code>{escape(self._call())}</code></p></div>"
        )

    def _title(self) -> str:
        state = "staged, a version as soon as the run ends" if self.version is None else f"version {self.version}"
        return f"{self.model} {state}"

    def _runtime(self) -> str:
        runtime = self.manifest.runtime
        return "runs as ONNX" if runtime.format == "onnx" else f"runs as joblib ({runtime.reason})"

    def _call(self) -> str:
        return f"POST /models/{self.model}/predict  with  {', '.join(self.manifest.signature.names)}"

    def _earlier(self) -> int | None:
        return self.before[0] if self.before else None

    def _rows(self) -> list[tuple[str, str, str]]:
        earlier = self.before[1].metrics if self.before else {}
        return [
            (name, f"{value:.4f}", f"{earlier[name]:.4f}" if name in earlier else "")
            for name, value in self.manifest.metrics.items()
        ]
