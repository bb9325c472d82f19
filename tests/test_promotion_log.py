"""contract.promotion_log: a folder that is only added to, read as far as it can be."""

import multiprocessing
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from contract.errors import LecternError, NameRefused, PromotionConflict, PromotionFailed, PromotionRefused
from contract.promotion_log import MAX_BYTES, PromotionLog
from contract.promotions import CHAMPION, Deployment
from contract.store import Store
from tests.promoting import MODEL, deployer, promotion, published


@pytest.fixture
def log(tmp_path: Path) -> PromotionLog:
    """The empty log of a model."""
    (tmp_path / MODEL).mkdir()
    return PromotionLog(tmp_path / MODEL)


def add(log: PromotionLog, *versions: int) -> Deployment:
    """Promote these versions, one after the other."""
    found = log.read()
    for version in versions:
        found = log.append(promotion(version=version), after=found)
    return found


# --- what is written is read


def test_a_model_without_a_log_has_none(log: PromotionLog) -> None:
    assert log.read() == Deployment()
    assert log.history() == []
    assert log.entry(1) is None
    assert not log.folder.exists()


def test_each_promotion_is_a_file_of_its_own(log: PromotionLog) -> None:
    found = add(log, 1, 2)
    assert sorted(path.name for path in log.folder.iterdir()) == ["00000001.json", "00000002.json"]
    assert log.entry(2) == promotion(version=2)
    assert log.history() == [(1, promotion(version=1)), (2, promotion(version=2))]
    assert found == log.read()
    assert (found.number, found.champions) == (2, (1, 2))
    assert '"promotion_format": 1' in (log.folder / "00000001.json").read_text()  # for who reads it in ten years


def test_only_what_is_new_is_read(log: PromotionLog) -> None:
    known = add(log, 1, 2)
    (log.folder / "00000001.json").write_text("damaged since")
    assert log.read(known) == known
    assert add(log, 3).damaged == (1,)
    assert log.read(known).champions == (1, 2, 3)
    assert log.read(known).damaged == ()


def test_a_log_that_is_gone_tells_nothing_new(log: PromotionLog, tmp_path: Path) -> None:
    known = add(log, 1, 2)
    log.folder.rename(tmp_path / "elsewhere")
    assert log.read(known) == known
    log.folder.write_text("a file")
    assert log.read(known) == known


def test_a_log_that_became_shorter_is_another_one(log: PromotionLog) -> None:
    known = add(log, 1, 2)
    for path in log.folder.iterdir():
        path.unlink()
    assert add(log, 7).champions == (7,)
    assert log.read(known) == log.read()


def test_the_log_of_what_may_not_be_called_so_is_refused(store: Store) -> None:
    with pytest.raises(NameRefused, match=r"'\.\./iris' cannot name a model"):
        store.promotions("../iris")


# --- two at once


def test_of_two_one_is_told_what_the_other_did(log: PromotionLog) -> None:
    known = add(log, 1)
    add(log, 2)
    with pytest.raises(
        PromotionConflict,
        match=r"^Model 'iris' was changed meanwhile: champion is version 2, by ada@lab at 2026-11-21 12:00:00 UTC\. "
        r"Look at it, and try again\.$",
    ):
        log.append(promotion(version=3), after=known)
    assert log.read().champions == (1, 2)
    assert len(list(log.folder.iterdir())) == 2


def test_what_cannot_be_read_is_first_all_the_same(log: PromotionLog) -> None:
    known = add(log, 1)
    (log.folder / "00000002.json").write_text("{")
    with pytest.raises(PromotionConflict, match=r"meanwhile: a promotion that cannot be read\. Look"):
        log.append(promotion(version=3), after=known)
    (log.folder / "00000002.json").unlink()
    (log.folder / "00000003.json").write_text("{")  # 2 is free, and came before 3 all the same
    with pytest.raises(PromotionConflict, match="a promotion that cannot be read"):
        log.append(promotion(version=3), after=known)
    assert not (log.folder / "00000002.json").exists()


