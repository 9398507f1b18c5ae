"""The same logits give the same calibrated probabilities, by whichever door they come."""

import os

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.labelled_texts import Reading
from elsewise.data.logits import read_logits

LABELS = ("a", "b", "c", "d")
RNG = np.random.default_rng(0)
Z = (RNG.normal(size=(400, 4)) * 4).astype(np.float32)
CODES = (Z / 2 + RNG.gumbel(size=Z.shape)).argmax(axis=1)
TEXTS = [f"text {i}" for i in range(len(Z))]
BY_TEXT = {text: i for i, text in enumerate(TEXTS)}


def rows_of(texts):
    return Z[[BY_TEXT.get(text, 0) for text in texts]]


def file_of(path):
    return lambda place: read_logits(str(place / path), Reading())[0]


def saved(save, path):
    def door(place):
        save(place / path)
        return file_of(path)(place)

    return door


def torch_tensor(_):
    return pytest.importorskip("torch").tensor(Z)


def tensorflow_tensor(_):
    return pytest.importorskip("tensorflow").constant(Z)


def jax_array(_):
    return pytest.importorskip("jax").numpy.asarray(Z)


def model_output(_):
    pytest.importorskip("transformers")
    from transformers.modeling_outputs import SequenceClassifierOutput

    return SequenceClassifierOutput(logits=torch_tensor(None))


def prediction_output(_):
    return pytest.importorskip("transformers").trainer_utils.PredictionOutput(Z, None, {})


def parquet(place):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({name: Z[:, i] for i, name in enumerate(LABELS)}), place / "z.parquet")
    return file_of("z.parquet")(place)


def csv(path):
    lines = [",".join(LABELS), *(",".join(map(repr, row)) for row in Z.tolist())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def wrapped(**more):
    return lambda _: ew.wrap(labels=LABELS, **more).run(TEXTS).logits


def keras_model(_):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    given = keras.Input((4,))
    model = keras.Model(given, keras.layers.Softmax()(given))
    return ew.wrap(model, labels=LABELS, preprocess=rows_of).run(TEXTS).logits


DOORS = {
    "numpy": lambda _: Z,
    "float64": lambda _: Z.astype(np.float64),
    "list": lambda _: Z.tolist(),
    "torch": torch_tensor,
    "tensorflow": tensorflow_tensor,
    "jax": jax_array,
    "ModelOutput": model_output,
    "PredictionOutput": prediction_output,
    "npy": saved(lambda path: np.save(path, Z), "z.npy"),
    "npz": saved(lambda path: np.savez(path, logits=Z, codes=CODES), "z.npz"),
    "csv": saved(csv, "z.csv"),
    "parquet": parquet,
    "function of logits": wrapped(model=rows_of, kind="logits"),
    "function of probabilities": wrapped(model=lambda texts: ew.softmax(rows_of(texts).astype(float)),
                                         kind="probabilities"),
    "function of log-probabilities": wrapped(model=lambda texts: ew.log_softmax(rows_of(texts).astype(float)),
                                             kind="log_probabilities"),
    "function of sigmoids": wrapped(model=lambda texts: 1 / (1 + np.exp(-rows_of(texts).astype(float))),
                                    kind="sigmoid"),
    "array of texts": wrapped(model=Z, texts=TEXTS, kind="logits"),
    "keras": keras_model,
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_the_same_logits_give_the_same_calibrated_probabilities(door, tmp_path):
    expected = ew.Temperature.fit(Z, CODES)(Z)

    logits = DOORS[door](tmp_path)
    probabilities = ew.Temperature.fit(logits, CODES)(logits)

    assert np.abs(probabilities - expected).max() < 1e-6
