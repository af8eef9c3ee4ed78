"""The request client: OpenAI-compatible endpoints and local models behind one interface, with cache, retries and cost.

Importing this package imports neither openai nor torch; they load with the first request.
"""

from selkit.models.client.endpoints import Endpoint, address_inputs, parse_endpoint
from selkit.models.client.service import ChatService

__all__ = ["ChatService", "Endpoint", "address_inputs", "parse_endpoint"]
