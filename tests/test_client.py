"""The client: answers as values, tries again when the server says so, and errors with the server's codes."""

import asyncio
import time
import warnings

import httpx
import pytest

from elsewise.client import AsyncClient, Client, ServerError
from elsewise.errors import InputError
from support.serving import TEXTS, by_heart, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    place = tmp_path_factory.mktemp("served") / "by-heart"
    by_heart().save(place)
    with serving(place) as made:
        yield made


def replying(*replies, asked=None):
    """A transport that gives prepared replies in turn; an exception is raised."""
    left = list(replies)

    def handle(request):
        if asked is not None:
            asked.append(time.monotonic())
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return httpx.MockTransport(handle)


GOOD = httpx.Response(200, json={"model": "m", "certificate": None, "answers": [{"label": "a", "abstained": False}]})


def test_answers_come_in_order_with_what_was_asked_for(served):
    with Client(served.url) as client:
        answers = client.decide([*TEXTS, ""] * 50, top=1, sentences="en")

    assert len(answers) == 250
    assert [answer.label for answer in answers[:5]] == ["delivery", "billing", "returns", "Other", "Other"]
    assert answers[2].more["top"][0]["label"] == "returns"
    assert answers[3].more["customer_sentence"].startswith("This text was not sorted")
    assert {answer.model for answer in answers} == {served.client.get("/health/ready").json()["model"]}


def test_the_same_from_asyncio(served):
    async def ask():
        async with AsyncClient(served.url) as client:
            answers = await client.decide(list(TEXTS))
            feedback = await client.feedback(answers[0].id, "delivery")
            return answers, feedback, await client.certificate()

    answers, feedback, certificate = asyncio.run(ask())

    assert [answer.label for answer in answers] == ["delivery", "billing", "returns", "Other"]
    assert feedback["right"] is True
    assert certificate["model"] == answers[0].model


def test_a_bad_text_has_a_problem_and_no_decision(served):
    with Client(served.url) as client:
        good, bad = client.decide(["send it back", "x" * 100_001])

    assert (good.problem, good.label) == (None, "returns")
    assert (bad.problem["code"], bad.abstained, bad.label) == ("text_long", True, "")


def test_a_refusal_has_the_code_of_the_server(served):
    with Client(served.url) as client, pytest.raises(ServerError, match="Expected `float` <= 1") as caught:
        client.decide(["a"], threshold=2.0)

    assert (caught.value.code, caught.value.status) == ("request_invalid", 422)


@pytest.mark.slow
def test_a_full_server_is_asked_again_when_it_says(served):
    asked = []
    full = httpx.Response(429, json={"code": "queue_full", "detail": "full"}, headers={"retry-after": "1"})
    with Client("http://there", transport=replying(full, GOOD, asked=asked)) as client:
        (answer,) = client.decide(["a"])

    assert answer.label == "a"
    assert 1.0 <= asked[1] - asked[0] < 2.0


def test_a_server_that_restarts_is_asked_again():
    gone = httpx.ConnectError("refused")
    with Client("http://there", transport=replying(gone, gone, httpx.Response(503), GOOD)) as client:
        assert client.decide(["a"])[0].label == "a"


def test_tries_end():
    full = httpx.Response(429, json={"code": "queue_full", "detail": "42 tokens wait"})
    busy = Client("http://there", tries=2, transport=replying(full, full, GOOD))
    with busy, pytest.raises(ServerError, match="42 tokens wait") as caught:
        busy.decide(["a"])
    assert caught.value.status == 429

    gone = httpx.ConnectError("refused")
    lost = Client("http://there", tries=2, transport=replying(gone, gone))
    with lost, pytest.raises(ServerError, match="cannot be reached: refused"):
        lost.decide(["a"])


def test_other_errors_are_not_sent_again():
    client = Client("http://there", transport=replying(httpx.Response(500), GOOD))
    with client, pytest.raises(ServerError, match="answered 500"):
        client.decide(["a"])


def test_one_string_is_not_taken_for_many():
    with Client("http://there") as client, pytest.raises(InputError, match=r"pass \[text\]"):
        client.decide("send it back")


def test_a_key_is_sent_and_never_shown():
    with Client("http://there", key="secret") as client:
        assert client._http.headers["authorization"] == "Bearer secret"
        assert "secret" not in repr(client)


def test_nothing_is_left_open(served):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Client(served.url) as client:
            list(client.stream(TEXTS))
