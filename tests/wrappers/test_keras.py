"""Keras 3 models: how they end, and what of it is taken."""

import os

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import InputError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

LABELS = ["a", "b", "c", "d"]
TEXTS = [f"{'word ' * (i % 5)}number {i}" for i in range(70)]


def to_ids(texts):
    return np.array([[ord(c) % 50 for c in text.ljust(12)[:12]] for text in texts], dtype="int32")


def body():
    keras.utils.set_random_seed(0)
    ids = keras.Input((12,), dtype="int32", name="ids")
    x = keras.layers.Embedding(50, 8, embeddings_initializer=keras.initializers.RandomNormal(stddev=2.0))(ids)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return ids, keras.layers.Dropout(0.5)(x)


def model_of(*layers):
    ids, x = body()
    for layer in layers:
        x = layer(x)
    return keras.Model(ids, x)


def dense(units=4, **more):
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0), **more)


ENDINGS = {
    "softmax inside the last layer": lambda: [dense(activation="softmax", bias_initializer="random_normal")],
    "softmax without a bias": lambda: [dense(activation="softmax", use_bias=False)],
    "a Softmax layer": lambda: [dense(), keras.layers.Softmax()],
    "an Activation layer": lambda: [dense(), keras.layers.Activation("softmax")],
    "log_softmax": lambda: [dense(activation="log_softmax")],
    "linear": lambda: [dense()],
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_probabilities_are_the_models_own_and_logits_and_features_come_from_before_its_end(ending):
    model = model_of(*ENDINGS[ending]())
    engine = ew.wrap(model, labels=LABELS, preprocess=to_ids)
    given = model.predict(to_ids(TEXTS), verbose=0)
    own = ew.softmax(given) if ending == "linear" else np.exp(given) if ending == "log_softmax" else given

    outputs = engine.run(TEXTS)

    assert engine.kind == "logits"
    assert np.abs(ew.softmax(outputs.logits) - own).max() < 1e-6
    assert outputs.features.shape == (len(TEXTS), 8)


def test_logits_stay_where_probabilities_have_rounded_to_zero():
    model = model_of(dense(activation="softmax"))
    model.layers[-1].set_weights([w * 400 for w in model.layers[-1].get_weights()])

    logits = ew.wrap(model, labels=LABELS, preprocess=to_ids).run(TEXTS).logits

    assert (np.sort(logits, axis=1)[:, -1] - logits.min(axis=1)).max() > -np.log(1e-12)


def test_a_sequential_model_shows_its_end_too():
    model = keras.Sequential([keras.Input((12,)), dense(6, activation="relu"), dense(activation="softmax")])

    outputs = ew.wrap(model, labels=LABELS, preprocess=to_ids).run(TEXTS)

    assert np.abs(ew.softmax(outputs.logits) - model.predict(to_ids(TEXTS), verbose=0)).max() < 1e-5
    assert outputs.features.shape == (70, 6)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(
            50, 8, embeddings_initializer=keras.initializers.RandomNormal(stddev=2.0)
        )
        self.dropout = keras.layers.Dropout(0.5)
        self.head = dense(activation="softmax")

    def call(self, ids, training=None):
        return self.head(self.dropout(keras.ops.mean(self.embedding(ids), axis=1), training=training))


def test_a_subclassed_model_needs_its_kind_and_gives_log_probabilities():
    model = Subclassed()
    with pytest.raises(InputError, match="say what the model gives"):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)

    outputs = ew.wrap(model, labels=LABELS, preprocess=to_ids, kind="probabilities").run(TEXTS)

    assert np.abs(ew.softmax(outputs.logits) - model.predict(to_ids(TEXTS), verbose=0)).max() < 1e-6
    assert outputs.features is None


def test_a_sigmoid_over_several_labels_is_explained_and_handled_on_request():
    model = model_of(dense(activation="sigmoid"))
    with pytest.raises(InputError, match=r"ends in a sigmoid for each label.* say kind='sigmoid'"):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)

    logits = ew.wrap(model, labels=LABELS, preprocess=to_ids, kind="sigmoid").run(TEXTS).logits

    assert np.abs(1 / (1 + np.exp(-logits)) - model.predict(to_ids(TEXTS), verbose=0)).max() < 1e-6


def test_one_sigmoid_for_two_labels_is_the_second():
    model = model_of(dense(1, activation="sigmoid"))

    logits = ew.wrap(model, labels=["no", "yes"], preprocess=to_ids).run(TEXTS).logits

    assert np.abs(ew.softmax(logits)[:, 1] - model.predict(to_ids(TEXTS), verbose=0)[:, 0]).max() < 1e-6


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        ({"activation": "softmax"}, "logits", r"kind='logits' was stated, and the model's last activation gives prob"),
        ({}, "probabilities", r"kind='probabilities' was stated, and the model ends in a linear layer"),
    ],
)
def test_a_kind_that_the_last_activation_contradicts_is_refused(ending, kind, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(model_of(dense(**ending)), labels=LABELS, preprocess=to_ids, kind=kind)


def test_an_activation_of_ones_own_says_nothing():
    def own(x):
        return keras.ops.softmax(x)

    model = model_of(dense(activation=own))

    with pytest.raises(InputError, match="say what the model gives"):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)
    ew.wrap(model, labels=LABELS, preprocess=to_ids, kind="probabilities")