def moves(root: Path, number: int, rounds: int) -> tuple[int, int, list[str]]:
    """Promote and roll back; return how often it was done, how often somebody else was first, and what else was."""
    mine, made, lost, other = deployer(Store(root), f"user {number}"), 0, 0, list[str]()
    for turn in range(rounds):
        try:
            before = mine.deployment(MODEL).number
            turned = number + turn
            done = mine.promote(MODEL, 1 + turned % 4) if turned % 3 else mine.roll_back(MODEL)
            entry = mine.store.promotions(MODEL).entry(done.number)
            assert entry is not None
            made += done.number > before and entry.by == mine.by
        except PromotionConflict:
            lost += 1
        except LecternError as error:
            other.append(str(error))
    return made, lost, other


def check_consistent(log: PromotionLog, made: int, others: list[str]) -> None:
    """Each entry says of what was before it what the fold over those says."""
    known = Deployment()
    history = log.history()
    assert [number for number, _ in history] == list(range(1, made + 1))
    for number, entry in history:
        assert entry is not None
        assert entry.version != entry.before
        if number > 1:
            assert entry.before == known.aliases[CHAMPION]
            assert entry.kind == "promote" or entry.version == known.champions[-2]
        known = known.after(entry)
    assert known == log.read()
    assert all(re.search("is the first champion, so nothing can be rolled back", text) for text in others)
    assert not list(log.folder.glob(".*"))


