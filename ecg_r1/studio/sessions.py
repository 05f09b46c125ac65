"""What visitors have on their screens, forgotten a while after its last use.

Gradio itself keeps a session, with what stood in every field, until ten thousand others have
come; its expiry knows only states that a handler has returned.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradio.state_holder import StateHolder


def forget_idle(holder: "StateHolder", keep_s: float) -> None:
    """Drop everything of the visitors who have done nothing for `keep_s` seconds."""
    now = datetime.now()  # of no time zone, as Gradio notes it
    for visitor, used in list(holder.time_last_used.items()):
        if (now - used).total_seconds() > keep_s:
            holder.session_data.pop(visitor, None)
            del holder.time_last_used[visitor]


def forgetting(
    keep_s: float, every_s: float = 60.0
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan for the server's app, in which idle visitors are forgotten.

    Args:
        keep_s: Seconds without use after which a visitor is idle.
        every_s: Seconds between two looks.
    """

    async def sweep(holder: "StateHolder") -> None:
        while True:
            await asyncio.sleep(every_s)
            # In the loop's own thread, where sessions are looked up.
            forget_idle(holder, keep_s)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(sweep(app.state_holder))
        try:
            yield
        finally:
            task.cancel()

    return lifespan
