"""What holds for every calibrator in the table."""

import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from elsewise.arrays import softmax
from elsewise.calibrators import CALIBRATORS
from elsewise.classifier.packing import pack, unpack
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.storage.json_files import finite

every_calibrator = pytest.mark.parametrize("kind", CALIBRATORS.values(), ids=CALIBRATORS)


def sampled(n=400, k=7, scale=2.5, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 2
    return z * scale, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def log_loss(p, codes):
    return float(-np.log(p[np.arange(len(p)), codes]).mean())


def saved_and_read(part):
    arrays = {}
    packed = json.loads(json.dumps(finite(pack(part, arrays, "part")), allow_nan=False))
    return unpack(packed, arrays, Path("elsewise.json"))


@every_calibrator
def test_rows_are_probabilities_of_the_same_shape(kind):
    logits, codes = sampled()
    fitted = kind.fit(logits, codes)

    for z in (logits, logits[:1], logits[:0]):
        p = fitted(z)
        assert p.shape == z.shape
        assert (p >= 0).all()
        assert p.sum(axis=1) == pytest.approx(np.ones(len(z)), abs=1e-12)


@every_calibrator
def test_renaming_the_labels_moves_the_columns(kind):
    logits, codes = sampled()
    order = np.random.default_rng(1).permutation(logits.shape[1])

    renamed = kind.fit(logits[:, order], np.argsort(order)[codes])(logits[:, order])

    assert renamed == pytest.approx(kind.fit(logits, codes)(logits)[:, order], abs=1e-9)


@every_calibrator
def test_the_order_of_the_rows_changes_nothing(kind):
    logits, codes = sampled()
    order = np.random.default_rng(2).permutation(len(logits))

    assert kind.fit(logits[order], codes[order])(logits) == pytest.approx(kind.fit(logits, codes)(logits), abs=1e-9)


@every_calibrator
def test_rows_that_come_twice_change_nothing(kind):
    """What is pulled towards a prior needs twice the pull: the same rows twice are twice the evidence."""
    logits, codes = sampled()
    penalty = inspect.signature(kind.fit).parameters.get("penalty")
    pull = {} if penalty is None else {"penalty": 2 * penalty.default}

    twice = kind.fit(np.tile(logits, (2, 1)), np.tile(codes, 2), **pull)

    assert twice(logits) == pytest.approx(kind.fit(logits, codes)(logits), abs=1e-9)


@every_calibrator
def test_a_row_is_calibrated_by_itself(kind):
    logits, codes = sampled()
    fitted = kind.fit(logits, codes)

    alone = np.vstack([fitted(row[None]) for row in logits[:20]])

    assert np.array_equal(alone, fitted(logits)[:20])


@every_calibrator
def test_float32_and_float64_agree(kind):
    logits, codes = sampled()

    single = kind.fit(logits.astype(np.float32), codes)(logits.astype(np.float32))

    assert single.dtype == np.float32
    assert single == pytest.approx(kind.fit(logits, codes)(logits), abs=1e-5)


@every_calibrator
@pytest.mark.parametrize("scale", [0.1, 1.0, 2.5, 30.0])
def test_log_loss_on_the_fitting_rows_does_not_get_worse(kind, scale):
    logits, codes = sampled(scale=scale)
    plain = float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(codes)), codes]))

    assert log_loss(kind.fit(logits, codes)(logits), codes) <= plain + 1e-9


@every_calibrator
def test_the_folded_layer_gives_the_same_probabilities(kind):
    logits, codes = sampled()
    rng = np.random.default_rng(3)
    features, weight, bias = rng.normal(size=(30, 5)), rng.normal(size=(7, 5)), rng.normal(size=7)
    fitted = kind.fit(logits, codes)

    w, b = fitted.fold(weight, bias)

    assert softmax(features @ w.T + b) == pytest.approx(fitted(features @ weight.T + bias), abs=1e-12)


@every_calibrator
def test_what_was_saved_answers_with_equal_bytes(kind):
    logits, codes = sampled()
    fitted = kind.fit(logits, codes)

    again = saved_and_read(fitted)

    assert type(again) is type(fitted)
    for z in (logits, logits.astype(np.float32)):
        assert again(z).tobytes() == fitted(z).tobytes()


@every_calibrator
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_are_answered_or_refused(kind, n):
    logits, codes = sampled(n=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        try:
            fitted = kind.fit(logits[:n], codes[:n])
        except InputError:
            return

    assert np.isfinite(fitted(logits)).all()


@every_calibrator
def test_what_is_wrong_is_refused_at_the_door(kind):
    logits, codes = sampled(n=4)
    fitted = kind.fit(*sampled())

    for z, y in (
        (logits, codes[:3]),
        (logits, codes - 10),
        (logits[:, :1], codes),
        (np.where(np.eye(4, 7) > 0, np.nan, logits), codes),
    ):
        with pytest.raises(InputError):
            kind.fit(z, y)
    with pytest.raises(InputError):
        fitted(np.full((1, 7), np.nan))


MASKS = (-1e4, -1e9, float(np.finfo(np.float32).min), -np.inf)


@every_calibrator
@pytest.mark.parametrize("mask", MASKS)
def test_masks_of_labels_that_cannot_be_change_nothing_for_the_others(kind, mask):
    """... as people write them over logits; half of the labels of a row at random, but never the true one.

    A scale for each label cannot be told where labels are masked: it is one for all then.
    """
    logits, codes = sampled(k=5)
    masked = np.random.default_rng(4).random(logits.shape) < 0.5
    masked[np.arange(len(codes)), codes] = False
    kind_without_scales = CALIBRATORS["temperature"] if kind is CALIBRATORS["label_scale"] else kind
    far = np.where(masked, logits.min() - 60, logits)
    here = np.where(masked, mask, logits).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)

        p, known = kind.fit(here, codes)(here), kind_without_scales.fit(far, codes)(far)

    assert p == pytest.approx(known, abs=1e-5)
    assert not p[masked].any()


@every_calibrator
def test_it_says_what_it_does(kind):
    sentence = kind.fit(*sampled()).sentence

    assert sentence[0].isupper()
    assert not sentence.endswith(".")
