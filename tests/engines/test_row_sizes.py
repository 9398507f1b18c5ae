"""Fewer rows are taken only where they give the same bits as a full batch."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from elsewise.engines.row_sizes import prove_row_sizes, text_engines
from support.small_folders import classifier_of
from support.small_models import texts


@dataclass
class Sensitive:
    """A model whose last digit depends on the number of rows, below `least` rows."""

    inner: object
    least: int
    calls: list

    @property
    def widths(self):
        return self.inner.widths

    @property
    def budget(self):
        return self.inner.budget

    def forward(self, batches):
        for ids, mask in batches:
            self.calls.append(ids.shape)
            logits, features = next(iter(self.inner.forward([(ids, mask)])))
            yield (np.nextafter(logits, np.float32(99)) if len(ids) < self.least else logits), features


@pytest.fixture(scope="module")
def engine():
    return classifier_of().engine


def bits(engine, asked):
    outputs = engine.run(asked)
    return outputs.logits.tobytes(), outputs.features.tobytes()


def test_answers_keep_their_bits_and_few_texts_take_few_rows(engine):
    calls = []
    made = replace(engine, model=Sensitive(engine.model, 4, calls), fewer={})
    asked = texts(40, longest=20)
    before = bits(made, asked)
    alone = [bits(made, [text]) for text in asked[:5]]

    prove_row_sizes(made, lengths=range(3, 25))
    calls.clear()

    assert {rows for sizes in made.fewer.values() for rows in sizes} == {4}  # one row was seen to differ
    assert bits(made, asked) == before
    assert [bits(made, [text]) for text in asked[:5]] == alone
    assert {rows for rows, tokens in calls if tokens in made.fewer} >= {4}


def test_nothing_is_taken_that_differs(engine):
    made = replace(engine, model=Sensitive(engine.model, 1000, []), fewer={})
    full = replace(engine, model=Sensitive(engine.model, 5, []), fewer={})

    assert prove_row_sizes(full, lengths=[10], sizes=[1, 4]) == 0
    assert prove_row_sizes(made, lengths=[10], sizes=[1, 4]) == len(made.fewer.get(10, ()))


def test_the_real_engine_answers_the_same_afterwards(engine):
    made = replace(engine, fewer={})
    asked = [*texts(30, longest=15), "", "a"]
    before = bits(made, asked)

    prove_row_sizes(made, lengths=range(3, 19))

    assert bits(made, asked) == before
    for i, text in enumerate(asked):
        assert made.run([text]).logits.tobytes() == engine.run(asked).logits[i].tobytes()


def test_engines_inside_others_are_found(engine):
    class Around:
        def __init__(self, **inside):
            self.__dict__.update(inside)

    assert list(text_engines(Around(engine=Around(engine=engine, other=engine)))) == [engine, engine]
    assert list(text_engines(Around(members=(engine, engine)))) == [engine, engine]
    assert list(text_engines(object())) == []
