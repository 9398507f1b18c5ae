"""Texts of several requests are tokenised together, and each request gets its own tokens."""

import asyncio

import numpy as np
import pytest

from elsewise.engines.tokenizer import Tokens
from elsewise.server.served import divided
from elsewise.server.tokenising import Tokenising


class Model:
    """Reads a text as its code points, remembers what it was asked, and fails on some texts."""

    def __init__(self):
        self.asked = []

    def prepare(self, texts):
        self.asked.append(list(texts))
        if "bad" in texts:
            raise ValueError("cannot be read")
        return Tokens.of([[ord(letter) for letter in text] for text in texts], [len(text) > 5 for text in texts])


def words(tokens):
    return ["".join(map(chr, ids.tolist())) for ids in tokens], tokens.truncated.tolist()


def asked(*requests):
    """What each request (model, texts) gets, all asked in one turn of the loop."""

    async def run():
        tokenising = Tokenising()
        return await asyncio.gather(*(tokenising.ask(*each) for each in requests), return_exceptions=True)

    return asyncio.run(run())


def test_requests_of_one_turn_are_one_call_and_each_gets_its_own():
    model = Model()

    made = asked((model, ["a", "much longer"]), (model, []), (model, [""]), (model, ["bc"]))

    assert model.asked == [["a", "much longer", "", "bc"]]
    assert [words(tokens) for tokens in made] == [
        (["a", "much longer"], [False, True]),
        ([], []),
        ([""], [False]),
        (["bc"], [False]),
    ]


def test_the_next_turn_is_another_call():
    model, tokenising = Model(), Tokenising()

    async def run():
        return [words(await tokenising.ask(model, [text])) for text in ("a", "b")]

    assert asyncio.run(run()) == [(["a"], [False]), (["b"], [False])]
    assert model.asked == [["a"], ["b"]]


def test_a_text_that_fails_takes_no_other_request_along():
    model = Model()

    good, bad = asked((model, ["a"]), (model, ["bad"]))

    assert words(good) == (["a"], [False])
    assert isinstance(bad, ValueError)


def test_each_model_reads_its_own_texts_where_it_was_swapped_in_this_turn():
    old, new = Model(), Model()

    made = asked((old, ["a"]), (new, ["b"]), (old, ["c"]))

    assert (old.asked, new.asked) == ([["a", "c"]], [["b"]])
    assert [words(tokens)[0] for tokens in made] == [["a"], ["b"], ["c"]]


def test_a_request_that_was_cancelled_meanwhile_is_left_alone():
    model = Model()

    async def run():
        tokenising = Tokenising()
        gone, stays = tokenising.ask(model, ["a"]), tokenising.ask(model, ["b"])
        gone.cancel()
        return words(await stays)

    assert asyncio.run(run()) == (["b"], [False])


@pytest.mark.parametrize("counts", [(2, 0, 1, 3), (6,), (0, 0, 6)])
def test_prepared_texts_are_divided_in_their_order(counts):
    texts = ["a", "", "bcd", "e", "fg", ""]
    tokens = Tokens.of([[ord(letter) for letter in text] for text in texts], [True, False] * 3)

    parts, plain = divided(tokens, counts), divided(texts, counts)

    assert [len(part) for part in parts] == [len(part) for part in plain] == list(counts)
    assert [word for part in parts for word in words(part)[0]] == [word for part in plain for word in part] == texts
    assert np.concatenate([part.truncated for part in parts]).tolist() == [True, False] * 3
