"""Two opinions: when the second is asked, how both are mixed, and what is refused of a folder that holds them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from elsewise.engines.second_opinion import ASKED, FEWEST_ROWS, WEIGHTS, Pool
from elsewise.errors import ArtifactError, InputError

PLAIN = Pool(weight=0.5, temperatures=(1.0, 1.0), energy=-np.inf, confidence=-np.inf)


def planted(n=1500, k=4, seed=0):
    """Codes, and logits of two opinions that see them through noise of their own, each at a temperature of its own."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    return (*(loud * (3 * np.eye(k)[codes] + 1.5 * rng.normal(size=(n, k))) for loud in (2.0, 0.5)), codes)


def log_p(pool, first, second):
    """The logarithmic opinion pool, written out with scipy."""
    parts = [log_softmax(z / t, axis=1) for z, t in zip((first, second), pool.temperatures, strict=True)]
    return log_softmax((1 - pool.weight) * parts[0] + pool.weight * parts[1], axis=1)


def loss(p, codes):
    return -p[np.arange(len(codes)), codes]


def test_a_mixture_is_the_logarithmic_opinion_pool_with_the_energy_of_the_first():
    first, second, _ = planted(n=50)
    pool = replace(PLAIN, weight=0.3, temperatures=(1.7, 0.6))

    mixed = pool.mixed(first, second)

    assert softmax(mixed, axis=1) == pytest.approx(np.exp(log_p(pool, first, second)))
    assert logsumexp(mixed, axis=1) == pytest.approx(logsumexp(first, axis=1))
    assert logsumexp(pool.mixed(first), axis=1) == pytest.approx(logsumexp(first, axis=1))
    assert softmax(pool.mixed(first), axis=1) == pytest.approx(softmax(first / 1.7, axis=1))


def test_all_the_weight_on_one_opinion_is_that_opinion():
    first, second, _ = planted(n=50)

    assert softmax(replace(PLAIN, weight=0.0).mixed(first, second), axis=1) == pytest.approx(softmax(first, axis=1))
    assert softmax(replace(PLAIN, weight=1.0).mixed(first, second), axis=1) == pytest.approx(softmax(second, axis=1))


def test_a_fit_finds_the_temperatures_the_rows_to_ask_and_the_weight_of_least_log_loss():
    first, second, codes = planted()

    pool, worth = Pool.fit(first, second, codes)

    for z, found in zip((first, second), pool.temperatures, strict=True):
        best = minimize_scalar(lambda t, z=z: loss(log_softmax(z / t, axis=1), codes).mean(), bounds=(0.05, 20))
        assert found == pytest.approx(best.x, rel=1e-3)
    energy, confidence = logsumexp(first, axis=1), softmax(first / pool.temperatures[0], axis=1).max(axis=1)
    asked = (energy < np.quantile(energy, ASKED)) | (confidence < np.quantile(confidence, ASKED))
    assert pool.asks(first).tolist() == asked.tolist()
    assert worth.share_asked == asked.mean()
    losses = [loss(log_p(replace(pool, weight=w), first[asked], second[asked]), codes[asked]).mean() for w in WEIGHTS]
    assert pool.weight == pytest.approx(WEIGHTS[np.argmin(losses)])


def test_the_worth_is_judged_on_rows_that_did_not_choose_the_weight():
    first, second, codes = planted()

    pool, worth = Pool.fit(first, second, codes)

    asked, half = pool.asks(first), np.arange(len(codes)) % 2 == 0
    gains = np.zeros(len(codes))
    for rows, others in ((asked & half, asked & ~half), (asked & ~half, asked & half)):
        weight = min(
            WEIGHTS,
            key=lambda w, at=others: loss(log_p(replace(pool, weight=w), first[at], second[at]), codes[at]).mean(),
        )
        alone = log_softmax(first[rows] / pool.temperatures[0], axis=1)
        both = log_p(replace(pool, weight=weight), first[rows], second[rows])
        gains[rows] = loss(alone, codes[rows]) - loss(both, codes[rows])
    assert worth.log_loss_gain == pytest.approx(gains.mean())
    assert worth.standard_error == pytest.approx(gains.std() / np.sqrt(len(codes)))
    assert worth.is_clear


