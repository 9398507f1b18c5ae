"""Last-layer Laplace against its closed forms: an engine whose texts are numbers, and whose features are those."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from elsewise.arrays import log_softmax, softmax
from elsewise.calibrators import Temperature
from elsewise.engines import engine_class
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.laplace import PRIORS, Laplace, mean_field, mutual_information
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError, InputError
from elsewise.outputs import Outputs, uncertainty


@dataclass(frozen=True)
class Linear:
    """A last layer and nothing before it."""

    weight: np.ndarray
    bias: np.ndarray
    dtype: type = np.float64
    name = "linear"
    settings = {}  # noqa: RUF012
    fingerprint = "linear"

    @property
    def labels(self):
        return tuple(map(str, range(len(self.bias))))

    def run(self, x):
        x = np.asarray(x, dtype=self.dtype)
        z = (x[:, :, None] * self.weight.T).sum(axis=1) + self.bias
        return Outputs(z.astype(self.dtype), x)


def one_number(dtype=np.float64):
    """Two labels, the first of them with logit 2 x."""
    return Linear(np.array([[2.0], [0.0]]), np.zeros(2), dtype)


def several(k=5, d=7, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    engine = Linear(rng.normal(size=(k, d)), rng.normal(size=k), dtype)
    train, tune = rng.normal(size=(300, d)), rng.normal(size=(400, d))
    codes = (engine.run(tune).logits * 0.6 + rng.gumbel(size=(400, k))).argmax(axis=1)
    return engine, train, tune, codes


def normal_average(f, margin, variance):
    """Mean of f over a normal distribution, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    return (f(margin + math.sqrt(variance) * nodes) * weights).sum() / math.sqrt(2 * math.pi)


def sigma(m):
    return 1 / (1 + np.exp(-m))


def binary_entropy(m):
    p = np.clip(sigma(m), 1e-300, 1 - 1e-16)
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def test_one_train_text_by_hand():
    """x = (1, 1), p (1 - p) = 1/4, prior 1: the inverse of [[5/4, 1/4], [1/4, 5/4]] is [[5, -1], [-1, 5]] / 6."""
    engine = Linear(np.zeros((2, 1)), np.zeros(2))

    fitted = replace(Laplace.fit(engine, [[1.0]], [[1.0]], np.array([0])), prior_precision=1.0)

    assert fitted.variance(np.array([[1.0], [0.0], [-1.0]])) == pytest.approx([8 / 6, 5 / 6, 12 / 6], rel=1e-6)


def test_the_variance_is_that_of_the_inverse_of_the_precision():
    engine, train, tune, codes = several()
    fitted = Laplace.fit(engine, train, tune, codes)
    x, new = (np.concatenate([part, np.ones((len(part), 1))], axis=1) for part in (train, tune))
    p = softmax(engine.run(train).logits).max(axis=1)

    for prior in (1e-3, 1.0, 1e3):
        precision = prior * np.eye(8) + (x * (p * (1 - p))[:, None]).T @ x
        expected = np.einsum("ij,jk,ik->i", new, np.linalg.inv(precision), new)
        assert replace(fitted, prior_precision=prior).variance(tune) == pytest.approx(expected, rel=1e-4)


def test_two_labels_and_one_number_give_the_probit_formula():
    engine = one_number()
    fitted = replace(Laplace.fit(engine, [[0.5], [-1.0], [2.0]], [[1.0]], np.array([0])), prior_precision=0.3)
    x = np.linspace(-4, 4, 17)[:, None]

    outputs = fitted.run(x)

    v = fitted.variance(x)
    assert softmax(outputs.logits)[:, 0] == pytest.approx(sigma(2 * x[:, 0] / np.sqrt(1 + math.pi * v / 8)), abs=1e-6)


def test_with_an_infinite_prior_precision_the_answers_are_the_plain_ones():
    engine, train, tune, codes = several()
    fitted = replace(Laplace.fit(engine, train, tune, codes), prior_precision=math.inf)

    outputs = fitted.run(tune)

    assert outputs.logits.tobytes() == engine.run(tune).logits.tobytes()
    assert outputs.epistemic == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("variance", [0.1, 1.0, 4.0, 16.0, 100.0])
def test_the_probit_formula_is_close_to_the_integral(variance):
    for margin in np.linspace(0, 12, 13):
        (row,) = softmax(mean_field(np.array([[margin, 0.0]]), np.array([variance])))
        assert row[0] == pytest.approx(normal_average(sigma, margin, variance), abs=0.02)


@pytest.mark.parametrize("variance", [0.1, 1.0, 4.0, 16.0])
def test_the_mutual_information_of_two_labels_is_close_to_the_integral(variance):
    margins = np.linspace(0, 6, 13)
    exact = []
    for margin in margins:
        mean = normal_average(sigma, margin, variance)
        exact.append(binary_entropy(np.log(mean / (1 - mean))) - normal_average(binary_entropy, margin, variance))

    found = mutual_information(np.stack([margins, 0 * margins], axis=1), np.full(13, variance))

    assert found == pytest.approx(exact, rel=0.1, abs=0.005)
    assert np.corrcoef(found, exact)[0, 1] > 0.999


