"""What holds for every engine in the table. A new engine needs a line in MADE, which makes a small one."""

import json
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

from elsewise.engines import ENGINES, TEXT_ENGINES, engine_class, kind_of, open_entry, prepared, quick_run, reads_logits
from elsewise.engines.cascade import every_text_read
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.second_opinion import SecondOpinion
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.fitting.engine_choice import files_for
from elsewise.outputs import Outputs, entropy
from support.native import compiled
from support.small_models import LABELS, LONGEST, asking_a_second, before, graph_of, texts, with_token_counts

KNOWN = texts(64)[:40]
UNREADABLE = ["", None, float("nan"), "   ", "\t\n", "\x00\x01\x07", "\u200b\u200d", "\ufeff", "\ud83d", "\u00a0\u2028"]


@pytest.fixture(scope="module")
def files():
    return graph_of("bert")


def text_engine(name, precision):
    def make(files):
        if name == "native":
            compiled()
        opener = engine_class(name)
        if precision not in opener.precisions():
            pytest.skip(f"{name} does not compute in {precision} here: it is tested where it does")
        its_files, learner = files
        its_files = files_for(name, precision, its_files, learner.tokenize(texts(60)))
        engine = opener.open(Opening(its_files, LABELS, {**learner.tokenize.settings, "precision": precision}))
        return engine, KNOWN, [*UNREADABLE, "完"]

    return make


def second_opinion(name, precision):
    def make(files):
        engine, known, unreadable = text_engine(name, precision)(files)
        return asking_a_second(engine, files[1]), known, unreadable

    return make


def token_counts(name, precision):
    def make(files):
        engine, known, unreadable = text_engine(name, precision)(files)
        return with_token_counts(engine, files[1]), known, unreadable

    return make


def all_opinions(files):
    engine, known, unreadable = token_counts("openvino", "f32")(files)
    return asking_a_second(engine, files[1]), known, unreadable


def cascade(files):
    engine, known, unreadable = all_opinions(files)
    return before(engine, files[1]), known, unreadable


def ensemble(files):
    """Three models of other weights, which share a tokenizer."""
    engine, known, unreadable = text_engine("openvino", "f32")(files)
    members = [engine, *(text_engine("openvino", "f32")(graph_of("bert", seed=seed))[0] for seed in (1, 2))]
    return engine_class("ensemble")(members), known, unreadable


def ensemble_of_tables(_):
    engine, known, unreadable = memory_engine(None)
    other = type(engine)(LABELS, {text: logits[::-1] for text, logits in engine.table.items()})
    return engine_class("ensemble")([engine, other]), known, unreadable


def laplace(name, precision):
    def make(files):
        engine, known, unreadable = text_engine(name, precision)(files)
        made = engine_class("laplace").fit(engine, texts(60), known, np.full(len(known), -1))
        return replace(made, prior_precision=1.0), known, unreadable

    return make


def mc_dropout(files):
    engine, known, unreadable = text_engine("torch", "f32")(files)
    return engine_class("mc_dropout")(engine, passes=2), known, unreadable


def memory_engine(_):
    rng = np.random.default_rng(0)
    table = {text: rng.normal(size=len(LABELS)).tolist() for text in texts(64)}
    return engine_class("memory")(LABELS, table), texts(64), [*UNREADABLE, "never heard of"]


def logits_engine(_):
    rows = np.random.default_rng(0).normal(size=(64, len(LABELS))).tolist()
    unreadable = [[bad, *[0.0] * (len(LABELS) - 1)] for bad in (np.nan, np.inf)]
    return engine_class("logits")(LABELS), rows, unreadable


class Hashing:
    """A model that its user holds: every text has its own numbers."""

    labels = LABELS

    def run(self, texts):
        numbers = [np.random.default_rng(crc32(text.encode())).normal(size=len(LABELS)) for text in texts]
        return Outputs(np.array(numbers), features=np.array(numbers)[:, :4])


def given_engine(_):
    return engine_class("given").around(Hashing()), texts(64), UNREADABLE


def reopened(engine, files, labels, settings, threads=None):
    """Open what was saved; a model that no folder holds is passed again."""
    entry = {"name": engine.name, "settings": settings}
    again = open_entry(entry, Opening(files, labels, {}, threads))
    return replace(again, answer=engine.answer) if kind_of(engine.name).certify_again == "pass it" else again


def sklearn_engine(_):
    """With random weights; nothing in the unreadable texts is known to it."""
    rng, words = np.random.default_rng(0), sorted({word for text in texts(64) for word in text.split()})
    pieces = [f"{word[:1]} " for word in words if len(word) == 1 and word != "?"] + ["re", "wh", " ?", "12"]
    weights = rng.normal(size=(len(LABELS), len(words) + len(pieces))).astype(np.float32)
    idf, biases = (rng.uniform(1, 3, size=n).astype(np.float32) for n in (weights.shape[1], len(LABELS)))
    return engine_class("sklearn")(LABELS, words, pieces, idf, weights, biases), texts(64), [*UNREADABLE, "完"]


