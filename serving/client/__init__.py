"""The client: a running service asked from a notebook, in DataFrames. It knows the service by HTTP only."""

from contract.errors import RequestRefused, RowsRefused, ServiceUnreachable
from serving.client.model import Model
from serving.client.service import Client

__all__ = ["Client", "Model", "RequestRefused", "RowsRefused", "ServiceUnreachable"]
