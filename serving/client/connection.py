"""A connection: requests to one place, with a key, in a time; what HTTP can do wrong becomes an error of ours."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from pydantic_core import from_json

from contract.errors import ServiceUnreachable, SettingsRefused
from serving.client.finding import Place
from serving.client.refusing import Labels, refused

if TYPE_CHECKING:
    import httpx

Body = Callable[[], bytes | Iterator[bytes]]
"""Makes the body of a request, once for each time that it is sent."""

JSON = "application/json"
_CONNECT_S = 5.0
_MOST_TIMES = 3
_LONGEST_REST_S = 10.0
_BUSY = {429, 503}
_WAY_OUT = (
    "Start one with `make serve` in a shell or `serving.start()` in a notebook, "
    "or say where it is: `Client(url)` or LECTERN_URL."
)


class Connection:
    """One place, asked as often as one likes. All that is sent may be sent twice, and is where that helps.

    It opens when it is first used, also after `close()` and in a forked process.
    """

    def __init__(self, place: Place, key: str | None, timeout_s: float) -> None:
        """Prepare for a place.

        Raises:
            SettingsRefused: the key cannot be sent.
        """
        self.place = place
        self._timeout_s = timeout_s
        self._key = SecretStr((key or "").strip())
        self._http: tuple[int, httpx.Client] | None = None
        secret = self._key.get_secret_value()
        if not (secret.isascii() and secret.isprintable()):
            raise SettingsRefused("The key (`key` or LECTERN_API_KEY) has letters that no header may have.")

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON document at a path.

        Raises:
            ServiceUnreachable: nobody answers there, or no service of ours.
            RequestRefused: it answers with a problem.
        """
        with self.asked("GET", path, parameters=parameters) as response:
            return from_json(response.read())

    @contextmanager
    def asked(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        form: str = JSON,
        parameters: Mapping[str, Any] | None = None,
        labels: Labels | None = None,
    ) -> Iterator[httpx.Response]:
        """A response that is no problem, its content not yet read.

        Args:
            method: of HTTP.
            path: below the place.
            body: makes what is sent.
            form: the media type of what is sent and of what is to come.
            parameters: of the query.
            labels: what the caller calls the rows of the body.

        Raises:
            ServiceUnreachable: nobody answers there, or no service of ours, or not to the end.
            RequestRefused: it answers with a problem.
        """
        with self._told():
            response = self._response(method, path, body, form, parameters)
            try:
                if response.status_code != 200:
                    response.read()
                    raise refused(response, labels) or self._other(response)
                if _kind(response) != form:
                    raise self._other(response)
                yield response
            finally:
                response.close()

    def close(self) -> None:
        """Close what is open in this process."""
        opened, self._http = self._http, None
        if opened and opened[0] == os.getpid():
            opened[1].close()

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the interpreter anything may be gone
            self.close()

    def _response(
        self, method: str, path: str, body: Body | None, form: str, parameters: Mapping[str, Any] | None
    ) -> httpx.Response:
        import httpx

        headers = {"accept": form} | ({"content-type": form} if body else {})
        times = 1
        while True:
            content = body() if body else None
            request = self._client().build_request(method, path, content=content, headers=headers, params=parameters)
            try:
                response = self._client().send(request, stream=True)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if times > 1:
                    raise
                times += 1  # a connection that was kept open had ended
                continue
            rest_s = _rest_s(response)
            if times >= _MOST_TIMES or rest_s is None:
                return response
            response.close()
            times += 1
            time.sleep(rest_s)

    def _client(self) -> httpx.Client:
        if self._http is None or self._http[0] != os.getpid():  # sockets of a parent are not this process's
            self._http = os.getpid(), self._opened()
        return self._http[1]

    def _opened(self) -> httpx.Client:
        import httpx

        def identify(request: httpx.Request) -> None:  # so that the key stands in no header that a repr shows
            if secret := self._key.get_secret_value():
                request.headers["Authorization"] = f"Bearer {secret}"

        return httpx.Client(
            base_url=self.place.url,
            timeout=httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, _CONNECT_S)),
            transport=httpx.HTTPTransport(uds=self.place.socket) if self.place.socket else None,
            trust_env=not self.place.local,
            verify=ssl.create_default_context() if "SSL_CERT_FILE" in os.environ else True,  # this machine's, too
            event_hooks={"request": [identify]},
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where httpx works: what it raises becomes an error of ours."""
        import httpx

        place = str(self.place)
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise ServiceUnreachable(place, f"No service answers at {place} ({_reason(error)}). {_WAY_OUT}") from None
        except httpx.TimeoutException:
            told = f"The service at {place} did not answer within {self._timeout_s:g} s."
            raise ServiceUnreachable(place, f"{told} `Client(timeout_s=…)` waits longer.") from None
        except httpx.RequestError as error:
            told = f"The connection to {place} was lost before the answer was whole ({_reason(error)})."
            raise ServiceUnreachable(place, told) from None

    def _other(self, response: httpx.Response) -> ServiceUnreachable:
        said = f"{response.status_code} with {_kind(response) or 'no content'}"
        told = f"What answers at {self.place} is no service of Lectern: it said {said}."
        return ServiceUnreachable(str(self.place), f"{told} {_WAY_OUT}")


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0]


def _rest_s(response: httpx.Response) -> float | None:
    """How long a busy service asks to be left alone; None where it does not, or for longer than anybody waits."""
    told = response.headers.get("retry-after", "")
    if response.status_code not in _BUSY or not told.isdecimal() or int(told) > _LONGEST_REST_S:
        return None
    return float(told)


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
