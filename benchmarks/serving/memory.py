"""Memory: what a process and all below it hold, each shared page by its share (PSS)."""

from __future__ import annotations

from pathlib import Path


def descendants(process: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended since the listing
            continue
    found = [process]
    for one in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def held_mb(process: int) -> dict[str, float]:
    """Megabytes (of 1,000,000 bytes) of a process and its descendants.

    Returns:
        mb: the share of every page; own_mb: only the pages that no other process has. What else runs on the machine
        from the same files makes the first smaller, and never the second larger.
    """
    found = [_rollup(one) for one in [process, *descendants(process)]]
    own = sum(one.get("Private_Clean", 0) + one.get("Private_Dirty", 0) for one in found)
    return {"mb": sum(one.get("Pss", 0) for one in found) / 1e6, "own_mb": own / 1e6}


def _rollup(process: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:  # it ended since the listing
        return {}
    return {name: 1024 * int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
