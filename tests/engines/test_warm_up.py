"""Warming up changes no bit, and what it compared is used at once."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from elsewise.engines.short_batches import ShortBatches
from elsewise.engines.warm_up import text_engines, warm_up
from support.small_folders import classifier_of
from support.small_models import texts


@dataclass
class Watched:
    """A model whose last digit depends on the number of rows below `least`, and that remembers its shapes."""

    inner: object
    least: int = 1
    shapes: list = field(default_factory=list)
    short: ShortBatches = field(default_factory=ShortBatches)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def forward(self, batches):
        for ids, mask in batches:
            self.shapes.append(ids.shape)
            logits, features = next(iter(self.inner.forward([(ids, mask)])))
            yield (np.nextafter(logits, np.float32(99)) if len(ids) < self.least else logits), features


@pytest.fixture(scope="module")
def engine():
    return classifier_of().engine


def test_the_first_short_batch_is_short_and_has_the_same_bits(engine):
    asked = texts(20, longest=12)
    before = [engine.run([text]).logits.tobytes() for text in asked]
    made = replace(engine, model=Watched(engine.model, least=2))

    warm_up(made, lengths=range(3, 15), rows=(1, 2))
    made.model.shapes.clear()
    after = [made.run([text]).logits.tobytes() for text in asked]

    assert after == before
    assert {same for (rows, _), same in made.model.short.same.items() if rows == 1} == {False}
    assert all(rows > 1 for rows, _ in made.model.shapes)


def test_agreeing_shapes_are_counted_once(engine):
    made = replace(engine, model=Watched(engine.model))
    found = warm_up(made, lengths=[5, 6], rows=(1, 2))

    assert found == sum(made.model.short.same.values())
    assert warm_up(made, lengths=[5, 6], rows=(1, 2)) == 0


def test_engines_inside_others_are_found(engine):
    class Around:
        def __init__(self, **inside):
            self.__dict__.update(inside)

    assert list(text_engines(Around(engine=Around(engine=engine, other=engine)))) == [engine, engine]
    assert list(text_engines(Around(members=(engine, engine)))) == [engine, engine]
    assert warm_up(object()) == 0
