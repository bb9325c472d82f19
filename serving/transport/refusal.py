"""A refusal: the problem that is answered in the place of a request, by the same way as any answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.problems import Problem
from serving.responses import new_id, send_problem
from serving.transport.lingering import Lingering

if TYPE_CHECKING:
    from serving.transport.protocol import Strict


def refusal(protocol: Strict, problem: Problem) -> tuple[RequestResponseCycle, Any]:
    """What uvicorn keeps of a request, and the application that answers it: with the problem, after which it closes."""
    problem.headers["connection"] = "close"
    begun: Mapping[str, Any] | None = protocol.scope
    cycle = RequestResponseCycle(
        scope={"type": "http", "method": begun.get("method", "GET") if begun else "GET"},  # type: ignore[typeddict-item]  # of nothing else is made use
        transport=cast("asyncio.Transport", Lingering(protocol)),
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=False,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=False,
        on_response=protocol.on_response_complete,
    )
    return cycle, partial(_answer, problem)


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # as ASGI has it
    await send_problem(problem, new_id(), send)
