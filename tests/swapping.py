"""Clients that ask while one version after the other is promoted, and what they saw."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from contract.deploying import Deployer
from tests.live import Service, model_processes, until

MODEL = "times"


@dataclass
class Seen:
    """What one client saw. The model of version n multiplies by n."""

    answered: list[tuple[float, float, int]] = field(default_factory=list)
    """Of each answer: when it came, how many seconds it took, and its version."""
    wrong: list[str] = field(default_factory=list)


def ask_until(stop: Callable[[], bool], url: str, seen: Seen) -> None:
    """Ask over one connection, again and again."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    x = 1_000.0
    try:
        while not stop():
            x += 1.0
            began = time.perf_counter()
            connection.request("POST", "/predict", json.dumps({"x": x}), {"content-type": "application/json"})
            answer = connection.getresponse()
            found = json.loads(answer.read())
            took = time.perf_counter() - began
            if answer.status != 200:
                seen.wrong.append(f"{answer.status}: {found}")
                continue
            version = found["version"]
            if found["prediction"] != x * version:
                seen.wrong.append(f"version {version} said {found['prediction']} to {x}")
            if seen.answered and version < seen.answered[-1][2]:
                seen.wrong.append(f"version {version} after {seen.answered[-1][2]}")
            seen.answered.append((began, took, version))
    except (OSError, http.client.HTTPException, ValueError) as error:
        seen.wrong.append(repr(error))
    finally:
        connection.close()


@contextmanager
def asking(service: Service, clients: int) -> Iterator[list[Seen]]:
    """Have clients ask until the end, each of which has an answer at the beginning; what each of them saw."""
    ended = threading.Event()
    seen = [Seen() for _ in range(clients)]
    threads = [threading.Thread(target=ask_until, args=[ended.is_set, service.url, one]) for one in seen]
    for thread in threads:
        thread.start()
    try:
        until(lambda: all(one.answered or one.wrong for one in seen))
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def swap_under_load(
    service: Service, deployer: Deployer, versions: list[int], *, clients: int = 8, requests: int = 0
) -> tuple[list[Seen], float]:
    """Promote versions one after the other, each as soon as the one before answers, while clients ask.

    Args:
        service: what they ask.
        deployer: who promotes.
        versions: which.
        clients: how many ask.
        requests: how many answers there have to be before the last promotion, at least.

    Returns:
        What each client saw, and when the first promotion was made.
    """
    with asking(service, clients) as seen:
        began = time.perf_counter()
        for place, version in enumerate(versions, 1):
            until(lambda: sum(len(one.answered) for one in seen) >= requests * place // len(versions))  # noqa: B023
            deployer.promote(MODEL, version)
            until(lambda: seen[0].wrong or seen[0].answered[-1][2] == version)  # noqa: B023
    return seen, began


def swap_at_pace(
    service: Service, deployer: Deployer, versions: list[int], every_s: float, *, clients: int = 2
) -> tuple[list[Seen], int]:
    """Promote versions one after the other at a pace that leaves no time to load each of them, while clients ask.

    Returns:
        What each client saw, and how many processes of models there were at once, at most.
    """
    most = 0
    with asking(service, clients) as seen:
        due = time.monotonic()
        for version in versions:
            deployer.promote(MODEL, version)
            most = max(most, len(model_processes(service.process.pid)))
            due += every_s
            time.sleep(max(0.0, due - time.monotonic()))
        until(lambda: seen[0].wrong or seen[0].answered[-1][2] == versions[-1])
    return seen, most