def test_the_best_label_never_changes_and_the_parts_add_up():
    engine, train, tune, codes = several()
    fitted = replace(Laplace.fit(engine, train, tune, codes), prior_precision=0.01)

    outputs = fitted.run(10 * tune)

    parts = uncertainty(outputs)
    assert np.array_equal(outputs.logits.argmax(axis=1), engine.run(10 * tune).logits.argmax(axis=1))
    assert parts.total == pytest.approx(parts.aleatoric + parts.epistemic)
    assert (parts.aleatoric >= 0).all()
    assert (parts.epistemic > 0).all()


def test_texts_far_from_the_train_texts_are_less_sure():
    """The same logits, of texts within and far outside the only direction that the train texts have."""
    engine = Linear(np.array([[3.0, 0.0], [0.0, 0.0]]), np.zeros(2))
    train = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 0.01]
    fitted = replace(Laplace.fit(engine, train, train[:1], np.array([0])), prior_precision=1.0)

    near, far = fitted.run([[1.0, 0.0]]), fitted.run([[1.0, 5.0]])

    assert engine.run([[1.0, 0.0]]).logits.tolist() == engine.run([[1.0, 5.0]]).logits.tolist()
    assert far.epistemic[0] > 10 * near.epistemic[0]
    assert softmax(far.logits).max() < softmax(near.logits).max() - 0.1


def test_the_prior_has_the_least_log_loss_on_tune_rows_at_its_best_temperature():
    engine, train, tune, codes = several()

    def log_loss(prior):
        z = replace(fitted, prior_precision=prior).run(tune).logits
        return -log_softmax(z / Temperature.fit(z, codes).temperature)[np.arange(400), codes].mean()

    fitted = Laplace.fit(engine, train, tune, codes)

    assert fitted.prior_precision in PRIORS
    assert log_loss(fitted.prior_precision) == pytest.approx(min(map(log_loss, PRIORS)), abs=1e-12)


def test_with_few_tune_rows_the_change_is_the_smallest():
    engine, train, tune, codes = several()
    out_of_scope = np.where(np.arange(400) < 49, codes, -1)

    assert Laplace.fit(engine, train, tune, out_of_scope).prior_precision == 1e6
    assert Laplace.fit(engine, train, tune[:0], codes[:0]).prior_precision == 1e6


def test_float32_and_float64_agree():
    fitted = {}
    for dtype in (np.float32, np.float64):
        engine, train, tune, codes = several(dtype=dtype)
        fitted[dtype] = replace(Laplace.fit(engine, train, tune, codes), prior_precision=0.1).run(tune)

    single, double = fitted[np.float32], fitted[np.float64]
    assert single.logits.dtype == np.float32
    assert single.logits == pytest.approx(double.logits, abs=1e-4)
    assert single.epistemic == pytest.approx(double.epistemic, abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_text_has_the_answer_alone_that_it_has_among_others(dtype):
    engine, train, tune, codes = several(k=40, d=385, dtype=dtype)
    fitted = replace(Laplace.fit(engine, train, tune, codes), prior_precision=0.1)
    tune[9] = np.nan
    answers = fitted.run(tune)

    for rows in ([0], [9], [8], range(3, 70), np.random.default_rng(0).permutation(400)):
        some = fitted.run(tune[list(rows)])
        assert some.logits.tobytes() == answers.logits[list(rows)].tobytes()
        assert some.epistemic.tobytes() == answers.epistemic[list(rows)].tobytes()


def test_an_engine_without_features_is_refused():
    engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]})

    with pytest.raises(InputError, match="Laplace needs the features of an engine, and this engine gives none"):
        Laplace.fit(engine, ["sure"], ["sure"], np.array([0]))


def test_no_train_texts_are_refused():
    with pytest.raises(InputError, match="Laplace needs train texts, got none"):
        Laplace.fit(one_number(), [], [], np.zeros(0, dtype=np.int64))


def test_what_widens_the_answers_is_in_the_fingerprint():
    engine, train, tune, codes = several()
    fitted = Laplace.fit(engine, train, tune, codes)

    others = [
        replace(fitted, prior_precision=0.7),
        replace(fitted, values=fitted.values + 1),
        replace(fitted, vectors=-fitted.vectors),
        Laplace.fit(engine, train[:-1], tune, codes),
    ]

    assert Laplace.fit(engine, train, tune, codes).fingerprint == fitted.fingerprint
    assert fitted.fingerprint not in {other.fingerprint for other in others}


def test_a_folder_without_its_state_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"has no laplace\.safetensors; make the model again: elsewise fit"):
        engine_class("laplace").open(Opening(ModelFiles.of(tmp_path), ("a", "b"), {"around": {"name": "memory"}}))
