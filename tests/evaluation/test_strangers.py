"""How many strange texts would get a label: counted right, shown where it can be known, and never fitted on."""

import ast
import json
import warnings
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.strangers import strange_texts
from elsewise.engines.external import ExternalEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError, InputError
from elsewise.evaluation import strangers
from elsewise.evaluation.strangers import measure_strangers, strangers_of

SURE, UNSURE = [4.0, 0.0], [0.1, 0.0]
KINDS = "(weather, sports, greetings, other languages, random letters)"


def by_heart(answered):
    """A classifier that answers the first of the strange texts."""
    engine = MemoryEngine(("yes", "no"), dict.fromkeys(strange_texts()[:answered], SURE), default=UNSURE)
    return ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.8))


def around(answer):
    """A classifier around a user's model."""

    class Mine:
        labels = ("yes", "no")
        run = staticmethod(answer)

    return ew.Classifier(ExternalEngine.around(Mine()), ew.Identity(), ew.FixedThreshold(0.8))


@pytest.mark.parametrize(("answered", "words"), [(0, "none"), (1, "0.5 %"), (8, "4 %"), (200, "100 %")])
def test_answers_are_counted(answered, words):
    measured = measure_strangers(by_heart(answered))

    assert (measured.n, measured.answered) == (200, answered)
    assert measured.sentence == f"Of 200 built-in strange texts {KINDS} {words} would get a label."


def test_a_text_that_cannot_be_read_gets_no_label():
    engine = MemoryEngine(("yes", "no"), {"a text": SURE})

    assert measure_strangers(ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.0))).answered == 0


def test_a_model_of_logits_reads_no_texts():
    z, codes = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1)), np.tile([0, 1], 300)
    codes[:12] = 1 - codes[:12]
    classifier = ew.calibrate(z, codes, count_repeats=True)

    assert measure_strangers(classifier) is None
    assert ew.evaluate(classifier, z, codes=codes).strangers is None


def test_a_model_of_yours_is_asked_where_it_is_there():
    there = around(lambda texts: ew.Outputs(np.array([SURE if "?" in text else UNSURE for text in texts])))
    elsewhere = replace(there, engine=replace(there.engine, answer=None))

    assert measure_strangers(there).answered == sum("?" in text for text in strange_texts())
    assert measure_strangers(elsewhere) is None


def failing(texts):
    raise KeyError(texts[0])


def nearly_failing(texts):
    return ew.Outputs(np.array([SURE] + [[np.nan] * 2] * (len(texts) - 1)))


@pytest.mark.parametrize(("answer", "answered"), [(failing, None), (nearly_failing, 1)])
def test_a_model_of_yours_that_fails_on_strange_texts_disturbs_nobody(answer, answered):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure_strangers(around(answer))

    assert (measured and measured.answered) == answered


def test_a_failure_of_another_engine_is_told(monkeypatch):
    monkeypatch.setattr(strangers, "strange_texts", lambda: "one string, and no list")

    with pytest.raises(InputError):
        measure_strangers(by_heart(1))


def test_what_an_evaluation_says_is_not_measured_again(monkeypatch):
    classifier = by_heart(8)
    judged = classifier.with_provenance(evaluation=ew.evaluate(classifier, ["a text"], ["yes"]).as_dict())
    monkeypatch.setattr(strangers, "strange_texts", lambda: pytest.fail("measured again"))

    assert strangers_of(judged).answered == 8


def test_an_evaluation_of_another_engine_or_an_earlier_version_says_nothing():
    classifier = by_heart(8)
    other = ew.evaluate(by_heart(9), ["a text"], ["yes"]).as_dict()
    earlier = {"engine": {"fingerprint": classifier.engine.fingerprint}}

    found = [strangers_of(classifier.with_provenance(evaluation=judged)) for judged in (other, earlier, None)]

    assert [one.answered for one in found] == [8, 8, 8]


def test_an_evaluation_that_holds_something_else_is_refused():
    classifier = by_heart(8)
    judged = {**ew.evaluate(classifier, ["a text"], ["yes"]).as_dict(), "strangers": {"n": 200}}

    with pytest.raises(ArtifactError, match=r"evaluation\.json cannot be read"):
        strangers_of(classifier.with_provenance(evaluation=judged))


def test_an_evaluation_ends_with_the_line():
    judged = ew.evaluate(by_heart(8), ["a text"], ["yes"])

    assert judged.as_dict()["strangers"] == {"n": 200, "answered": 8, "sentence": judged.strangers.sentence}
    assert "8 of 200" in str(judged).splitlines()[-1]


class Model:
    """Twice too sure, with features, by the hash of a text."""

    labels = ("delivery", "login", "refund")

    def run(self, texts):
        z = np.array([np.random.default_rng(crc32(text.encode())).normal(size=3) for text in texts])
        return ew.Outputs(8 * z.reshape(-1, 3), features=np.tanh(z).repeat(2, axis=1).reshape(-1, 6))


def fitted():
    texts = [f"text number {i}" for i in range(1200)]
    honest = Model().run(texts).logits / 2
    codes = (honest + np.random.default_rng(0).gumbel(size=honest.shape)).argmax(axis=1)
    return ew.fit(texts, [Model.labels[code] for code in codes], engine=Model(), target_accuracy=0.85, score="auto")


def test_what_is_fitted_is_the_same_to_the_last_bit_with_other_strange_texts(monkeypatch):
    before = fitted()
    monkeypatch.setattr(strangers, "strange_texts", lambda: tuple(f"text number {i}" for i in range(300, 350)))
    after = fitted()

    (entry, arrays), (other_entry, other_arrays) = before.entry(), after.entry()
    assert (before.evaluation["strangers"]["n"], after.evaluation["strangers"]["n"]) == (200, 50)
    assert json.dumps(entry) == json.dumps(other_entry)
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in other_arrays.items()
    }
    changed = {name for name in before.evaluation if before.evaluation[name] != after.evaluation[name]}
    assert changed == {"strangers"}


@pytest.mark.slow
def test_only_the_count_reads_them_and_nothing_that_fits_reads_the_count():
    source = Path(ew.__file__).parent
    readers = {"elsewise.data.strangers": set(), "elsewise.evaluation.strangers": set()}
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in readers:
                readers[node.module].add(path.relative_to(source).as_posix())

    assert readers["elsewise.data.strangers"] == {"evaluation/strangers.py"}
    assert readers["elsewise.evaluation.strangers"] == {
        "cli/demo.py", "cli/tables.py", "evaluation/evaluate.py", "fitting/threshold.py",
    }  # fmt: skip