@pytest.mark.parametrize(
    "shared", [lambda: dense(8, activation="softmax"), keras.layers.Softmax, lambda: keras.layers.Activation("softmax")]
)
def test_a_layer_that_is_called_twice_is_taken_where_it_is_last(shared):
    ids, x = body()
    last = shared()
    model = keras.Model(ids, last(keras.layers.Dense(8, "tanh")(last(x))))

    logits = ew.wrap(model, labels=range(8), preprocess=to_ids).run(TEXTS).logits

    assert np.abs(ew.softmax(logits) - model.predict(to_ids(TEXTS), verbose=0)).max() < 1e-6


@pytest.mark.parametrize("name", ["Dense", "Softmax"])
def test_a_layer_of_ones_own_that_is_called_as_one_of_keras_says_nothing(name):
    own = type(name, (keras.layers.Dense,), {"call": lambda self, x: keras.ops.softmax(3 * x @ self.kernel)})
    model = model_of(own(4))

    with pytest.raises(InputError, match="say what the model gives"):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)
    logits = ew.wrap(model, labels=LABELS, preprocess=to_ids, kind="probabilities").run(TEXTS).logits
    assert np.abs(ew.softmax(logits) - model.predict(to_ids(TEXTS), verbose=0)).max() < 1e-6


@pytest.mark.parametrize(
    ("ending", "labels", "words"),
    [
        (lambda: [dense(1, activation="softmax")], 2, r"ends in softmax over one unit, which is 1 for every text"),
        (
            lambda: [dense(activation="softmax", name="inner"), keras.layers.Softmax(name="outer")],
            4,
            r"applies softmax twice, in 'inner' and in 'outer'; take one away",
        ),
    ],
)
@pytest.mark.parametrize("kind", [None, "probabilities"])
def test_an_end_that_cannot_be_meant_is_refused(ending, labels, words, kind):
    with pytest.raises(InputError, match=words):
        ew.wrap(model_of(*ending()), labels=LABELS[:labels], preprocess=to_ids, kind=kind)


def test_several_inputs_come_as_a_mapping():
    ids, x = body()
    other = keras.Input((1,), name="length")
    model = keras.Model(
        {"ids": ids, "length": other}, dense(activation="softmax")(keras.layers.concatenate([x, other]))
    )

    def prepare(texts):
        return {"ids": to_ids(texts), "length": np.array([[float(len(text))] for text in texts]) / 40}

    outputs = ew.wrap(model, labels=LABELS, preprocess=prepare).run(TEXTS)

    assert np.abs(ew.softmax(outputs.logits) - model.predict(prepare(TEXTS), verbose=0)).max() < 1e-5


def test_one_of_several_outputs_is_named():
    ids, x = body()
    model = keras.Model(ids, [dense(2, name="aside")(x), dense(activation="softmax", name="last")(x)])
    with pytest.raises(
        InputError, match=r"has outputs of the layers 'aside', 'last'; say which holds the labels: outp"
    ):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)

    outputs = ew.wrap(model, labels=LABELS, preprocess=to_ids, output=1).run(TEXTS)

    assert np.abs(ew.softmax(outputs.logits) - model.predict(to_ids(TEXTS), verbose=0)[1]).max() < 1e-6


def test_outputs_in_a_dictionary_are_named_in_the_order_that_keras_gives_them():
    ids, x = body()
    model = keras.Model(ids, {"z": dense(activation="softmax", name="label")(x), "a": dense(name="aside")(x)})

    with pytest.raises(InputError, match=r"has outputs of the layers 'aside', 'label'"):
        ew.wrap(model, labels=LABELS, preprocess=to_ids)
    logits = ew.wrap(model, labels=LABELS, preprocess=to_ids, output=1).run(TEXTS).logits
    assert np.abs(ew.softmax(logits) - model.predict(to_ids(TEXTS), verbose=0)["z"]).max() < 1e-6


def test_another_number_of_labels_is_refused():
    with pytest.raises(InputError, match=r"one column a label, \(n, 3\), got \(31, 4\)"):
        ew.wrap(model_of(dense(activation="softmax")), labels=LABELS[:3], preprocess=to_ids)


def test_other_weights_have_another_fingerprint():
    model = model_of(dense(activation="softmax"))
    before = ew.wrap(model, labels=LABELS, preprocess=to_ids).fingerprint
    again = ew.wrap(model, labels=LABELS, preprocess=to_ids).fingerprint
    model.layers[-1].set_weights([w + 1 for w in model.layers[-1].get_weights()])

    after = ew.wrap(model, labels=LABELS, preprocess=to_ids).fingerprint

    assert before == again != after
