"""A cascade: what token counts answer, what is handed over, and what is refused of a folder that holds one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.engines.cascade import DOUBT, UNLIKE, HandOver
from elsewise.engines.token_counts import FILE, TokenCounts
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, InputError
from elsewise.metrics import clopper_pearson_upper

OVER = HandOver(temperature=1.0, confidence=0.9, evidence=2.0, energy=5.0, change=0.01)


def rows_of(n, wrong=0.0, seed=0):
    """Logits of two models on n texts of two labels: the first says another label so often, whatever its margin."""
    rng = np.random.default_rng(seed)
    codes, margins = rng.integers(2, size=n), rng.uniform(0, 10, size=n)
    sides = 2 * codes - 1
    second = np.column_stack([-sides, sides]) * 4.0
    sides = np.where(rng.random(n) < wrong, -sides, sides)
    first = np.column_stack([-sides, sides]) * margins[:, None] / 2 + 20
    return first.astype(np.float32), np.ones(n), second.astype(np.float32), codes


def test_how_much_of_a_text_is_known_by_hand():
    """An unknown token weighs as the rarest known one; one that stands in every text counts for nothing."""
    counts = TokenCounts(np.int32([7, 8]), np.float32([3, 4]), np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    texts = Tokens.of([[101, 7], [101, 7, 55], [101, 7, 8, 100], [101, 55], [101], []])

    logits, known = counts.judged(texts, silent=(101,))

    assert known == pytest.approx([1, 3 / 5, 5 / np.sqrt(41), 0, 0, 0])
    assert logits.tobytes() == counts.logits(texts).tobytes()


def test_a_text_is_answered_where_it_is_sure_and_like_the_train_texts():
    logits = np.float32([[4, 0], [1, 0], [4, 0], [4, 0]])

    assert OVER.answers(logits, np.array([1.0, 1.0, 0.4, 0.0])).tolist() == [True, False, False, False]


def test_a_text_of_which_nothing_is_known_is_handed_over_however_little_evidence_is_asked_for():
    assert replace(OVER, evidence=-1.0).answers(np.float32([[9, 0]]), np.zeros(1)).tolist() == [False]


def test_what_it_says_has_its_temperature_and_the_energy_of_the_others():
    said = replace(OVER, temperature=2.0).said(np.float32([[4, 0]]))

    assert softmax(said) == pytest.approx(softmax(np.float32([[2, 0]])), abs=1e-6)
    assert np.log(np.exp(said).sum()) == pytest.approx(5)


def test_as_much_is_handed_over_as_keeps_the_bound():
    """At the next confidence that is tried, more labels would change than is allowed, by the exact bound."""
    first, known, second, codes = rows_of(4000, wrong=0.04)

    over, handed = HandOver.fit(first, known, second, codes, change=0.01)

    changed = first.argmax(axis=1) != second.argmax(axis=1)
    assert handed.rows == 4000
    assert handed.changed == (changed & over.answers(first, known)).sum() > 0
    assert handed.bound == clopper_pearson_upper(handed.changed, 4000, 0.05) <= 0.01
    tried = 1 - 0.01 * DOUBT
    looser = replace(over, confidence=float(tried[np.flatnonzero(tried == over.confidence)[0] + 1]))
    more = (changed & looser.answers(first, known)).sum()
    assert clopper_pearson_upper(more, 4000, 0.05) > 0.01


def test_a_larger_share_hands_over_more():
    rows = rows_of(4000, wrong=0.04)

    early = [HandOver.fit(*rows, change=change)[1].early for change in (0.005, 0.01, 0.05)]

    assert early[0] < early[1] < early[2]


def test_a_text_is_never_answered_below_a_confidence_that_the_share_sets():
    """However few labels change: here none does."""
    over, handed = HandOver.fit(*rows_of(4000), change=0.02)

    assert handed.changed == 0
    assert over.confidence == pytest.approx(0.9)


def test_the_weakest_evidence_is_never_answered():
    first, known, second, codes = rows_of(1000)
    known = np.linspace(0.01, 1, 1000)

    over, handed = HandOver.fit(first, known, second, codes, change=0.01)

    evidence = first.max(axis=1) * known
    assert over.evidence == pytest.approx(np.quantile(evidence, UNLIKE))
    assert handed.early <= 800
    assert not over.answers(first, known)[evidence < over.evidence].any()


@pytest.mark.parametrize("n", [0, 298])
def test_with_few_rows_nothing_is_handed_over(n):
    assert HandOver.fit(*rows_of(n), change=0.01)[0] is None
    assert HandOver.fit(*rows_of(299), change=0.01)[0] is not None


def test_a_bad_first_stage_answers_nothing():
    first, known, second, codes = rows_of(2000)

    assert HandOver.fit(first[::-1], known, second, codes, change=0.01)[0] is None


def test_an_out_of_scope_row_counts_as_changed():
    first, known, second, codes = rows_of(2000)
    codes[::5] = -1

    over, handed = HandOver.fit(first, known, second, codes, change=0.3)

    assert handed.changed == (over.answers(first, known) & (codes == -1)).sum() > 0


def test_the_order_of_rows_changes_nothing():
    rows = rows_of(2000, wrong=0.04)
    order = np.random.default_rng(1).permutation(2000)

    over, handed = HandOver.fit(*rows, change=0.01)
    again, same = HandOver.fit(*(column[order] for column in rows), change=0.01)

    assert handed == same
    assert list(again.settings.values()) == pytest.approx(list(over.settings.values()))


def test_rows_that_cannot_be_read_are_left_out():
    first, known, second, codes = rows_of(400)
    second[:50] = np.nan

    assert HandOver.fit(first, known, second, codes, change=0.01)[1].rows == 350


def test_settings_are_read_as_they_were_written():
    assert HandOver.read(json.loads(json.dumps(OVER.settings))) == OVER


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"temperature": 0.0}, "temperature of token counts must be above 0"),
        ({"change": 1.0}, "cascade_change must lie between 0 and 1, got 1.0"),
        ({"confidence": np.nan}, "the confidence of a hand-over must be finite, got nan"),
        ({"evidence": np.inf}, "the evidence of a hand-over must be finite"),
        ({"energy": -np.inf}, "the energy of a hand-over must be finite"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        replace(OVER, **changed)


pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines import early_fingerprint, engine_class, entry_of, open_entry  # noqa: E402
from elsewise.engines.cascade import every_text_read, silent_ids  # noqa: E402
from elsewise.engines.files import ModelFiles, Opening  # noqa: E402
from elsewise.engines.pool import fine_tuned  # noqa: E402
from elsewise.progress import counting  # noqa: E402
from support.small_models import LABELS, before, graph_of, texts  # noqa: E402

KNOWN = texts(64)


@pytest.fixture(scope="module")
def made():
    files, learner = graph_of("bert")
    settings = {**learner.tokenize.settings, "precision": "f32"}
    return before(engine_class("openvino").open(Opening(files, LABELS, settings)), learner)


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path)
    return tmp_path


def opened(folder, engine, **settings):
    entry = entry_of(engine)
    entry["settings"] = {**entry["settings"], **settings}
    return open_entry(json.loads(json.dumps(entry)), Opening(ModelFiles.of(folder), LABELS, {}))


def test_each_text_is_answered_by_one_stage(made):
    outputs, second = made.run([*KNOWN, ""]), made.engine.run([*KNOWN, ""])

    first, known = made.counts.judged(made.prepare(KNOWN), silent_ids(made.tokenizer))
    early = outputs.early[:-1]
    assert 15 < early.sum() < 50
    assert early.tolist() == made.over.answers(first, known).tolist()
    assert outputs.logits[:-1][early].tobytes() == made.over.said(first)[early].tobytes()
    assert outputs.logits[:-1][~early].tobytes() == second.logits[:-1][~early].tobytes()
    assert np.isfinite(outputs.features[:-1]).all(axis=1).tolist() == (~early).tolist()
    assert outputs.features[:-1][~early].tobytes() == second.features[:-1][~early].tobytes()
    assert outputs.tokens.tolist() == second.tokens.tolist()
    assert not outputs.early[-1]
    assert np.isnan(outputs.logits[-1]).all()


def test_the_engine_inside_reads_only_what_is_left(made):
    seen = []

    class Inside:
        def __getattr__(self, name):
            return getattr(made.engine, name)

        def run(self, tokens):
            seen.append(len(tokens))
            return made.engine.run(tokens)

    outputs = replace(made, engine=Inside()).run(KNOWN)

    assert seen == [int((~outputs.early).sum())]


def test_every_text_is_counted_once_for_the_progress(made):
    said = []
    with counting(lambda words, done, total: said.append(done), "answering", len(KNOWN)):
        made.run(KNOWN)

    assert said[-1] == len(KNOWN)


def test_far_texts_are_handed_over(made):
    """Words that no train text had, however sure the others make the first stage."""
    sure = min((KNOWN[i] for i in np.flatnonzero(made.run(KNOWN).early)), key=len)

    assert made.run([sure, sure + " 完" * 40, "完 完"]).early.tolist() == [True, False, False]


def test_the_fixed_texts_are_answered_by_the_engine_inside(made):
    """On the next processor another text may be at the edge of being handed over."""
    tokens = made.prepare(KNOWN)

    assert made.quick_run(tokens).logits.tobytes() == made.engine.quick_run(tokens).logits.tobytes()


def test_what_reads_every_text_is_inside(made):
    assert every_text_read(made) is made.engine is fine_tuned(made)
    assert every_text_read(made.engine) is made.engine


def test_the_fingerprint_is_of_both_stages_and_of_the_hand_over(made):
    fingerprints = {
        made.fingerprint,
        made.engine.fingerprint,
        replace(made, over=replace(made.over, confidence=0.5)).fingerprint,
        replace(made, counts=replace(made.counts, biases=made.counts.biases + 1)).fingerprint,
    }

    assert len(fingerprints) == 4


def test_a_folder_answers_as_what_was_saved(made, folder):
    again = opened(folder, made)

    assert again.run(KNOWN).logits.tobytes() == made.run(KNOWN).logits.tobytes()
    assert again.fingerprint == made.fingerprint
    assert early_fingerprint(entry_of(made), Opening(ModelFiles.of(folder), LABELS, {})) == made.fingerprint


def test_a_folder_without_token_counts_is_refused(made, folder):
    (folder / FILE).unlink()

    with pytest.raises(ArtifactError, match=f"has no {FILE}; make the model again"):
        opened(folder, made)


@pytest.mark.parametrize("kept", [None, 3, [], {}, {**OVER.settings, "temperature": -1}])
def test_settings_that_cannot_be_are_refused(made, folder, kept):
    with pytest.raises(ArtifactError, match=r"elsewise.json holds a cascade that cannot be read: "):
        opened(folder, made, cascade=kept)