MADE = {  # makes an engine, its texts, and texts that it cannot read
    "ensemble": ensemble,
    "ensemble of tables": ensemble_of_tables,
    "given": given_engine,
    "laplace f32": laplace("openvino", "f32"),
    "laplace int8": laplace("openvino", "int8"),
    "logits": logits_engine,
    "mc_dropout": mc_dropout,
    "memory": memory_engine,
    "sklearn": sklearn_engine,
    **{
        f"{name} {precision}": text_engine(name, precision)
        for name, precision in (
            *(("native", precision) for precision in ("f32", "int8")),
            *(("openvino", precision) for precision in ("f32", "bf16", "int8")),
            ("onnxruntime", "f32"),
            *(("torch", precision) for precision in ("f32", "bf16", "f16")),
        )
    },
    **{
        f"{name} {precision} with a second opinion": second_opinion(name, precision)
        for name, precision in (("native", "int8"), ("openvino", "f32"), ("openvino", "int8"), ("torch", "f32"))
    },
    "native int8 with token counts": token_counts("native", "int8"),
    "onnxruntime f32 with token counts": token_counts("onnxruntime", "f32"),
    "openvino f32 with all opinions": all_opinions,
    "openvino f32 with all opinions, behind token counts": cascade,
}


@pytest.fixture(scope="module", params=MADE)
def made(request, files):
    return MADE[request.param](files)


@pytest.fixture(scope="module")
def answers(made):
    engine, known, _ = made
    return engine.run(known)


def equal(outputs, others):
    """Bit for bit, NaN included."""
    columns = Outputs.__dataclass_fields__
    pairs = [(getattr(outputs, column), getattr(others, column)) for column in columns]
    return all(one is other is None or np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)


def rows(outputs, which):
    return outputs.take(np.arange(len(outputs.logits))[which])


def test_every_engine_is_made_here():
    assert {name.split()[0] for name in MADE} == set(ENGINES)


def test_an_unknown_engine_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match=r"^unknown engine 'abacus'; there are ensemble, given, laplace, logits, mc_dropout"
    ):
        engine_class("abacus")


@pytest.mark.parametrize("name", TEXT_ENGINES)
def test_a_precision_that_is_not_there_is_refused_with_those_that_are(files, name):
    its_files, learner = files
    if name == "native":
        compiled()

    with pytest.raises(InputError, match=rf"engine {name} does not compute in int4 on this machine, but in f32"):
        engine_class(name).open(Opening(its_files, LABELS, {**learner.tokenize.settings, "precision": "int4"}))


def test_there_is_a_row_for_each_text_and_a_column_for_each_label(made, answers):
    engine, known, _ = made

    assert engine.labels == LABELS
    assert answers.logits.shape == (len(known), len(LABELS))
    assert np.isfinite(answers.logits).all()
    assert len(np.unique(answers.logits.round(6), axis=0)) > 32
    read = slice(None) if answers.early is None else ~answers.early
    assert answers.features is None or len(answers.features) == len(known)
    assert answers.features is None or np.isfinite(answers.features[read]).all()


def test_a_text_alone_has_the_answer_it_has_among_others(made, answers):
    engine, known, _ = made

    for i in (0, 1, 17, 28, 39):
        assert equal(engine.run([known[i]]), rows(answers, slice(i, i + 1)))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_texts_changes_no_answer(made, answers, seed):
    engine, known, _ = made
    order = np.random.default_rng(seed).permutation(len(known))

    assert equal(engine.run([known[i] for i in order]), rows(answers, order))


def test_any_part_of_the_texts_has_the_same_answers(made, answers):
    engine, known, _ = made
    for size in (2, 7, 33):
        parts = [engine.run(known[start : start + size]) for start in range(0, len(known), size)]
        assert np.vstack([part.logits for part in parts]).tobytes() == answers.logits.tobytes()


def test_a_text_that_comes_twice_is_answered_twice(made, answers):
    engine, known, _ = made

    assert equal(engine.run([known[3]] * 5), rows(answers, [3] * 5))


def test_an_unreadable_text_is_a_row_of_nan_and_changes_no_other(made, answers):
    engine, known, unreadable = made
    mixed = [text for pair in zip(known, unreadable, strict=False) for text in pair]

    outputs, only = engine.run(mixed), engine.run(unreadable)

    assert np.isnan(only.logits).all()
    assert np.isnan(outputs.logits[1::2]).all()
    assert outputs.logits[::2].tobytes() == answers.logits[: len(unreadable)].tobytes()
    if outputs.features is not None:
        assert np.isnan(outputs.features[1::2]).all()


def test_what_models_disagree_by_is_no_less_than_nothing_and_no_more_than_all(made, answers):
    """Where an engine tells: 0 to the entropy, of some texts more, and NaN for what cannot be read."""
    engine, known, unreadable = made
    epistemic = answers.epistemic
    if epistemic is None:
        assert kind_of(engine.name).certify_again != "fit"
        return

    assert epistemic.shape == (len(known),)
    assert epistemic.dtype == np.float64
    assert (epistemic >= 0).all()
    assert (epistemic <= entropy(answers.logits) + 1e-5).all()
    assert len(np.unique(epistemic.round(6))) > 32
    assert np.isnan(engine.run(unreadable).epistemic).all()


