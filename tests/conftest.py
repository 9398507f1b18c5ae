"""One real model, fine-tuned once for all tests that need one: the default encoder, on some of the sample."""

import warnings

import pytest

import elsewise as ew
from elsewise.data.sample import OUT_OF_SCOPE, support_texts

ROWS = 900


@pytest.fixture(scope="session")
def sample():
    return support_texts(rows=ROWS)


@pytest.fixture(scope="session")
def fitted(sample):
    """A classifier in float32, fast to make: it is real, and it is not good."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the libraries and, on few rows, ours
        return ew.fit(
            [row.text for row in sample],
            [row.label for row in sample],
            out_of_scope_label=OUT_OF_SCOPE,
            target_accuracy=0.6,
            epochs=3,
            batch_size=32,
            max_length=128,
            precision="f32",
        )


@pytest.fixture(scope="session")
def model(fitted, tmp_path_factory):
    """The folder of `fitted`."""
    path = tmp_path_factory.mktemp("models") / "model"
    fitted.save(path)
    return path