@pytest.mark.parametrize("seed", range(5))
def test_an_opinion_about_nothing_is_worth_nothing(seed):
    """Judged on the rows that choose the weight, noise would seem to help."""
    first, _, codes = planted(seed=seed)

    _, worth = Pool.fit(first, np.random.default_rng(seed + 100).normal(size=first.shape), codes)

    assert not worth.is_clear


def test_which_rows_are_asked_about_does_not_depend_on_their_codes_but_for_the_temperature():
    first, second, codes = planted()
    other = np.random.default_rng(1).permutation(codes)

    (pool, _), (again, _) = Pool.fit(first, second, codes), Pool.fit(first, second, other)

    assert pool.energy == again.energy


def test_few_rows_choose_no_weight():
    first, second, codes = planted(n=FEWEST_ROWS - 1)

    assert Pool.fit(first, 3 * second, codes)[0].weight == 0.5


def test_rows_out_of_scope_and_unreadable_ones_are_left_out():
    first, second, codes = planted()
    more = [np.concatenate([z, np.full((2, 4), fill)]) for z, fill in ((first, np.nan), (second, 1.0))]
    more = [np.concatenate([z, np.ones((3, 4))]) for z in more]

    assert Pool.fit(*more, np.concatenate([codes, [0, 1, -1, -1, -1]])) == Pool.fit(first, second, codes)


@pytest.mark.parametrize("constant", [0, 1])
def test_logits_that_are_all_equal_have_a_mixture(constant):
    first, second, codes = planted(n=300)
    pair = [np.zeros_like(z) if i == constant else z for i, z in enumerate((first, second))]

    pool, worth = Pool.fit(*pair, codes)

    assert np.isfinite(pool.mixed(*pair)).all()
    assert np.isfinite([worth.log_loss_gain, worth.standard_error]).all()


def test_two_labels_of_one_row_each_have_a_pool():
    pool, worth = Pool.fit(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))

    assert pool.weight == 0.5
    assert not worth.is_clear


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weight": 1.5}, r"weight of a second opinion must lie in 0\.\.1, got 1\.5"),
        ({"weight": float("nan")}, r"weight of a second opinion must lie in 0\.\.1, got nan"),
        ({"temperatures": (1.0, 0.0)}, r"temperatures of two opinions must be above 0 and finite, got \(1\.0, 0\.0\)"),
        ({"temperatures": (np.inf, 1.0)}, r"temperatures of two opinions must be above 0 and finite"),
        ({"energy": float("nan")}, r"NaN is neither"),
    ],
)
def test_numbers_out_of_range_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        replace(PLAIN, **changed)


pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines import engine_class, entry_of, open_entry  # noqa: E402
from elsewise.engines.files import ModelFiles, Opening  # noqa: E402
from support.small_models import LABELS, asking_a_second, files_of, texts  # noqa: E402

KNOWN = texts(64)


def asking(name="openvino", precision="f32"):
    files, learner = files_of("bert")
    kind = engine_class(name)
    if precision not in kind.precisions():
        pytest.skip(f"{name} does not compute in {precision} here")
    engine = kind.open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": precision}))
    return asking_a_second(engine, learner)


@pytest.fixture(scope="module")
def made():
    return asking()


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path)
    return tmp_path


def opened(folder, engine, **settings):
    entry = entry_of(engine)
    entry["settings"] = {**entry["settings"], **settings}
    return open_entry(json.loads(json.dumps(entry)), Opening(ModelFiles.of(folder), LABELS, {}))


@pytest.mark.parametrize(("name", "precision"), [("openvino", "f32"), ("openvino", "bf16"), ("onnxruntime", "f32")])
def test_the_second_is_asked_about_some_texts_and_mixed_with_the_first(name, precision):
    engine = asking(name, precision)

    outputs, first, second = engine.run(KNOWN), engine.engine.run(KNOWN), engine.other.run(KNOWN)

    asked = engine.pool.asks(first.logits)
    assert 15 < asked.sum() < 50
    assert np.isfinite(outputs.embedding).all(axis=1).tolist() == asked.tolist()
    assert outputs.logits[asked].tobytes() == engine.pool.mixed(first.logits, second.logits)[asked].tobytes()
    assert outputs.logits[~asked].tobytes() == engine.pool.mixed(first.logits)[~asked].tobytes()
    assert outputs.embedding[asked].tobytes() == second.features[asked].tobytes()
    assert np.linalg.norm(outputs.embedding[asked], axis=1) == pytest.approx(1, abs=0.01)
    assert outputs.features.tobytes() == first.features.tobytes()


