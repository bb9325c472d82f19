"""The canary: the share that the challenger gets, and that a client who says who it is stays with one version."""

from collections import Counter
from typing import cast

import pytest

from serving.canary import Split
from serving.loading import Served


class _Version:
    """As much of a version as the choice looks at."""

    def __init__(self, version: int) -> None:
        self.model, self.version = "iris", version


CHAMPION, CHALLENGER = (cast("Served", _Version(number)) for number in (1, 2))


def split(share: float) -> Split:
    return Split(CHAMPION, CHALLENGER, share)


@pytest.mark.parametrize("share", [0.5, 1, 10, 33.3, 50, 99, 100])
def test_of_ten_thousand_requests_the_challenger_gets_its_share(share: float) -> None:
    chosen = Counter(split_once.choose(()) for split_once in [split(share)] for _ in range(10_000))
    assert abs(chosen[CHALLENGER] - 100 * share) <= 10


@pytest.mark.parametrize("share", [1, 10, 50])
def test_of_ten_thousand_clients_the_challenger_gets_its_share(share: float) -> None:
    one = split(share)
    chosen = Counter(one.choose([(b"lectern-client", b"client %d" % number)]) for number in range(10_000))
    chance = (10_000 * share / 100 * (1 - share / 100)) ** 0.5  # clients are drawn, so that each stays where it is
    assert abs(chosen[CHALLENGER] - 100 * share) <= 4 * chance


def test_a_rhythm_of_the_callers_meets_none_of_ours() -> None:
    one = split(50)
    every_other = [one.choose(()) for _ in range(10_000)][::2]
    assert abs(Counter(every_other)[CHALLENGER] - 2_500) <= 50


def test_a_client_stays_with_its_version_also_when_the_share_grows() -> None:
    clients = [[(b"host", b"here"), (b"lectern-client", b"client %d" % number)] for number in range(500)]
    few, more = split(10), split(30)
    for headers in clients:
        assert len({few.choose(headers) for _ in range(5)}) == 1
        assert split(10).choose(headers) is few.choose(headers)  # in another worker as well
        if few.choose(headers) is CHALLENGER:
            assert more.choose(headers) is CHALLENGER


def test_clients_are_drawn_anew_for_each_model() -> None:
    other = Split(cast("Served", _Version(1)), CHALLENGER, 50)
    other.champion.model = "cardio"  # type: ignore[misc]
    headers = [[(b"lectern-client", b"%d" % number)] for number in range(200)]
    assert [split(50).choose(h) is CHALLENGER for h in headers] != [other.choose(h) is CHALLENGER for h in headers]
