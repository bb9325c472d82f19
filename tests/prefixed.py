"""A reverse proxy that shows a service below a prefix and hides the prefix from it, as jupyter-server-proxy does.

Only it does not mend redirects, as others do not either: every address that the service gives has to be relative.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

PREFIX = "/user/ann/proxy/8000"
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


class _Proxy(BaseHTTPRequestHandler):
    service: str

    def do_GET(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404, "not below the prefix")
            return
        given = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        given |= dict.fromkeys(("X-Forwarded-Context", "X-ProxyContextPath", "X-Forwarded-Prefix"), PREFIX)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with closing(http.client.HTTPConnection(self.service)) as connection:
            try:
                connection.request(self.command, self.path.removeprefix(PREFIX), body, given)
            except ConnectionRefusedError:
                self.send_error(500, "could not connect to the service")
                return
            answer = connection.getresponse()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.end_headers()
            while piece := answer.read1(65_536):  # as it comes: an answer may be a stream without an end
                self.wfile.write(piece)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  # the names that the library looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def prefixed(url: str) -> Iterator[str]:
    """The address at which a service is to be found below the prefix."""
    handler = type("Proxy", (_Proxy,), {"service": urlsplit(url).netloc})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PREFIX}/"
        finally:
            server.shutdown()
            thread.join()