def test_of_32_threads_that_promote_and_roll_back_each_is_one_entry_or_is_told(store: Store) -> None:
    published(store, 4)
    results: list[tuple[int, int, list[str]]] = []
    ready = threading.Barrier(32)

    def work(number: int) -> None:
        ready.wait()
        results.append(moves(store.root, number, 5))

    threads = [threading.Thread(target=work, args=[number]) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 32
    assert sum(lost for _, lost, _ in results) > 0
    made = sum(made for made, _, _ in results)
    check_consistent(store.promotions(MODEL), made, [text for _, _, other in results for text in other])


def test_so_it_is_with_processes(store: Store) -> None:
    published(store, 4)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.starmap(moves, [(store.root, number, 20) for number in range(3)])
    made = sum(made for made, _, _ in results)
    check_consistent(store.promotions(MODEL), made, [text for _, _, other in results for text in other])


# --- what is damaged


def _link(path: Path) -> None:
    (path.parent.parent / "elsewhere.json").write_text(promotion(version=3).model_dump_json())
    path.symlink_to(path.parent.parent / "elsewhere.json")


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_text(promotion(version=3).model_dump_json(indent=1)[:-20]),
    "not JSON": lambda path: path.write_text("champion: 3"),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00" * 100),
    "a list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "large": lambda path: path.write_text(promotion(version=3).model_dump_json() + " " * (2 << 20)),
    "a link": _link,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "gone": lambda path: None,
    "a path for a version": lambda path: path.write_text(
        promotion(version=3).model_dump_json().replace('"version":3', '"version":"../3"')
    ),
    "unknown kind": lambda path: path.write_text(
        promotion(version=3).model_dump_json().replace('"promote"', '"demote"')
    ),
    "later format": lambda path: path.write_text(
        promotion(version=3).model_dump_json().replace('"promotion_format":1', '"promotion_format":2')
    ),
    "no number": lambda path: path.write_text(
        promotion("traffic", None).model_dump_json().replace('"share":0.0', '"share":NaN')
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_leaves_live_what_is_live(log: PromotionLog, name: str) -> None:
    known = add(log, 1, 2)
    DAMAGE[name](log.folder / "00000003.json")
    if name != "gone":
        after = log.read(known)
        assert after == replace(known, number=3, damaged=(3,))
        assert log.history()[-1] == (3, None)
        following = log.append(promotion(version=4), after=after)
    else:
        following = log.append(promotion(version=4), after=replace(known, number=3))
    assert (following.number, following.champions) == (4, (1, 2, 4))
    for found in (log.read(known), log.read()):
        assert (found.damaged, found.champions, found.number) == ((3,), (1, 2, 4), 4)
    assert [entry is None for _, entry in log.history()] == [False, False, True, False]


def test_a_promotion_may_be_as_large_as_is_read(log: PromotionLog) -> None:
    large = promotion(gate={"text": "x" * (MAX_BYTES - 1000)})
    assert log.append(large, after=Deployment()).number == 1
    assert log.entry(1) == large
    larger = promotion(gate={"text": "x" * MAX_BYTES})
    with pytest.raises(PromotionRefused, match=r"^The promotion has 1,04\d,\d{3} bytes; 1,048,576 are allowed\.$"):
        log.append(larger, after=log.read())
    assert log.read().number == 1


def test_a_number_far_away_is_reached_at_once_and_none_follows_the_last(log: PromotionLog) -> None:
    add(log, 1)
    (log.folder / "99999999.json").write_text("{")
    found = log.read()
    assert (found.number, found.damaged, found.champions) == (99_999_999, (99_999_998, 99_999_999), (1,))
    with pytest.raises(PromotionRefused, match=r"^The log of 'iris' ends with promotion 99999999, and none can follow"):
        log.append(promotion(version=2), after=found)


def test_what_is_no_entry_is_passed_over(log: PromotionLog) -> None:
    known = add(log, 1)
    for name in (
        "00000000.json",
        "2.json",
        "00000002.json~",
        "000000002.json",
        "٠٠٠٠٠٠٠٢.json",
        "README",
        ".writing-9",
    ):
        (log.folder / name).write_text("{")
    assert log.read() == log.read(known) == known
    assert add(log, 2).number == 2


# --- what the file system refuses


def test_a_log_that_cannot_be_written_to_says_so(log: PromotionLog) -> None:
    log.folder.write_text("a file")
    with pytest.raises(
        PromotionFailed,
        match=rf"^Could not write to {re.escape(str(log.folder))}: File exists\. Nothing was changed\.$",
    ):
        add(log, 1)
    log.folder.unlink()
    log.folder.parent.rmdir()
    with pytest.raises(PromotionFailed, match=r": No such file or directory\. Nothing was changed\.$"):
        add(log, 1)


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may read everything")
def test_an_entry_that_may_not_be_read_is_no_damage(log: PromotionLog) -> None:
    add(log, 1)
    (log.folder / "00000001.json").chmod(0)
    with pytest.raises(PermissionError, match="Permission denied"):
        log.read()


def test_what_a_dead_writer_left_is_swept_away_after_an_hour(log: PromotionLog) -> None:
    add(log, 1)
    old, new = log.folder / ".writing-2-1-abc", log.folder / ".writing-2-2-abc"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    add(log, 2)
    assert (old.exists(), new.exists()) == (False, True)


# --- many


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files and folders that are opened or listed."""
    calls: list[str] = []
    with monkeypatch.context() as patched:
        for name in ("open", "listdir", "scandir", "stat", "lstat"):
            call = getattr(os, name)

            def counted(path: object, *more: object, _call: Callable[..., object] = call, **named: object) -> object:
                calls.append(str(path))
                return _call(path, *more, **named)

            patched.setattr(os, name, counted)
        yield calls


def test_ten_thousand_versions_are_listed_once_and_each_promotion_is_read_once(
    store: Store, log: PromotionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions, count = 10_000, 1_000
    for number in range(1, versions + 1):
        (store.root / MODEL / str(number)).mkdir(parents=True)
    folder = store.promotions(MODEL).folder
    folder.mkdir()
    text = promotion(version=7, manifest_sha256="0" * 64).model_dump_json()
    for number in range(1, count + 1):
        (folder / f"{number:08}.json").write_text(text.replace('"version":7', f'"version":{number}'))
    with counting(monkeypatch) as calls:
        assert store.versions(MODEL) == list(range(1, versions + 1))
        assert store.models() == [MODEL]
        store.artifact(MODEL, 5_000)
    assert len(calls) < 10  # each listing is one
    with counting(monkeypatch) as calls:
        known = store.promotions(MODEL).read()
    assert (known.number, len(known.champions)) == (count, count)
    assert len(calls) == count + 1  # one listing, and each entry once
    with counting(monkeypatch) as calls:
        assert store.promotions(MODEL).read(known) == known
        assert store.promotions(MODEL).append(promotion(version=3), after=known).number == count + 1
        assert store.promotions(MODEL).read(known).champions[-1] == 3
    assert len(calls) < 20  # what is known is not read again
