"""The request client: OpenAI-compatible endpoints and local models behind one interface, with cache, retries and cost.

Importing this package imports neither openai nor torch; they load with the first request.
"""

from selkit.models.client.endpoints import Endpoint, parse_endpoint
from selkit.models.client.service import ChatService

__all__ = ["ChatService", "Endpoint", "parse_endpoint"]
