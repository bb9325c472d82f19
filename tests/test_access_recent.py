"""serving.access.recent: who asks again is known at once, for as long as that is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.access.caller import Caller, granted
from serving.access.followed import Followed
from serving.access.recent import Recent

ADA = Caller("ada", "10.0.0.1", granted({"iris": ("predict",)}))
HEADER = b"Bearer of something"


@pytest.fixture
def file(tmp_path: Path) -> Followed[bytes]:
    path = tmp_path / "keys"
    path.write_bytes(b"some")
    path.chmod(0o600)
    return Followed(path, lambda content, _: content, b"")


def kept(file: Followed[bytes], most: int = 10) -> Recent:
    recent = Recent(most)
    recent.keep(HEADER, ADA, 100.0, file, file.value)
    return recent


def test_who_asks_again_is_known_until_a_moment(file: Followed[bytes]) -> None:
    recent = kept(file)
    assert recent.find(HEADER, ADA.address, 99.9) is recent.find(HEADER, ADA.address, 99.9) is ADA
    assert recent.find(HEADER[:-1], ADA.address, 99.9) is None
    assert recent.find(HEADER, ADA.address, 100.0) is None
    assert recent.find(HEADER, ADA.address, 99.9) is None  # nor does the clock bring them back


def test_who_asks_from_elsewhere_is_the_same_with_another_address(file: Followed[bytes]) -> None:
    recent = kept(file)
    assert recent.find(HEADER, "10.0.0.2", 0.0) == ADA._replace(address="10.0.0.2")
    assert recent.find(HEADER, ADA.address, 0.0) == ADA


def test_nobody_is_known_any_more_once_the_file_holds_something_else(file: Followed[bytes]) -> None:
    recent = kept(file)
    file.path.write_bytes(b"another")
    assert recent.find(HEADER, ADA.address, 0.0) is ADA
    file.look()
    assert recent.find(HEADER, ADA.address, 0.0) is None
    recent.keep(HEADER, ADA, 100.0, file, b"some")  # found in what was read before
    assert recent.find(HEADER, ADA.address, 0.0) is None


def test_as_many_are_known_as_may_be_and_the_first_one_goes(file: Followed[bytes]) -> None:
    recent = kept(file, most=2)
    for header in (b"second", b"third"):
        recent.keep(header, ADA, 100.0, file, file.value)
    assert [bool(recent.find(header, "", 0.0)) for header in (HEADER, b"second", b"third")] == [False, True, True]