def test_the_second_is_not_run_for_other_texts(made):
    seen = []

    class Other:
        model = made.other.model

        def run(self, tokens):
            seen.append(len(tokens))
            return made.other.run(tokens)

    engine = replace(made, other=Other())
    engine.run(KNOWN)
    replace(engine, pool=replace(made.pool, energy=-np.inf, confidence=-np.inf)).run(KNOWN)

    assert seen == [int(made.pool.asks(made.engine.run(KNOWN).logits).sum()), 0]


def test_a_text_without_a_number_from_the_second_has_none(made):
    """A text that is asked about and stays without embedding would pass for a familiar one."""

    class Silent:
        model = made.other.model

        def run(self, tokens):
            outputs = made.other.run(tokens)
            return replace(outputs, logits=np.full_like(outputs.logits, np.nan))

    outputs = replace(made, other=Silent()).run(KNOWN)

    asked = made.pool.asks(made.engine.run(KNOWN).logits)
    assert np.isnan(outputs.logits).all(axis=1).tolist() == asked.tolist()


def test_a_quick_run_asks_about_every_text(made):
    """Canary texts are compared on other processors, where another text may be at the edge of being asked about."""
    outputs = made.quick_run(made.prepare([*KNOWN, ""]))

    assert np.isfinite(outputs.embedding).all(axis=1).tolist() == [True] * len(KNOWN) + [False]
    assert np.isnan(outputs.logits[-1]).all()


def test_the_fingerprint_is_of_both_models_and_of_how_they_are_mixed(made):
    fingerprints = {
        made.fingerprint,
        made.engine.fingerprint,
        replace(made, pool=replace(made.pool, weight=0.5)).fingerprint,
        replace(made, other=made.engine).fingerprint,
    }

    assert len(fingerprints) == 4


def test_other_tools_find_the_fine_tuned_model_alone(made, folder):
    transformers = pytest.importorskip("transformers")
    found = transformers.AutoModelForSequenceClassification.from_pretrained(folder)

    assert found.config.num_labels == len(LABELS)
    assert (folder / "second-opinion" / "head.safetensors").exists()
    assert not (folder / "head.safetensors").exists()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_a_damaged_file_of_the_second_is_refused_by_its_name(folder, made, name):
    file = "head.safetensors" if name == "torch" else "model.onnx"
    (folder / "second-opinion" / file).write_bytes(b"no model")

    with pytest.raises(ArtifactError) as said:
        open_entry({**entry_of(made), "name": name}, Opening(ModelFiles.of(folder), LABELS, {}))

    assert f"{folder}/second-opinion" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_folder_without_the_second_is_refused(folder, made):
    files = ModelFiles.of(folder).beside("second-opinion")

    with pytest.raises(ArtifactError, match=r"second-opinion has no model.onnx; make the model again"):
        open_entry(entry_of(made), Opening(files, LABELS, {}))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"weight": 7}, "must lie in 0..1, got 7.0"),
        ({"weight": None}, "float"),
        ({"weight": []}, "float"),
        ({"energy": None}, "float"),
        ({"temperatures": [1.0]}, "values to unpack"),
        ({"temperatures": [1.0, -1.0]}, "must be above 0"),
        ({"temperatures": "no"}, "could not convert"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_line_before_a_library_opens_a_file(folder, made, kept, words):
    settings = {**made.settings["second_opinion"], **kept}
    for file in folder.rglob("*.onnx"):
        file.write_bytes(b"no model")

    with pytest.raises(ArtifactError) as said:
        opened(folder, made, second_opinion=settings)

    assert str(said.value).startswith(f"{folder}/elsewise.json holds a second opinion that cannot be read: ")
    assert words in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("kept", [None, 3, [], {}, "no"])
def test_settings_of_another_kind_are_refused(folder, made, kept):
    with pytest.raises(ArtifactError, match=r"elsewise.json holds a second opinion that cannot be read: "):
        opened(folder, made, second_opinion=kept)
