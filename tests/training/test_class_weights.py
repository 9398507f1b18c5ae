"""Class weights: rare labels count more while the weights learn, and probabilities stay those of the data."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

import elsewise as ew
from elsewise.data.splits import LabelledTexts
from elsewise.errors import InputError
from elsewise.training.fine_tune import _class_weights, train
from elsewise.training.settings import Training
from elsewise.training.trainer import loss_in_float32
from support.small_models import WORDS, learner_of

NAMES = {0: "common", 1: "rare"}


def test_balanced_weights_are_those_of_the_usual_formula():
    """n / (k n_y): 8 and 2 rows of 10 weigh 10 / 16 and 10 / 4."""
    weights = _class_weights("balanced", np.repeat([0, 1], [8, 2]), NAMES)

    assert weights.tolist() == pytest.approx([10 / 16, 10 / 4])


def test_only_the_ratios_of_given_weights_matter_and_what_is_left_out_counts_one():
    codes = np.repeat([0, 1], [8, 2])

    one, other = (_class_weights(given, codes, NAMES) for given in ({"rare": 3}, {"common": 10, "rare": 30}))

    assert one.tolist() == pytest.approx(other.tolist())
    assert one[1] / one[0] == pytest.approx(3)
    assert one[codes].mean() == pytest.approx(1)


def test_the_loss_is_the_mean_of_weight_times_loss_and_not_over_the_weights_of_the_batch():
    """Two texts at even odds, weights 0.5 and 2: (0.5 ln 2 + 2 ln 2) / 2."""
    outputs = type("Outputs", (), {"logits": torch.zeros(2, 2)})

    loss = loss_in_float32(np.array([0.5, 2.0]))(outputs, torch.tensor([0, 1]))

    assert float(loss) == pytest.approx(1.25 * np.log(2))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("equal", "class_weights must be 'balanced' or a weight for each label, got 'equal'"),
        (True, "class_weights must be 'balanced' or a weight for each label, got True"),
        ({"rara": 2}, "class_weights: 'rara' is no label of the data; the labels are common, rare"),
        ({"rare": 0}, "class_weights must be positive, got 0 for 'rare'"),
        ({"rare": float("nan")}, "class_weights must be positive, got nan for 'rare'"),
    ],
)
def test_what_is_no_weight_is_refused(wanted, words):
    with pytest.raises(InputError, match=words):
        _class_weights(Training(class_weights=wanted).class_weights, np.array([0, 1]), NAMES)


def imbalanced(n, seed):
    """Nine texts in ten of the first label; a word tells, one time in four falsely."""
    rng = np.random.default_rng(seed)
    codes = (rng.random(n) < 0.1).astype(int)
    told = np.where(rng.random(n) < 0.25, 1 - codes, codes)
    texts = [" ".join([("order", "refund")[t], *rng.choice(WORDS[8:], 3)]) for t in told]
    return LabelledTexts(tuple(texts), codes)


@pytest.fixture(scope="module")
def learned():
    """Logits of 2,000 new texts with and without balanced weights, and their codes."""
    new, found = imbalanced(2000, 1), {}
    for wanted in (None, "balanced"):
        learner = learner_of("bert", initializer_range=0.05)
        transformers.set_seed(0)
        how = Training(epochs=3, batch_size=64, learning_rate=3e-3, precision="f32", class_weights=wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = train(learner, imbalanced(1500, 0), imbalanced(200, 2), how)
        found[wanted] = learner.outputs(model, learner.tokenize(new.texts)).logits
    return found, new.codes


def log_loss(logits, codes):
    return -ew.log_softmax(logits)[np.arange(len(codes)), codes].mean()


def test_probabilities_are_those_of_the_data_and_not_of_the_weighted_loss(learned):
    """A word that is right three times in four leaves the rare label at 25 % or 3.6 %, 10 % in the mean."""
    found, codes = learned

    p = ew.softmax(found["balanced"])[:, 1]

    assert p.mean() == pytest.approx(codes.mean(), abs=0.025)
    assert log_loss(found["balanced"], codes) == pytest.approx(log_loss(found[None], codes), abs=0.02)


def test_without_the_correction_they_would_be_far_off(learned):
    found, codes = learned
    weights = np.ones(found["balanced"].shape[1])
    weights[:2] = _class_weights("balanced", imbalanced(1500, 0).codes, NAMES)

    uncorrected = found["balanced"] + np.log(weights)

    assert ew.softmax(uncorrected)[:, 1].mean() > 3 * codes.mean()
    assert log_loss(uncorrected, codes) > log_loss(found["balanced"], codes) + 0.1
