"""The protocol: one connection, from its first byte to its last. uvicorn's own, made strict.

nothing yet → head → body → whole → answered → nothing yet …        anything wrong: a problem, and over
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from serving.admission import PASSED_OVER_BYTES
from serving.problems import Problem
from serving.transport import heads
from serving.transport.heads import Refused
from serving.transport.lingering import Lingering
from serving.transport.refusal import refusal

if TYPE_CHECKING:
    from serving.transport.config import Transport

IDLE, HEAD, BODY, WHOLE, OVER = range(5)
"""How far the request has come that is read; over: nothing is read any more."""
NEVER = float("inf")

MOST_PIPELINED = 100
"""Requests on one connection that may wait for the answers to those before them."""
SLACK_BYTES = 64 << 10
"""What a body may cost beside itself, and its head with it."""
LEAST_RATE = 100
"""Bytes a second at which a body has to come, on the average of the time in which it has to go on."""
LINGER_S = 5.0
LINGER_BYTES = 32 << 20
_RARE = frozenset({b"expect", b"transfer-encoding"})
_OPEN = frozenset({b"/health", b"/health/live", b"/health/ready", b"/metrics"})
"""What is answered where there is no room for anything else."""


class Strict(HttpToolsProtocol):
    """Reads requests, and refuses those that are too large, too slow or ambiguous, each with its problem."""

    def __init__(
        self,
        config: Transport,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.edge = config.edge
        self.head_s = self.edge.head_s
        self.phase, self.due = IDLE, NEVER
        """Where the reading is, and when it must have gone on."""
        self.crowded = False
        """Whether there was no room for the connection: only what is always answered is."""
        self._fed = 0
        self._head_bytes = 0
        self._raw_bytes = self._body_bytes = self._mark = 0
        self._hosts = 0
        self._unsent, self._unsent_since, self._read_on = 0, 0.0, False

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, if there is room."""
        super().connection_made(transport)
        self.edge.enter(self)
        self._unsent_since = self.edge.now

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.edge.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; uvicorn's own answers in plain text, and before the answers to earlier requests."""
        if self.phase == OVER:
            self._raw_bytes += len(data)
            if self._raw_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        self._fed, before = len(data), self.cycle
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            found = error.__context__
            begun = data if self.cycle is before else b""  # else what is wrong is not at the beginning
            self.refuse(found.problem if isinstance(found, Refused) else heads.unreadable(begun, error))
            return
        if self.phase == HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self.edge.most_head_bytes:
                self.refuse(heads.head_too_large(self.url, self.edge.most_url_bytes))
        elif self.phase == BODY:
            self._more_to_come(len(data))

    # --- the request

    def on_message_begin(self) -> None:
        """Begin to count, from the first byte."""
        super().on_message_begin()
        self.phase, self.due = HEAD, self.edge.now + self.head_s
        self._head_bytes = self._raw_bytes = self._body_bytes = self._mark = self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Look at the few headers that the reading depends on; those that follow a body are dropped.

        uvicorn's own adds them to the head, where they would say what nobody looked at.
        """
        if self.phase != HEAD:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
            if value not in self.edge.hosts.known and (problem := self.edge.hosts.objection(value)):
                raise Refused(problem)
        elif name in _RARE:
            self._look_at(name, value.lower())
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Refuse what the head tells is wrong; else have it answered."""
        edge, url = self.edge, self.url
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if len(url) > edge.most_url_bytes or len(self.headers) > edge.most_headers:
            raise Refused(heads.head_too_large(url, edge.most_url_bytes))
        if self._head_bytes + self._fed > edge.most_head_bytes and self._is_head_too_large():
            raise Refused(heads.head_too_large(url, edge.most_url_bytes))
        if self._hosts != 1 and (self._hosts or version != "1.0"):
            raise Refused(heads.malformed("A request has one header `Host`."))
        if method not in heads.METHODS:
            raise Refused(heads.unknown_method())
        if version not in heads.VERSIONS or self.parser.should_upgrade():
            raise Refused(heads.malformed("The service speaks HTTP/1.1 and changes to nothing else."))
        if url[:1] != b"/":
            heads.check_target(url, next((value for name, value in self.headers if name == b"host"), b""))
        if method != b"POST" and heads.body_of(self.headers) > edge.most_body_bytes:
            raise Refused(edge.body_too_large())
        if self.pipeline and len(self.pipeline) >= MOST_PIPELINED:
            told = f"No more than {MOST_PIPELINED} requests of a connection wait; read their answers."
            raise Refused(Problem(429, "pipeline_too_long", told))
        if self.crowded and url not in _OPEN:
            raise Refused(edge.no_room())
        super().on_headers_complete()
        self.phase, self.due = BODY, edge.now + edge.body_s
        if edge.draining.draining or self.crowded:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; uvicorn's own asks each time whether it is a web socket's."""
        self._body_bytes += len(body)
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note that all of it has come; as for its parts."""
        self.phase, self.due = WHOLE, NEVER
        cycle = self.cycle
        if cycle.response_complete:
            self._rest()
        else:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on to the next request; uvicorn's own sets a timer for each, of which here is one for all connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.phase == WHOLE:
            self._rest()
        elif self.phase == BODY and self.expect_100_continue:  # whether the body comes nobody knows
            self.linger()

    def resume_writing(self) -> None:
        """Note that the caller reads on."""
        self._read_on = True
        super().resume_writing()

    # --- what ends it

    def shutdown(self) -> None:
        """End the connection, or let it end with its answer; over TLS others take half a minute to say good-bye."""
        if self.phase == IDLE and self.scheme == "https" and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    def look(self, now: float) -> None:
        """End what has lasted too long; called now and then."""
        if self._is_unread(now):
            self.edge.refused["unread"] += 1
            self.transport.abort()
        elif self.transport.is_closing():
            pass
        elif self.phase == BODY and (self.flow.read_paused or now >= self.due):
            enough = self._mark + LEAST_RATE * self.edge.body_s
            if self.flow.read_paused or self._raw_bytes >= enough:
                self._mark, self.due = self._raw_bytes, now + self.edge.body_s
            else:
                self.refuse(Problem(408, "body_too_slow", "The body did not come, or not fast enough; send it again."))
        elif now >= self.due and not self.flow.read_paused:
            self._end()

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem once all earlier requests are answered, and read nothing more."""
        self.edge.refused[problem.code] += 1
        last: RequestResponseCycle | None = self.cycle
        refused = last if self.phase == BODY else None
        first = last is None or last.response_complete
        self.phase, self.due, self._raw_bytes = OVER, NEVER, 0
        if refused is not None:
            if refused.response_complete:
                self.linger()
                return
            if refused.response_started:  # whoever reads it finds that its end is missing
                self.transport.close()
                return
            refused.disconnected = True
            refused.message_event.set()
            waiting = [one for one in self.pipeline if one[0] is not refused]
            first = len(waiting) == len(self.pipeline)
            self.pipeline.clear()
            self.pipeline.extend(waiting)
        self.cycle, answer = refusal(self, problem)
        if first:
            self._start_asgi_task(self.cycle, answer)
        else:
            self.pipeline.appendleft((self.cycle, answer))

    def linger(self) -> None:
        """Send nothing more, and close once the caller has: else what still comes may cost it the answer."""
        self.phase, self.due, self._raw_bytes = OVER, self.edge.now + LINGER_S, 0
        if self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()

    def _end(self) -> None:
        if self.phase == HEAD:
            self.refuse(Problem(408, "head_too_slow", "The head of the request did not come in time; send it again."))
        elif self.phase == OVER:
            self.transport.abort()
        else:
            self.transport.close()

    def _rest(self) -> None:
        self.phase, self.due = IDLE, self.edge.now + self.edge.keep_alive_s

    def _look_at(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            if value != b"100-continue":
                raise Refused(Problem(417, "expectation_failed", "The only thing to expect is `100-continue`."))
            self.expect_100_continue = True
        elif value != b"chunked" or self.parser.get_http_version() == "1.0" or (name, value) in self.headers:
            raise Refused(heads.malformed("A body comes with its length, or as `Transfer-Encoding: chunked`."))

    def _is_head_too_large(self) -> bool:
        """Whether it is so without the body that may have come with it."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self.edge.most_head_bytes

    def _more_to_come(self, size: int) -> None:
        """Look at a body that did not come together with its head."""
        cycle = self.cycle
        self._raw_bytes += size
        if not isinstance(cycle.transport, Lingering):
            cycle.transport = cast("asyncio.Transport", Lingering(self))
        if self._raw_bytes - self._body_bytes > SLACK_BYTES + self._body_bytes:
            self.refuse(Problem(413, "chunks_too_small", "The body comes in pieces of a few bytes; send larger ones."))
        elif self._body_bytes > self.edge.most_body_bytes and self.scope["method"] != "POST":
            self.refuse(self.edge.body_too_large())
        elif cycle.response_complete and self._raw_bytes > SLACK_BYTES + PASSED_OVER_BYTES:
            self.linger()

    def _is_unread(self, now: float) -> bool:
        """Whether the caller has not read for too long what was sent to it."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or self._read_on:
            self._unsent_since = now
        self._unsent, self._read_on = unsent, False
        return now - self._unsent_since >= self.edge.answer_s
