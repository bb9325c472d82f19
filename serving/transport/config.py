"""How uvicorn is set: the protocol, its bounds, TLS, and what stands around the application."""

from __future__ import annotations

import resource
from typing import Any

import uvicorn

from serving.settings import ServeSettings
from serving.transport.around import around
from serving.transport.edge import RESERVE, Edge
from serving.transport.prompt import AtOnce, Prompt

OTHER_FILES = 256
"""Files that a process has open beside its connections: models, pipes to their processes, the log."""


class Transport(uvicorn.Config):
    """uvicorn's configuration for the settings of the service."""

    edge: Edge
    at_once: AtOnce | None
    """What answers the usual request; None where something stands around the application that has to see it."""

    def __init__(self, app: Any, settings: ServeSettings, **options: Any) -> None:
        """Prepare for an application, or for the name of what makes one; `options` are uvicorn's."""
        self.settings = settings
        super().__init__(
            app,
            http=Prompt,
            ws="none",
            log_config=None,  # its events go where ours go
            access_log=False,
            server_header=False,
            proxy_headers=False,  # believed of proxies that are named, and of no other
            timeout_keep_alive=int(settings.keep_alive_s),
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            **options,
        )

    def load(self) -> None:
        """Make the application, and put around it what the settings ask for."""
        super().load()
        app = self.loaded_app
        registry = app.registry
        refused = registry.observation.sheet.refused
        self.edge = Edge(self.settings, room_for(self.settings.max_connections), refused, registry.draining)
        self.loaded_app = around(app, self.settings)
        self.at_once = app.at_once if self.loaded_app is app else None


def room_for(connections: int) -> int:
    """How many of so many connections the system lets this process have, which is asked for them."""
    wanted = connections + RESERVE + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(connections, soft - RESERVE - OTHER_FILES))
    return connections
