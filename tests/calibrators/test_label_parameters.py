"""Temperature with biases, and a scale for each label: what both have in common, and what each is for."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.calibrators import LabelScale, Temperature, TemperatureBias
from elsewise.errors import ElsewiseWarning, InputError

both = pytest.mark.parametrize("kind", [TemperatureBias, LabelScale])


def made(rng, n, biases, scales=1.0):
    """Rows whose honest logits are ``scales * centred + biases``, for a model that reports 2.5 times the rest."""
    k = len(biases)
    z = rng.normal(size=(n, k))
    z[np.arange(n), rng.integers(k, size=n)] += rng.uniform(0, 5, size=n)
    honest = (z - z.mean(axis=1, keepdims=True)) * scales + biases
    return 2.5 * z, (honest + rng.gumbel(size=z.shape)).argmax(axis=1)


def log_loss(p, codes):
    return float(-np.log(p[np.arange(len(p)), codes]).mean())


def temperature_of(fitted):
    return fitted.temperature if isinstance(fitted, TemperatureBias) else 1 / fitted.scales


BIASES = np.array([1.0, 0.5, 0.0, -0.5, -1.0])


def test_planted_biases_are_found():
    z, codes = made(np.random.default_rng(0), 40_000, BIASES)

    fitted = TemperatureBias.fit(z, codes)

    assert fitted.temperature == pytest.approx(2.5, rel=0.02)
    assert fitted.biases == pytest.approx(BIASES, abs=0.06)


def test_planted_scales_are_found():
    scales = np.array([1.3, 1.1, 1.0, 0.9, 0.7])
    z, codes = made(np.random.default_rng(1), 40_000, BIASES, scales)

    fitted = LabelScale.fit(z, codes)

    assert fitted.scales == pytest.approx(scales / 2.5, rel=0.06)
    assert fitted.biases == pytest.approx(BIASES, abs=0.1)


@both
def test_a_huge_penalty_is_one_temperature(kind):
    z, codes = made(np.random.default_rng(2), 500, BIASES)
    temperature = Temperature.fit(z, codes)

    fitted = kind.fit(z, codes, penalty=1e12)

    assert temperature_of(fitted) == pytest.approx(temperature.temperature, rel=1e-8)
    assert fitted(z) == pytest.approx(temperature(z), abs=1e-8)


@both
def test_it_helps_where_labels_differ(kind):
    rng = np.random.default_rng(3)
    z, codes = made(rng, 2000, BIASES, [1.3, 1.1, 1, 0.9, 0.7])
    new_z, new_codes = z[1000:], codes[1000:]
    z, codes = z[:1000], codes[:1000]

    better = log_loss(kind.fit(z, codes)(new_z), new_codes)

    assert better < log_loss(Temperature.fit(z, codes)(new_z), new_codes) - 0.05


@both
def test_a_hundred_labels_with_five_rows_each_lose_little_accuracy(kind):
    """Where a number or two for each label is fitted without any pull, accuracy falls by points."""
    drops = []
    for seed in range(10):
        z, codes = made(np.random.default_rng(seed), 4500, np.zeros(100))
        right = z[500:].argmax(axis=1) == codes[500:]
        after = kind.fit(z[:500], codes[:500])(z[500:]).argmax(axis=1) == codes[500:]
        drops.append(right.mean() - after.mean())

    assert np.mean(drops) <= 0.005


@both
def test_labels_without_rows_stay_where_the_others_are(kind):
    """Labels 5 to 7 are in no row, and the model hardly names them."""
    rng = np.random.default_rng(4)
    z, codes = made(rng, 3000, BIASES)
    z = np.column_stack([z, rng.normal(size=(3000, 3)) - 20])

    fitted = kind.fit(z, codes)

    assert np.abs(fitted.biases[5:] - fitted.biases[:5].mean()).max() < 0.15
    if kind is LabelScale:
        assert fitted.scales[5:] == pytest.approx(np.full(3, fitted.scales[:5].mean()), rel=0.15)


@both
def test_rare_labels_are_pulled_harder_than_frequent_ones(kind):
    """All labels are off by as much; those with fewer rows are moved by less."""
    rng = np.random.default_rng(5)
    k, shares = 6, np.array([0.485, 0.485, 0.0075, 0.0075, 0.0075, 0.0075])
    truth = rng.choice(k, size=6000, p=shares)
    z = np.log(shares) + 3 * (rng.normal(size=(6000, k)) + 3 * np.eye(k)[truth])  # the true log odds
    off = np.where(np.arange(k) % 2, 1.0, -1.0)

    moved = kind.fit(z - off, truth).biases * off

    assert moved[:2].mean() > 1.5 * moved[2:].mean() > 0


@both
def test_a_bias_is_folded_into_a_layer_that_has_none(kind):
    rng = np.random.default_rng(6)
    features, weight = rng.normal(size=(20, 6)), rng.normal(size=(5, 6))
    calibrate = kind.fit(*made(rng, 500, BIASES))

    folded, bias = calibrate.fold(weight, None)

    assert softmax(features @ folded.T + bias) == pytest.approx(calibrate(features @ weight.T), abs=1e-12)


@both
def test_says_so_when_no_temperature_is_best(kind):
    with pytest.warns(ElsewiseWarning, match="no finite temperature is best on these rows") as caught:
        fitted = kind.fit([[2.0, 0.0]], [0])

    assert caught[0].filename == __file__
    assert fitted([[2.0, 0.0]]) == pytest.approx(softmax([[2.0, 0.0]]))


@both
def test_logits_with_other_columns_are_refused(kind):
    fitted = kind.fit(*made(np.random.default_rng(7), 300, BIASES))

    with pytest.raises(InputError, match=r"^logits must have 5 columns, as when this was fitted, got 4$"):
        fitted(np.zeros((2, 4)))


@both
def test_its_numbers_belong_to_it(kind):
    fitted = kind.fit(*made(np.random.default_rng(8), 300, BIASES))

    with pytest.raises(ValueError, match="read-only"):
        fitted.biases[0] = 1


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match=r"^temperature must be positive and finite, got 0$"):
        TemperatureBias(0, [0.0, 0.0])
    with pytest.raises(InputError, match=r"^biases must be finite: number 1 is not$"):
        TemperatureBias(1.0, [0.0, np.nan])
    with pytest.raises(InputError, match=r"^scales must be positive, got -1"):
        LabelScale([1.0, -1.0], [0.0, 0.0])
    with pytest.raises(InputError, match=r"^scales and biases must be equally many, got 2 and 3$"):
        LabelScale([1.0, 1.0], [0.0, 0.0, 0.0])


def test_sentences_say_the_numbers():
    assert TemperatureBias(2.0, [0.5, -0.25]).sentence == (
        "Temperature 2.0000 and a bias for each label, from -0.25 to 0.50"
    )
    assert LabelScale([0.5, 0.25], [0.5, -0.25]).sentence == (
        "A temperature for each label, from 2.0000 to 4.0000, and a bias, from -0.25 to 0.50"
    )
