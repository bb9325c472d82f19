"""Publishing, promoting, rolling back, pruning, crashing and damage in any order, against a model in memory."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.artifact import Artifact
from contract.deploying import Deployer
from contract.errors import AliasNotFound, ArtifactError, LecternError, PromotionRefused, StoreError, VersionNotFound
from contract.promotions import CHALLENGER, CHAMPION, Deployment
from contract.pruning import prune
from contract.store import Store
from tests.faults import dying, no_fsync
from tests.promoting import MODEL, published

PLACES = st.integers(min_value=0, max_value=9)
"""Which of the versions that there are; the last is none."""
CRASHES = st.none() | st.none() | st.integers(min_value=0, max_value=60)
"""The system call at which a move is killed."""


@dataclass
class Live:
    """What is live, as simply as it can be said."""

    champion: int | None = None
    stack: list[int] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    share: float = 0.0
    shadow: bool = False
    pruned: set[int] = field(default_factory=set)

    def make(self, kind: str, what: Any, before: int | None = None) -> None:
        """One move."""
        if kind == "traffic":
            self.share, self.shadow = what
        elif kind == "prune":
            self.pruned |= what
            kept = [version for version in self.stack if version not in what]
            self.stack = [version for i, version in enumerate(kept) if i == 0 or kept[i - 1] != version]
        elif kind in ("promote", "rollback"):
            if kind == "rollback" and what in self.stack:
                while self.stack[-1] != what:
                    self.stack.pop()
            elif kind == "promote" and not self.stack and before is not None:
                self.stack = [before]
            if self.stack[-1:] != [what]:
                self.stack.append(what)
            self.champion, self.share, self.shadow = what, 0.0, False
            if self.aliases.get(CHALLENGER) == what:
                del self.aliases[CHALLENGER]
        elif kind != "keep":  # the name of an alias
            self.aliases = {name: version for name, version in self.aliases.items() if name != kind}
            if what is not None:
                self.aliases[kind] = what
            if kind == CHALLENGER:
                self.share, self.shadow = 0.0, False


Move = tuple[Any, ...]


def live(moves: list[Move | None]) -> Live:
    """What is live after some moves, without those that cannot be read."""
    found = Live()
    for move in moves:
        if move is not None:
            found.make(*move)
    return found


def check(found: Deployment, moves: list[Move | None], versions: set[int]) -> None:
    """Hold what was read to the model."""
    expected = live(moves)
    aliases = expected.aliases | ({} if expected.champion is None else {CHAMPION: expected.champion})
    assert found.number == len(moves)
    assert found.aliases == aliases
    assert list(found.champions) == expected.stack
    assert (found.share, found.shadow, set(found.pruned)) == (expected.share, expected.shadow, expected.pruned)
    assert found.champion(versions) == (expected.champion if moves else max(versions, default=None))


class Deploying(RuleBasedStateMachine):
    """One model, one caller at a time, and a reader who has looked on since the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.fsync, os.fsync = os.fsync, no_fsync  # type: ignore[assignment]
        self.folder = Path(tempfile.mkdtemp())
        self.versions: set[int] = set()
        self.damaged: set[int] = set()
        self.digests: dict[int, str] = {}
        """The manifest of every version that ever was."""
        self.moves: list[Move | None] = []
        self.seen: list[Move | None] = []
        self.entries: list[bytes] = []
        self.known = Deployment()
        self.reopen()

    def teardown(self) -> None:
        os.fsync = self.fsync
        shutil.rmtree(self.folder)

    # --- what is expected

    @property
    def log(self) -> Live:
        return live(self.moves)

    @property
    def stack(self) -> list[int]:
        """What rolling back leads through."""
        return self.log.stack if self.moves else sorted(self.versions)

    @property
    def able_to_roll_back(self) -> bool:
        return len(self.stack) > 1 and self.stack[-2] in self.versions

    def version(self, place: int) -> int:
        """A version, or a number that is none."""
        newest = sorted(self.versions, reverse=True)
        return 10**6 if place == 9 or not newest else newest[place % len(newest)]

    def begin(self, before: int = 10**9) -> list[Move]:
        """The moves with which a log begins that has none yet: the newest version that can answer."""
        able = sorted(version for version in self.versions - self.damaged if version < before)
        if self.moves or not able:
            return []
        earlier = [version for version in self.versions if version < able[-1]]
        return [("promote", able[-1], max(earlier, default=None))]

    def expect(
        self, moves: list[Move], error: type[LecternError] | None, act: Callable[[], Any], at: int | None
    ) -> None:
        """Act, and find the log longer by these moves; killed on the way, by the first of them at most."""
        before, made, refused = len(self.moves), False, None
        with dying(at):
            try:
                act()
                made = True
            except LecternError as caught:
                refused = caught
        number = self.store.promotions(MODEL).read().number
        assert before <= number <= before + len(moves)
        self.moves += moves[: number - before]
        if made or refused:  # it was not killed
            assert number == before + len(moves)
            assert (refused is None) if error is None else isinstance(refused, error), refused

    def move(self, kind: str, version: int, at: int | None, act: Callable[[], Any]) -> None:
        """Point something at a version, or be refused."""
        alias, log = CHAMPION if kind in ("promote", "rollback") else kind, self.log
        begun = self.begin() if alias != CHAMPION else []
        after = live([*self.moves, *begun])
        now = after.champion if alias == CHAMPION else after.aliases.get(alias)
        error: type[LecternError] | None = None
        moves: list[Move] = []
        if version not in self.versions:
            begun, error = [], StoreError
        elif alias != CHAMPION and not self.moves and not begun:
            error = ArtifactError
        elif kind != "rollback" and now == version and (self.moves or begun):
            pass
        elif version in log.pruned or (alias == CHALLENGER and version == after.champion):
            error = PromotionRefused
        elif version in self.damaged:
            error = ArtifactError
        else:
            before = now if self.moves else max(self.versions - {version}, default=None)
            moves = [(kind, version, before)]
        self.expect([*begun, *moves], error, act, at)

    # --- what is done

    @rule()
    def reopen(self) -> None:
        """Begin anew, knowing nothing."""
        self.store = Store(self.folder / "store")
        self.deployer = Deployer(self.store, "ada@lab", Artifact.verify)

    @initialize(count=st.sampled_from([4, 6, 2, 1, 0]))
    def begin_with_versions(self, count: int) -> None:
        for _ in range(count):
            self.publish(None)

    @rule(at=CRASHES)
    def publish(self, at: int | None) -> None:
        before = set(self.versions)
        with dying(at):
            published(self.store, 1, description=f"version {len(self.digests)}, {at}")
        self.versions = set(self.store.versions(MODEL))
        for version in self.versions - before:
            assert version not in self.digests  # no number is used twice
            assert version > max(self.digests, default=0)
            self.digests[version] = self.store.artifact(MODEL, version).manifest_sha256
            self.store.artifact(MODEL, version).verify()
        assert before <= self.versions
        assert at is not None or len(self.versions) == len(before) + 1

    @rule(place=PLACES, at=CRASHES)
    def promote(self, place: int, at: int | None) -> None:
        version = self.version(place)
        self.move("promote", version, at, lambda: self.deployer.promote(MODEL, version))

    @rule(place=PLACES, alias=st.sampled_from([CHALLENGER, "beta"]), at=CRASHES)
    def alias(self, place: int, alias: str, at: int | None) -> None:
        version = self.version(place)
        self.move(alias, version, at, lambda: self.deployer.promote(MODEL, version, alias))

    @precondition(lambda self: self.log.aliases)
    @rule(place=PLACES, at=CRASHES)
    def remove(self, place: int, at: int | None) -> None:
        names = sorted(self.log.aliases)
        alias = names[place % len(names)]
        self.expect([(alias, None)], None, lambda: self.deployer.remove(MODEL, alias), at)

    @precondition(lambda self: self.able_to_roll_back)
    @rule(at=CRASHES)
    def roll_back(self, at: int | None) -> None:
        self.move("rollback", self.stack[-2], at, lambda: self.deployer.roll_back(MODEL))

    @precondition(lambda self: CHALLENGER in self.log.aliases)
    @rule(share=st.sampled_from([None, 0.0, 10.0, 50.0]), shadow=st.sampled_from([None, True, False]), at=CRASHES)
    def traffic(self, share: float | None, shadow: bool | None, at: int | None) -> None:
        before = self.log.share, self.log.shadow
        after = before[0] if share is None else share, before[1] if shadow is None else shadow
        moves: list[Move] = [] if after == before else [("traffic", after)]
        self.expect(moves, None, lambda: self.deployer.traffic(MODEL, share=share, shadow=shadow), at)

    @precondition(lambda self: self.versions)
    @rule()
    def what_cannot_be_done(self) -> None:
        if not self.able_to_roll_back:
            self.expect([], PromotionRefused, lambda: self.deployer.roll_back(MODEL), None)
        if "beta" not in self.log.aliases:
            self.expect([], AliasNotFound, lambda: self.deployer.remove(MODEL, "beta"), None)
        if CHALLENGER not in self.log.aliases:
            self.expect([], PromotionRefused, lambda: self.deployer.traffic(MODEL, share=10), None)
            self.expect([], PromotionRefused, lambda: self.deployer.traffic(MODEL, shadow=True), None)

    @precondition(lambda self: self.versions)
    @rule(place=PLACES, at=CRASHES)
    def keep(self, place: int, at: int | None) -> None:
        version = self.version(place)
        there = version in self.versions
        moves: list[Move] = [*self.begin(before=version), ("keep", version)] if there else []
        act = lambda: self.deployer.keep(MODEL, version, reason="it is worse")  # noqa: E731
        self.expect(moves, None if there else VersionNotFound, act, at)

    @precondition(lambda self: self.versions)
    @rule(keep=st.integers(1, 3), at=CRASHES)
    def prune(self, keep: int, at: int | None) -> None:
        act = lambda: prune(self.deployer, MODEL, keep=keep)  # noqa: E731
        if None in self.moves:
            self.expect([], PromotionRefused, act, at)
            return
        going, begun = self.going(keep, self.moves), list[Move]()
        if going - self.log.pruned and not self.moves:
            begun = self.begin()
            if not begun:
                self.expect([], ArtifactError, act, at)
                return
            going = self.going(keep, [*begun])
        noted = going - self.log.pruned
        self.expect([*begun, ("prune", noted)] if noted else begun, None, act, at)
        gone = self.versions - set(self.store.versions(MODEL))
        assert gone <= self.log.pruned
        assert at is not None or gone == going
        self.versions -= gone

    def going(self, keep: int, moves: list[Move | None]) -> set[int]:
        """The versions that a prune deletes."""
        log, newest = live(moves), sorted(self.versions)
        kept = {*log.aliases.values(), *(log.stack[-2:] if moves else newest[-2:]), *newest[-keep:]}
        return {version for version in newest if version not in kept or version in log.pruned}

    @precondition(lambda self: len(self.versions) > 2 * len(self.damaged & self.versions))
    @rule(data=st.data())
    def damage_a_version(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)))
        (self.store.root / MODEL / str(version) / "model.joblib").write_bytes(b"damaged")
        self.damaged.add(version)

    @precondition(lambda self: len(self.moves) > 5 * self.moves.count(None) + 3)
    @rule(data=st.data(), content=st.sampled_from([b"", b"{", b"\xff"]))
    def damage_an_entry(self, data: st.DataObject, content: bytes) -> None:
        number = data.draw(st.integers(1, len(self.moves)))
        self.path(number).write_bytes(content)
        self.moves[number - 1], self.entries[number - 1] = None, content

    # --- what always holds

    def path(self, number: int) -> Path:
        return self.store.promotions(MODEL).folder / f"{number:08}.json"

    @invariant()
    def what_is_live_is_what_the_model_says(self) -> None:
        log = self.store.promotions(MODEL)
        found = log.read()
        check(found, self.moves, self.versions)
        assert list(found.damaged) == [number for number, move in enumerate(self.moves, 1) if move is None]
        self.known = log.read(self.known)
        self.seen += self.moves[len(self.seen) :]
        check(self.known, self.seen, self.versions)
        if not found.damaged and found.number and found.champion(()):
            assert found.champion(()) in self.versions
            assert found.tried[found.aliases[CHAMPION]] == self.digests[found.aliases[CHAMPION]]

    @invariant()
    def what_was_written_stays_as_it_was(self) -> None:
        self.entries += [self.path(number).read_bytes() for number in range(len(self.entries) + 1, len(self.moves) + 1)]
        assert [self.path(number).read_bytes() for number in range(1, len(self.moves) + 1)] == self.entries
        assert set(self.store.versions(MODEL)) == self.versions
        for version in self.versions:
            assert self.store.artifact(MODEL, version).manifest_sha256 == self.digests[version]


TestDeploying = Deploying.TestCase
TestDeploying.settings = settings(stateful_step_count=30)
