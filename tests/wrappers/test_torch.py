"""torch modules, and `transformers` models with their tokenizer."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import InputError
from support.small_models import LABELS, model_of, texts, tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NAMES = ["a", "b", "c"]
TEXTS = [f"{'word ' * (i % 5)}number {i}" for i in range(70)]


class Small(torch.nn.Module):
    def __init__(self, shape=lambda z: z):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(0.5))
        self.head = torch.nn.Linear(16, 3)
        self.shape = shape

    def forward(self, x):
        return self.shape(self.head(self.inner(x)))


def to_floats(texts):
    return torch.tensor([[float(ord(c) % 7) for c in text.ljust(8)[:8]] for text in texts])


def own(model):
    model.eval()
    with torch.no_grad():
        return model.head(model.inner(to_floats(TEXTS))).numpy()


def test_dropout_that_was_left_on_is_off_while_answering_and_on_again_after():
    model = Small().train()
    model.head.eval()  # a part in another mode

    logits = ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats).run(TEXTS).logits

    assert (model.training, model.inner.training, model.inner[2].training, model.head.training) == (True,) * 3 + (
        False,
    )
    assert np.allclose(logits, own(model), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "output"),
    [
        (lambda z: (z, torch.zeros(len(z), 5)), 0),
        (lambda z: {"scores": z, "more": z}, "scores"),
        (lambda z: transformers.modeling_outputs.SequenceClassifierOutput(logits=z, hidden_states=(z,)), None),
        (lambda z: z.to(torch.float64), None),
    ],
)
def test_a_module_may_return_more_than_a_tensor(shape, output):
    model = Small(shape)

    logits = ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats, output=output).run(TEXTS).logits

    assert np.allclose(logits, own(model), atol=1e-6)


def test_half_precision_is_taken_as_float32():
    model = Small(lambda z: z.to(torch.bfloat16))

    outputs = ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats).run(TEXTS)

    assert outputs.logits.dtype == np.float32
    assert np.allclose(outputs.logits, own(model), atol=0.05)


def test_preprocess_may_give_several_arguments():
    class Two(Small):
        def forward(self, x, more):
            return super().forward(x) + more

    for prepare in (
        lambda texts: (to_floats(texts), torch.ones(3)),
        lambda texts: {"more": torch.ones(3), "x": to_floats(texts)},
    ):
        engine = ew.wrap(Two(), labels=NAMES, kind="logits", preprocess=prepare)
        assert np.allclose(engine.run(TEXTS).logits, own(Two()) + 1, atol=1e-6)


def test_a_module_needs_its_kind():
    with pytest.raises(InputError, match="say what the model gives"):
        ew.wrap(Small(), labels=NAMES, preprocess=to_floats)


def test_other_weights_have_another_fingerprint():
    model = Small()
    before = ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats).fingerprint
    with torch.no_grad():
        model.head.bias += 1

    assert ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats).fingerprint != before


def test_a_tensor_is_an_array():
    known = torch.tensor([[1.0, 2.0, 3.0]])

    assert ew.wrap(known, texts=["x"], labels=NAMES, kind="logits").run(["x"]).logits.tolist() == known.tolist()


@pytest.mark.filterwarnings("ignore:torch:UserWarning", "ignore:torch:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_a_quantised_module_has_a_fingerprint_of_its_weights():
    quantised = torch.ao.quantization.quantize_dynamic(Small().eval(), {torch.nn.Linear})
    more = {"labels": NAMES, "kind": "logits", "preprocess": to_floats}

    before = ew.wrap(quantised, **more)

    with torch.no_grad():
        changed = Small()
        changed.inner[0].weight *= -1
    other = ew.wrap(torch.ao.quantization.quantize_dynamic(changed.eval(), {torch.nn.Linear}), **more)
    assert np.abs(before.run(TEXTS).logits - own(Small())).max() < 0.1
    assert before.fingerprint == ew.wrap(quantised, **more).fingerprint != other.fingerprint


def test_the_fingerprint_stays_where_a_module_keeps_more_than_tensors():
    class More(Small):
        def get_extra_state(self):
            self.more = {"made": "today"}
            return self.more

    models = More(), More()  # both alive, so that what they keep lies in two places
    one, other = (ew.wrap(model, labels=NAMES, kind="logits", preprocess=to_floats).fingerprint for model in models)

    assert one == other


# transformers


def named(**more):
    model = model_of("bert", **more)
    model.config.id2label = dict(enumerate(LABELS))
    return model


def logits_of(model, some):
    made = tokenizer()(some, padding=True, truncation=True, max_length=72, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**made).logits.numpy()


@pytest.mark.parametrize(
    "given",
    [
        lambda model: {"model": model, "preprocess": tokenizer()},
        lambda model: {"model": (model, tokenizer())},
        lambda model: {"model": transformers.pipeline("text-classification", model=model, tokenizer=tokenizer())},
    ],
    ids=["preprocess", "pair", "pipeline"],
)
def test_a_transformers_model_brings_labels_logits_and_features(given):
    model = named().train()

    engine = ew.wrap(**given(model))
    outputs = engine.run(texts(40))

    assert (engine.labels, engine.kind) == (LABELS, "logits")
    assert outputs.features.shape == (40, 32)
    weight, bias = (part.detach().numpy() for part in (model.classifier.weight, model.classifier.bias))
    assert np.allclose(outputs.features @ weight.T + bias, outputs.logits, atol=1e-5)
    assert np.allclose(outputs.logits, logits_of(model, texts(40)), atol=1e-4)


def test_a_text_that_the_tokenizer_cuts_is_said_to_be_truncated():
    engine = ew.wrap((named(), tokenizer()))

    truncated = engine.run(["where is it", " ".join(["where"] * 600), "e" * 100, " "]).truncated

    assert truncated.tolist() == [False, True, False, False]


def test_columns_follow_labels_and_the_fingerprint_tells():
    model = named()

    plain, turned = ew.wrap((model, tokenizer())), ew.wrap((model, tokenizer()), labels=LABELS[::-1])

    assert np.allclose(turned.run(["where"]).logits[:, ::-1], plain.run(["where"]).logits)
    assert turned.fingerprint != plain.fingerprint


def test_a_model_whose_labels_nobody_named_takes_those_of_the_caller():
    engine = ew.wrap((model_of("bert"), tokenizer()), labels=[f"name {i}" for i in range(30)])

    assert engine.labels[7] == "name 7"
    with pytest.raises(InputError, match="does not say its labels"):
        ew.wrap((model_of("bert"), tokenizer()))


def test_names_that_nobody_gave_can_be_asked_for_in_another_order():
    model, some = model_of("bert"), TEXTS[:3]
    backwards = [f"LABEL_{code}" for code in reversed(range(len(LABELS)))]

    logits = ew.wrap((model, tokenizer()), labels=backwards).run(some).logits

    assert np.allclose(logits[:, ::-1], logits_of(model, some), atol=1e-5)


def test_a_model_with_a_label_twice_is_refused():
    model = named()
    model.config.id2label = dict(enumerate([*LABELS[:-1], LABELS[0]]))

    with pytest.raises(InputError, match=r"labels must differ, got .* twice"):
        ew.wrap((model, tokenizer()))


def test_other_labels_than_the_models_are_refused():
    with pytest.raises(InputError, match=r"labels= lacks 'label 29': the model has 'label 0', .* and 25 more"):
        ew.wrap((named(), tokenizer()), labels=LABELS[:29])


def test_a_model_of_several_labels_a_text_is_explained_and_handled_on_request():
    model = named(problem_type="multi_label_classification")
    with pytest.raises(InputError, match=r"made for texts with several labels, a sigmoid for each.*kind='sigmoid'"):
        ew.wrap((model, tokenizer()))

    engine = ew.wrap((model, tokenizer()), kind="sigmoid")

    assert np.allclose(engine.run(texts(5)).logits, logits_of(model, texts(5)), atol=1e-4)


def test_another_kind_than_logits_is_refused():
    with pytest.raises(InputError, match=r"kind='probabilities' was stated, and a transformers model gives logits"):
        ew.wrap((named(), tokenizer()), kind="probabilities")


def test_a_model_without_a_tokenizer_asks_for_it():
    with pytest.raises(InputError, match=r"BertForSequenceClassification needs its tokenizer: pass it as preprocess="):
        ew.wrap(named())


def test_a_trainer_and_what_it_predicts_are_taken(tmp_path):
    model = named()
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    trainer = transformers.Trainer(model, arguments, processing_class=tokenizer())
    known = [text for text in texts(20, 8) if text]
    predicted = transformers.trainer_utils.PredictionOutput(logits_of(model, known), None, {})

    engine = ew.wrap(trainer)
    by_heart = ew.wrap(predicted, texts=known, labels=LABELS)

    assert np.allclose(engine.run(known).logits, by_heart.run(known).logits, atol=1e-4)


def test_labels_whose_numbers_are_words_keep_the_order_of_the_columns():
    """As in a config.json: "10" comes after "9", not after "1"."""
    model = named()
    model.config.id2label = {str(code): label for code, label in enumerate(LABELS)}

    engine = ew.wrap((model, tokenizer()))

    assert engine.labels == LABELS
    assert np.allclose(engine.run(texts(5)).logits, logits_of(model, texts(5)), atol=1e-4)


@pytest.mark.parametrize("architecture", ["bert", "xlnet"])
def test_padding_changes_no_answer_whichever_side_the_tokenizer_pads(architecture):
    model = model_of(architecture).eval()
    model.config.id2label = dict(enumerate(LABELS))
    for side in ("left", "right"):
        words = tokenizer()
        words.padding_side = side
        engine = ew.wrap((model, words))

        logits = engine.run(["hello", "where is my order please a b c", "refund"]).logits

        assert words.padding_side == side
        for row, text in enumerate(["hello", "where is my order please a b c", "refund"]):
            with torch.no_grad():
                alone = model(**words(text, return_tensors="pt")).logits.numpy()
            assert np.abs(logits[row] - alone).max() < 1e-5


@pytest.mark.parametrize("architecture", ["mpnet", "roberta", "xlnet"])
def test_a_text_longer_than_the_positions_is_cut_where_they_end(architecture):
    model = model_of(architecture)
    model.config.id2label = dict(enumerate(LABELS))

    outputs = ew.wrap((model, tokenizer())).run(["where is my order " * 200, "where"])

    assert np.isfinite(outputs.logits).all()
    assert outputs.truncated.tolist() == [True, False]


def test_a_tokenizer_with_ids_that_the_model_does_not_know_is_refused():
    words = tokenizer()
    words.add_tokens([f"<T{i}>" for i in range(50)])

    with pytest.raises(
        InputError, match=r"^BertForSequenceClassification has 64 embeddings, and its tokenizer has ids"
    ):
        ew.wrap((named(), words))


def one_output(**more):
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=64, num_labels=1
    )
    return transformers.BertForSequenceClassification(transformers.BertConfig(**{**config.to_dict(), **more}))


def test_a_regression_is_refused_and_one_output_is_a_logit_only_if_it_is_said():
    with pytest.raises(InputError, match=r"^the model was trained for regression: its numbers are no logits; train a"):
        ew.wrap((one_output(problem_type="regression"), tokenizer()), labels=["no", "yes"], kind="sigmoid")
    with pytest.raises(InputError, match=r"has one output, which transformers trains as a regression.*kind='sigmoid'$"):
        ew.wrap((one_output(), tokenizer()), labels=["no", "yes"])

    engine = ew.wrap((one_output(), tokenizer()), labels=["no", "yes"], kind="sigmoid")

    assert engine.run(["where"]).logits.shape == (1, 2)


@pytest.mark.parametrize(
    "around",
    [
        lambda model: torch.compile(model, backend="eager"),
        torch.nn.DataParallel,
        lambda model: torch.compile(torch.nn.DataParallel(model), backend="eager"),
    ],
    ids=["compiled", "several devices", "both"],
)
def test_a_model_in_a_wrapper_of_torch_is_the_model_inside(around):
    model, plain = named(), Small()

    in_it = ew.wrap((around(model), tokenizer()))
    module = ew.wrap(around(plain), labels=NAMES, kind="logits", preprocess=to_floats)

    assert in_it.fingerprint == ew.wrap((model, tokenizer())).fingerprint
    assert np.allclose(in_it.run(texts(5)).logits, logits_of(model, texts(5)), atol=1e-4)
    assert module.described == "Small"
    assert np.allclose(module.run(TEXTS).logits, own(plain), atol=1e-6)


def test_a_pair_that_is_no_model_of_transformers_and_its_tokenizer_is_no_array():
    with pytest.raises(InputError, match=r"^cannot wrap tuple of Small, function; pass a model, a function of texts"):
        ew.wrap((Small(), to_floats), labels=NAMES)
