"""Models that many tests use: each is made once in a run, whichever process of the run asks first."""

import fcntl
import gc
import os
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

import elsewise as ew
from elsewise.data.sample import OUT_OF_SCOPE, support_texts
from elsewise.engines.encoders import DEFAULT_ENCODER, find_encoder
from elsewise.engines.files import INT8, ONNX
from elsewise.errors import need
from elsewise.fitting import engine_choice
from elsewise.training import int8

ROWS = 900
TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


@dataclass(frozen=True)
class Workshop:
    """A folder of models that the processes of a run share."""

    root: Path

    def made(self, name, make):
        """Give the folder `name`; the first to ask makes it, others wait. It is shared: copy it before a change."""
        self.root.mkdir(exist_ok=True)
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.root / name).exists():
                draft = self.root / f"{name}.draft"
                shutil.rmtree(draft, ignore_errors=True)
                make(draft)
                draft.rename(self.root / name)
        return self.root / name


def linked(folder, place):
    """Copy a folder by hard links, for those who replace files and never write into them."""
    return shutil.copytree(folder, place, copy_function=os.link)


def state(folder):
    """What would be different after a change: names, sizes and times."""
    files = {path: path.stat() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"}
    return {path: (found.st_size, found.st_mtime_ns) for path, found in files.items()}


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """The workshop of this run. At its end each model that this process asked for must be as it was made."""
    base = tmp_path_factory.getbasetemp()
    shop = Workshop((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "workshop")
    asked = {}

    def made(name, make):
        folder = shop.made(name, make)
        asked.setdefault(folder, state(folder))
        return folder

    yield made
    for folder, before in asked.items():
        assert state(folder) == before, f"a test has changed {folder.name}, which all tests share"


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Keep what killed processes leave behind in the folder of this run, which pytest clears away."""
    place = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", place)
        patch.setattr(tempfile, "tempdir", place)
        yield


@pytest.fixture(scope="session", autouse=True)
def int8_once(workshop):
    """Quantise each graph once with the same texts: that takes seconds, and many tests ask for it."""
    quantise = int8.write_int8

    def written(folder, tokens):
        need("nncf", extra="train")

        def make(draft):
            draft.mkdir()
            shutil.copy(folder / ONNX, draft / ONNX)
            quantise(draft, tokens)

        known = sha256((folder / ONNX).read_bytes() + tokens.ids.tobytes()).hexdigest()
        made = workshop(f"int8-{known}", make)
        shutil.copytree((made / INT8).parent, (folder / INT8).parent, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "write_int8", written)
        yield


@pytest.fixture(scope="session", autouse=True)
def timed_shortly():
    """Measure the speed of engines on few tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_choice, "TIMED_TOKENS", 500)
        yield


MANY = 500  # modules of a library


@pytest.fixture(scope="session")
def modules():
    """How many modules there were when garbage was collected last, as conftest.py does once."""
    return [len(sys.modules)]


@pytest.fixture(autouse=True)
def libraries_are_no_garbage(modules):
    """Leave what imports made out of every later collection, once a library has come: each training collects all."""
    yield
    if len(sys.modules) > modules[0] + MANY:
        modules[0] = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def threads_of_torch():
    """Give torch its threads back: a test that asks for more changes them for the whole process."""
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    yield
    if before is not None:
        sys.modules["torch"].set_num_threads(before)


@pytest.fixture(scope="session")
def sample():
    return support_texts(rows=ROWS)


def fit_sample(sample, **settings):
    """Fit on the sample, with what keeps it short."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the libraries and, on few rows, ours
        return ew.fit(
            [row.text for row in sample],
            [row.label for row in sample],
            out_of_scope_label=OUT_OF_SCOPE,
            **{"target_accuracy": 0.6, "batch_size": 32, "max_length": 128, "precision": "f32", **settings},
        )


def averaging(vocab_size, known):
    """A BERT that begins as the mean of word vectors: `known` ones (vocab_size, d), by their main directions."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    width = TINY["hidden_size"]
    vectors = (known - known.mean(0)) @ torch.linalg.svd((known - known.mean(0))[::7], full_matrices=False)[2][:width].T
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        made = transformers.BertModel(transformers.BertConfig(vocab_size=vocab_size, **TINY))
        made.embeddings.word_embeddings.weight.copy_(vectors / vectors.std() / 20)
        made.embeddings.position_embeddings.weight.zero_()
        made.embeddings.token_type_embeddings.weight.zero_()
        for layer in made.encoder.layer:
            layer.attention.self.value.weight.copy_(6 * torch.eye(width))
            layer.attention.output.dense.weight.copy_(torch.eye(width))
    return made


@pytest.fixture(scope="session")
def tiny_encoder(workshop, sample):
    """An encoder of 2 layers, 64 wide, with the default encoder's tokenizer, that has learnt the sample's words."""
    transformers = pytest.importorskip("transformers")

    def make(folder):
        source = find_encoder(DEFAULT_ENCODER)
        words = transformers.AutoTokenizer.from_pretrained(source)
        words.save_pretrained(folder)
        known = transformers.AutoModel.from_pretrained(source).embeddings.word_embeddings.weight.detach()
        averaging(words.vocab_size, known).save_pretrained(folder)
        learnt = folder / "learnt"
        quickly = {"epochs": 8, "learning_rate": 2e-3, "baseline": False, "second_opinion": False}
        fit_sample(support_texts(1, 1500), encoder=str(folder), **quickly).save(learnt)
        transformers.AutoModel.from_pretrained(learnt).save_pretrained(folder)
        shutil.rmtree(learnt)

    return workshop("tiny-encoder", make)


@pytest.fixture(scope="session")
def model(workshop, sample, tiny_encoder):
    """The folder of a classifier in float32, fitted with a baseline: it is real, and small."""
    return workshop("model", lambda folder: fit_sample(sample, encoder=str(tiny_encoder), epochs=3).save(folder))


@pytest.fixture(scope="session")
def fitted(model):
    """The classifier of `model`."""
    return ew.load(model)


@pytest.fixture
def tiny_default(tiny_encoder, monkeypatch):
    """Take the tiny encoder where no encoder is named."""
    monkeypatch.setattr("elsewise.engines.encoders._cached", lambda name, *files: tiny_encoder / files[0])


@pytest.fixture(scope="session")
def my_bert(workshop, model):
    """A classifier that somebody has fine-tuned, three times too sure, as `save_pretrained` writes it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")

    def make(folder):
        tuned = transformers.AutoModelForSequenceClassification.from_pretrained(model)
        with torch.no_grad():
            tuned.classifier.weight.mul_(3)
            tuned.classifier.bias.mul_(3)
        tuned.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(model).save_pretrained(folder)

    return workshop("my-bert", make)


@pytest.fixture(scope="session")
def held_out():
    """Rows that `my_bert` was not trained on."""
    return support_texts(7, 1200)


@pytest.fixture(scope="session")
def calibrated(workshop, my_bert, held_out):
    """The folder that `my_bert` becomes on `held_out`, in float32."""

    def make(folder):
        rows = [[getattr(row, name) for row in held_out] for name in ("text", "label")]
        how = {"out_of_scope_label": OUT_OF_SCOPE, "target_accuracy": 0.6, "precision": "f32"}
        ew.calibrate(my_bert, *rows, **how).save(folder)

    return workshop("calibrated", make)