def test_no_texts_have_no_rows(made):
    outputs = made[0].run([])

    assert outputs.logits.shape == (0, len(LABELS))
    assert outputs.features is None or len(outputs.features) == 0
    assert outputs.truncated is None or outputs.truncated.tolist() == []


def test_texts_made_ready_beforehand_have_the_same_answers(made, answers):
    engine, known, unreadable = made

    ready = prepared(engine, [*known, *unreadable])
    outputs = engine.run(ready)

    assert len(ready) == len(known) + len(unreadable)
    assert equal(rows(outputs, slice(len(known))), answers)
    if isinstance(ready, Tokens):
        assert outputs.tokens.tolist() == ready.lengths.tolist()


def test_a_quick_run_gives_the_same_but_for_the_last_digits(made, answers):
    engine, known, _ = made
    tolerance = 0.3 if engine.settings.get("precision", "f32") in ("bf16", "f16", "int8") else 1e-4

    engine = every_text_read(engine)  # quickly, it reads every text
    if isinstance(engine, SecondOpinion):  # and asks about every text
        answers = replace(engine, pool=replace(engine.pool, energy=np.inf)).run(known)

    quick = quick_run(engine, prepared(engine, known))

    assert quick.logits == pytest.approx(answers.logits, abs=tolerance)


def test_an_engine_says_what_it_reads(made):
    engine, known, _ = made

    assert reads_logits(engine) == (not isinstance(known[0], str))


def test_what_is_saved_opens_as_it_was(made, tmp_path):
    engine, known, _ = made
    settings = json.loads(json.dumps(dict(engine.settings)))
    canaries = json.loads(json.dumps(list(engine.canaries)))

    engine.save(tmp_path)
    again = reopened(engine, ModelFiles.of(tmp_path), engine.labels, settings)

    assert 1 <= len(canaries) <= 32
    assert again.labels == engine.labels
    assert again.fingerprint == engine.fingerprint
    assert equal(again.run(known), engine.run(known))
    assert equal(again.run(canaries), engine.run(canaries))


def test_the_fingerprint_is_known_before_a_library_reads_any_file(made, tmp_path, monkeypatch):
    """Files that are none have a fingerprint, too: only their hashes count. Of light engines it is known afterwards."""
    from elsewise.engines import early_fingerprint, entry_of

    engine, *_ = made
    engine.save(tmp_path)
    files = ModelFiles.of(tmp_path)
    for name in files.digests:
        if not name.endswith(("laplace.safetensors", "memory.json")):  # read by our own code
            (tmp_path / name).write_bytes(b"no file that any library can read")

    found = early_fingerprint(entry_of(engine), Opening(files, engine.labels, {}))

    assert found in (None, engine.fingerprint)
    assert (found is None) == (engine.name in ("given", "logits", "memory", "sklearn"))


def test_threads_change_no_answer(made, answers, tmp_path):
    """Of torch the last digits may differ on several threads, as docs/engines.md says."""
    engine, known, _ = made
    engine.save(tmp_path)
    for threads in (1, 3):
        one = reopened(engine, ModelFiles.of(tmp_path), engine.labels, engine.settings, threads)
        found = one.run(known)
        if engine.name in ("torch", "mc_dropout"):
            assert np.allclose(found.logits, answers.logits, rtol=0, atol=1e-5, equal_nan=True)
        else:
            assert equal(found, answers)
        assert one.fingerprint == engine.fingerprint


def test_two_threads_of_a_program_may_ask_at_once(made, answers):
    from concurrent.futures import ThreadPoolExecutor

    engine, known, _ = made
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(engine.run, [known] * 4):
            assert equal(outputs, answers)


@pytest.mark.parametrize("name", TEXT_ENGINES)
def test_a_long_text_is_cut_where_the_model_ends_and_this_is_said(files, name):
    engine, _, _ = text_engine(name, "f32")(files)
    fits, longer, other_end = ("a " * (LONGEST - 2), "a " * (LONGEST - 1), "a " * (LONGEST - 2) + "refund refund")

    outputs = engine.run([fits, longer, other_end, "a"])

    assert outputs.truncated.tolist() == [False, True, True, False]
    assert outputs.tokens.tolist() == [LONGEST, LONGEST, LONGEST, 3]
    assert outputs.logits[0].tobytes() == outputs.logits[1].tobytes() == outputs.logits[2].tobytes()


@pytest.mark.parametrize("name", TEXT_ENGINES)
def test_a_model_with_other_labels_is_refused(files, name):
    from elsewise.errors import ArtifactError

    its_files, learner = files
    if name == "native":
        compiled()
    its_files = files_for(name, "f32", its_files, learner.tokenize([]))
    with pytest.raises(ArtifactError, match=r"gives 30 logits, and there are 2 labels"):
        engine_class(name).open(Opening(its_files, ("a", "b"), {**learner.tokenize.settings, "precision": "f32"}))
