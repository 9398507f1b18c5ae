"""A stream of lines that ends early: what was read is answered, and no work is left behind."""

import asyncio
import gc
from functools import partial
from types import SimpleNamespace

import pytest

pytest.importorskip("msgspec")

from elsewise.server import decide
from elsewise.server.asgi import ClientGone
from elsewise.server.problems import Problem
from elsewise.server.schemas import Options


def ended(monkeypatch, parts, answers):
    """Read `parts` of a stream, whose answers are given or raised; give what is written, and what asyncio says."""
    complaints, running = [], []

    async def in_parts(_desk, _call):
        for number, part in enumerate(parts):
            if callable(part):
                await asyncio.sleep(0.01)
                raise part()
            yield number + 1, [part]

    async def answer_lines(_desk, _call, _options, first, _lines):
        running.append(first)
        await asyncio.sleep(0)
        answer = answers[first - 1]
        if callable(answer):
            raise answer()
        await asyncio.sleep(answer.count(b" ") / 10)
        running.remove(first)
        return answer

    async def read():
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said["message"]))
        found = [line async for line in decide._lines(SimpleNamespace(), SimpleNamespace(), Options(), None)]
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return found, left

    monkeypatch.setattr(decide, "_in_parts", in_parts)
    monkeypatch.setattr(decide, "_answer_lines", answer_lines)
    written, left = asyncio.run(read())
    gc.collect()
    assert left == []
    return written, complaints


def test_a_client_that_went_while_its_lines_failed_leaves_no_error_behind(monkeypatch):
    late = partial(Problem, "deadline", "the request was not answered in time")

    assert ended(monkeypatch, [b"a", ClientGone], [late]) == ([], [])


def test_lines_that_were_read_are_answered_before_the_last_line_says_why(monkeypatch):
    wrong = partial(Problem, "request_invalid", "a line is too long")

    written, complaints = ended(monkeypatch, [b"a", b"b", wrong], [b"1", b"2 2"])

    assert written[:2] == [b"1", b"2 2"]
    assert b"a line is too long" in written[2]
    assert complaints == []


def test_where_lines_cannot_be_answered_a_last_line_says_why_and_those_after_them_are_answered(monkeypatch):
    busy = partial(Problem, "draining", "the server is stopping")

    written, complaints = ended(monkeypatch, [b"a", b"b"], [busy, b"2"])

    assert written[0] == b"2"
    assert b"the server is stopping" in written[1]
    assert complaints == []
