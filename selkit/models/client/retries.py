"""Tries a call again after passing failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from selkit.models.client.faults import Fault

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

LONGEST_WAIT = 60.0


async def with_retries(
    call: Callable[[], Awaitable[T]], *, seconds: float, backoff: float, pause: Callable[[float], Awaitable[None]]
) -> T:
    """What ``call`` returns, tried again while it raises a transient :class:`Fault`.

    Between tries it waits as long as the server asks, and a random time up to ``backoff`` more. Where the server does
    not say, it waits a random time up to 1, 2, 4, ... times ``backoff``, at most :data:`LONGEST_WAIT` ('full jitter').

    Args:
        call: One try.
        seconds: No try begins later than this after the first.
        backoff: Seconds, see above.
        pause: Waits for a number of seconds.

    Raises:
        Fault: That of the last try.
    """
    from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_random, wait_random_exponential

    growing = wait_random_exponential(multiplier=backoff, max=LONGEST_WAIT)
    jitter = wait_random(0, backoff)

    def wait(state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        asked = fault.wait if isinstance(fault, Fault) else None
        return float(growing(state) if asked is None else asked + jitter(state))

    retrying = AsyncRetrying(
        sleep=pause,
        wait=wait,
        stop=stop_before_delay(seconds),
        retry=retry_if_exception(lambda error: isinstance(error, Fault) and error.transient),
        reraise=True,
    )
    result: T = await retrying(call)
    return result
