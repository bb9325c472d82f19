"""serving.transport: the names it answers under, and the settings that say what may come, and from where."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from contract.errors import SettingsRefused
from contract.store import Store
from serving.settings import ServeSettings
from serving.starting import _names
from serving.transport.config import OTHER_FILES, room_for
from serving.transport.edge import OF_ADDRESS, RESERVE, _most_of_address
from serving.transport.hosts import MOST_KNOWN, Hosts
from tests.live import Service, publish_graph, running
from tests.raw import Caller, request, said


def objection(hosts: Hosts, host: str) -> int:
    found = hosts.objection(host.encode("latin-1"))
    return int(found.status) if found else 200


LOCAL = ["localhost", "LOCALHOST:8000", "localhost.", "a.localhost", "127.0.0.1", "10.1.2.3:80", "[::1]", "[::1]:8000"]
STRANGE = ["evil.example", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "0x7f.1", "a_b"]
BROKEN = ["", " ", "a b", "a@localhost", "localhost:80:80", "localhost:x", "[::1", "::1", "a/b", "ä", "localhost,evil"]


@pytest.mark.parametrize("host", LOCAL)
def test_on_this_machine_it_answers_to_localhost_and_addresses(host: str) -> None:
    assert objection(Hosts.of(ServeSettings()), host) == 200


@pytest.mark.parametrize("host", STRANGE)
def test_a_name_that_somebody_may_own_is_refused_there(host: str) -> None:
    assert objection(Hosts.of(ServeSettings()), host) == 421
    assert objection(Hosts.of(ServeSettings(host="0.0.0.0")), host) == 200
    assert objection(Hosts.of(ServeSettings(socket="s")), host) == 200


@pytest.mark.parametrize("host", BROKEN)
def test_what_is_no_host_is_refused_everywhere(host: str) -> None:
    for settings in (ServeSettings(), ServeSettings(host="0.0.0.0")):
        assert objection(Hosts.of(settings), host) == 400


def test_names_are_listed_and_below_a_name_all_are() -> None:
    hosts = Hosts.of(ServeSettings(host="0.0.0.0", hosts="api.example.org, *.example.net"))
    good = ("api.example.org", "API.example.org:443", "a.b.example.net", "127.0.0.1", "localhost")
    assert [objection(hosts, host) for host in good] == [200] * 5
    bad = ("example.org", "b.api.example.org", "example.net", "notexample.net")
    assert [objection(hosts, host) for host in bad] == [421] * 4


def test_any_name_does_where_that_is_written_out() -> None:
    assert objection(Hosts.of(ServeSettings(hosts="*")), "evil.example") == 200


def test_a_service_of_a_notebook_on_a_hub_answers_to_the_hubs_name_which_it_is_not_told() -> None:
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann/"}
    assert [_names(hub), _names({}), _names(hub | {"LECTERN_HOSTS": "a"})] == [{"hosts": "*"}, {}, {}]


def test_what_is_known_stays_small() -> None:
    hosts = Hosts.of(ServeSettings(host="0.0.0.0"))
    for number in range(3 * MOST_KNOWN):
        assert objection(hosts, f"a{number}") == 200
    assert len(hosts.known) <= MOST_KNOWN
    assert b"a2999" in hosts.known


# --- of the whole service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = Store(tmp_path_factory.mktemp("hosts") / "store")
    publish_graph(store, "double")
    with running(store) as found:
        yield found


@pytest.mark.parametrize(
    "path", ["/predict", "/models/double/predict", "/health", "/", "/docs", "/models/double/promote"]
)
def test_a_page_that_rebinds_its_name_gets_421_on_every_route(service: Service, path: str) -> None:
    for method in ("GET", "POST"):
        sent = request(method, path).replace(b"Host: localhost", b"Host: rebound.example:8000")
        assert said(service.url, sent).refusal == ([421], "host_unknown", True)


def test_a_good_name_before_does_not_let_a_bad_one_in(service: Service) -> None:
    with Caller(service.url) as caller:
        assert caller.send(request()).hear(answers=1).statuses == [200]
        caller.send(request().replace(b"Host: localhost", b"Host: rebound.example"))
        assert caller.hear().refusal == ([421], "host_unknown", True)


# --- settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hosts", "http://a", "give names without a port, as api"),
        ("hosts", ",", "give names without"),
        ("hosts", "a:80", "give names without"),
        ("trusted_proxies", "*", "give addresses or networks"),
        ("trusted_proxies", "0.0.0.0/0", "give addresses or networks"),
        ("trusted_proxies", "proxy.example", "give addresses or networks"),
        ("cors_origins", "example.org", "give origins, as https://app.example.org"),
        ("cors_origins", "https://a/", "give origins"),
        ("cors_origins", "https://[a", "give origins"),
        ("head_timeout_s", "0", "greater than 0"),
        ("max_head_bytes", "10", "greater than or equal to 1024"),
        ("hsts_s", "-1", "greater than or equal to 0"),
    ],
)
def test_a_value_that_means_nothing_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsRefused, match=rf"^LECTERN_{name.upper()}=.* does not do: .*{message}"):
        ServeSettings.read({f"LECTERN_{name.upper()}": value})


def test_all_origins_may_not_send_what_the_browser_knows_of_its_user() -> None:
    variables = {"LECTERN_CORS_ORIGINS": "*", "LECTERN_CORS_CREDENTIALS": "true"}
    with pytest.raises(SettingsRefused, match=r"name the pages in LECTERN_CORS_ORIGINS"):
        ServeSettings.read(variables)
    assert ServeSettings.read(variables | {"LECTERN_CORS_ORIGINS": "https://a.example"}).cors_credentials


def test_an_address_has_a_share_only_where_addresses_are_callers() -> None:
    assert _most_of_address(ServeSettings()) is None
    assert _most_of_address(ServeSettings(host="0.0.0.0")) == OF_ADDRESS
    assert _most_of_address(ServeSettings(host="0.0.0.0", trusted_proxies="10.0.0.1")) is None
    assert _most_of_address(ServeSettings(address_connections=3)) == 3


def test_the_system_is_asked_for_room_and_gives_what_it_may() -> None:
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(400, soft), hard))
        assert room_for(300) == 300
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + RESERVE + OTHER_FILES
        assert room_for(10) == 10
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + RESERVE + OTHER_FILES
        assert room_for(10**9) == hard - RESERVE - OTHER_FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
