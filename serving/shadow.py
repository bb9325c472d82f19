"""The shadow: the challenger answers copies of the champion's requests, and what it says is compared, never returned.

What was answered → a short queue → a thread, which rests more than it works. When there is too much it leaves copies
out; requests never wait for it. Of rows that are answered differently it keeps what the prediction log may keep: inputs
only under the policy `full`, nothing of a sensitive field, and nothing at all where the caller wants none of it kept.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from contract.answers import Answers, apart
from contract.signature import Output, as_key
from serving.agreement import Agreement, Agreements
from serving.loading import Served
from serving.observed import Observed, Observer
from serving.replies import Reply

MOST_WAITING = 1_000
"""Rows that wait to be answered again; what comes beyond them is left out."""
WITHIN = 0.01
"""Numbers agree when they differ by less than a hundredth of the champion's; classes, and lists of them, when equal."""
_AT_ONCE = 100
_REST = 9
"""How many times as long as it worked the thread rests, at least: it takes a tenth of one core, at the most."""


class Copy(NamedTuple):
    """What the challenger is asked as well."""

    reply: Reply
    withheld: bool
    """Whether none of its rows is kept."""


class Shadow:
    """Compares two loaded versions. `offer` never waits."""

    def __init__(self, champion: Served, challenger: Served, agreement: Agreement, *, inputs: bool = False) -> None:
        self.champion, self.challenger, self.agreement = champion, challenger, agreement
        fields = champion.manifest.signature.inputs if inputs else ()
        self._kept = [field.name for field in fields if not field.sensitive]
        self._waiting: deque[Copy] = deque()
        self._rows = 0
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lectern-shadow", daemon=True)
        self._thread.start()

    def offer(self, reply: Reply, *, withheld: bool = False) -> None:
        """Have a reply of the champion compared, if there is room; one that is withheld is only counted."""
        if self._rows + len(reply.rows) > MOST_WAITING:
            self.agreement.left_out += len(reply.rows)
            return
        self._rows += len(reply.rows)
        self._waiting.append(Copy(reply, withheld))
        self._wanted.set()

    def stop(self) -> None:
        """Compare no more, once what is being compared has been."""
        self._stopping.set()
        self._wanted.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            while self._waiting and not self._stopping.is_set():
                began = time.perf_counter()
                self._compare(self._some())
                self._stopping.wait(_REST * (time.perf_counter() - began))

    def _some(self) -> list[Copy]:
        taken = [self._waiting.popleft()]
        rows = len(taken[0].reply.rows)
        while self._waiting and rows + len(self._waiting[0].reply.rows) <= _AT_ONCE:
            taken.append(self._waiting.popleft())
            rows += len(taken[-1].reply.rows)
        self._rows -= rows
        return taken

    def _compare(self, copies: list[Copy]) -> None:
        rows = [row for copy in copies for row in copy.reply.rows]
        began = time.perf_counter()
        try:
            columns = self.challenger.schema.columns(rows)
            again = self.challenger.predictor.answer_blocking(columns)
        except Exception:  # noqa: BLE001  # whatever it is, it is the challenger's
            if not self._stopping.is_set():  # else it may have been let go of meanwhile, and could not help it
                self._apart(copies)
            return
        self.agreement.seconds += time.perf_counter() - began
        begin = 0
        for copy in copies:
            end = begin + len(copy.reply.rows)
            self._count(copy, again.take(range(begin, end)))
            begin = end

    def _apart(self, copies: list[Copy]) -> None:
        """What cannot be answered together is asked request by request, so that one row fails alone."""
        if len(copies) > 1:
            for copy in copies:
                self._compare([copy])
        else:
            self.agreement.failed += len(copies[0].reply.rows)

    def _count(self, copy: Copy, again: Answers) -> None:
        reply = copy.reply
        agreement, output, rows = self.agreement, self.champion.manifest.signature.output, len(reply.rows)
        said, instead = reply.answers.values, again.values
        ids = reply.ids
        differing = apart(Answers(instead), Answers(said), relative=output.numeric, tolerance=WITHIN)
        agreement.seen = time.time()
        agreement.rows += rows
        agreement.agreeing += rows - len(differing)
        for far in map(_distance, _numbers(reply.answers, output), _numbers(again, output)):
            agreement.difference += far
            agreement.largest = max(agreement.largest, far)
        if output.classes and output.width is None and output.task != "multilabel":
            agreement.said.update(f"{as_key(a)} → {as_key(b)}" for a, b in zip(said, instead, strict=True))
        for number in () if copy.withheld else differing:
            row = {"id": ids[number], "input": {name: reply.rows[number][name] for name in self._kept}}
            agreement.differing.append(row | {"champion": said[number], "challenger": instead[number]})


def _numbers(answers: Answers, output: Output) -> list[list[float]]:
    """What can be compared as numbers, a list for each row: the scores, else the values that are measured."""
    if answers.scores is not None:
        return answers.scores
    if not output.numeric:
        return [[]] * len(answers.values)
    return [value if isinstance(value, list) else [value] for value in answers.values]


def _distance(some: list[float], others: list[float]) -> float:
    return max((abs(a - b) for a, b in zip(some, others, strict=False)), default=0.0)


class Shadows(Observer):
    """The comparisons of all models, as many as are wanted at the moment."""

    def __init__(self, agreements: Agreements, *, inputs: bool = False) -> None:
        self._agreements = agreements
        self._inputs = inputs
        self.by_champion: Mapping[Served, Shadow] = {}
        """Never changed, only replaced."""

    def see(self, some: Sequence[Observed]) -> None:
        """Have the replies of champions compared; of streams there are no copies."""
        for one in some:
            if one.served in self.by_champion and isinstance(one.reply, Reply):
                self.by_champion[one.served].offer(one.reply, withheld=one.withheld)

    def stop(self) -> None:
        """Compare no more."""
        self.follow({})

    def follow(self, wanted: Mapping[Served, Served]) -> None:
        """Compare each champion with its challenger, and no others."""
        before = self.by_champion
        self.by_champion = {
            champion: before[champion]
            if champion in before and before[champion].challenger is challenger
            else self._begun(champion, challenger)
            for champion, challenger in wanted.items()
        }
        for shadow in set(before.values()) - set(self.by_champion.values()):
            shadow.stop()

    def _begun(self, champion: Served, challenger: Served) -> Shadow:
        agreement = self._agreements.of(champion.model, champion.version, challenger.version)
        return Shadow(champion, challenger, agreement, inputs=self._inputs)
