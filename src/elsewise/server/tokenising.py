"""Tokenise the texts of all requests that come in one turn of the event loop together.

Of a short text alone, three quarters of the time go into the call.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from elsewise.server.served import Served, Texts, divided


@dataclass(slots=True, eq=False)
class Tokenising:
    """Requests whose texts wait for the end of this turn: the model, the texts, and the future of their tokens."""

    waiting: list[tuple[Served, Texts, "asyncio.Future[Any]"]] = field(default_factory=list)

    def ask(self, served: Served, texts: Texts) -> "asyncio.Future[Any]":
        """Give the future of n texts as a model reads them; it has the exception where they cannot be tokenised."""
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_soon(self._tokenise)
        future: asyncio.Future[Any] = loop.create_future()
        self.waiting.append((served, texts, future))
        return future

    def _tokenise(self) -> None:
        asked, self.waiting = self.waiting, []
        for served in dict.fromkeys(model for model, _, _ in asked):  # two, where it was swapped in this turn
            _answer([one for one in asked if one[0] is served])


def _answer(asked: "list[tuple[Served, Texts, asyncio.Future[Any]]]") -> None:
    """Tokenise the texts of requests for one model; alone, where one of them fails."""
    served = asked[0][0]
    try:
        ready = served.prepare([text for _, texts, _ in asked for text in texts])
        parts = divided(ready, [len(texts) for _, texts, _ in asked])
    except Exception as error:  # noqa: BLE001  whoever asked gets it
        if len(asked) > 1:
            for one in asked:
                _answer([one])
        elif not asked[0][2].done():
            asked[0][2].set_exception(error)
        return
    for (_, _, future), part in zip(asked, parts, strict=True):
        if not future.done():
            future.set_result(part)
