"""The graphs that engines without torch run, against torch itself."""

import numpy as np
import pytest

from support.small_models import ARCHITECTURES, LABELS, LONGEST, files_of, graph_of, learner_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.engines import engine_class  # noqa: E402
from elsewise.engines.files import Opening  # noqa: E402
from elsewise.engines.openvino import core  # noqa: E402
from elsewise.engines.tokenizer import Tokens  # noqa: E402
from elsewise.engines.torch import last_linear  # noqa: E402
from elsewise.errors import InputError  # noqa: E402
from elsewise.training.first_token import first_token_only  # noqa: E402
from elsewise.training.int8 import QUANTISE_ROWS, quantise_rows  # noqa: E402
from elsewise.training.onnx_graph import check_exportable, with_graph, write_onnx  # noqa: E402

LENGTHS = (3, 11, 32, LONGEST)
SHORT = sorted({*ARCHITECTURES} - {"deberta-v2", "albert", "mpnet", "xlnet"})  # their last layer can be cut


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_exported_graph_answers_as_torch_does(architecture, name):
    """One and several texts, four lengths, padding among them."""
    files, learner = graph_of(architecture)
    engine = engine_class(name).open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}))
    model, rng = learner.model.model, np.random.default_rng(0)

    assert not list(files.path.glob("*.data"))
    for length in LENGTHS:
        for rows in (1, 5):
            ids = rng.integers(5, 20, size=(rows, length))
            mask = np.ones_like(ids)
            mask[1:, length // 2 :] = 0
            ((logits, features),) = engine.model.forward([(ids, mask)])
            with torch.no_grad():
                plain = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
                head = last_linear(model)
                again = torch.nn.functional.linear(torch.from_numpy(features), head.weight, head.bias).numpy()
            assert np.abs(logits - plain).max() < 1e-4
            assert np.abs(again - plain).max() < 1e-4


def products(files):
    """Output shapes of the matrix products in a graph, for five texts of eleven tokens."""
    graph = core().read_model(files.path / "model.onnx")
    graph.reshape({name: [5, 11] for name in ("input_ids", "attention_mask")})
    return [tuple(node.get_output_shape(0)) for node in graph.get_ordered_ops() if node.get_type_name() == "MatMul"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_last_layer_is_computed_for_the_token_that_is_read(architecture):
    """... by every architecture that attends through the common interface; the others compute it whole."""
    files, _ = graph_of(architecture)

    made = products(files)

    wide = 128 if architecture == "modernbert" else 64  # the middle of a layer; ModernBERT's is gated
    length = (11, 5) if architecture == "xlnet" else (5, 11)
    assert made.count((5, 1, wide)) == (architecture in SHORT)
    assert made.count((*length, wide)) == 2 - (architecture in SHORT)


@pytest.mark.parametrize("architecture", SHORT)
def test_the_first_token_alone_gives_the_plain_forward_pass(architecture):
    """Says which version of transformers the last layer can no longer be cut in: graphs are then written whole."""
    model, rng = learner_of(architecture).model.model, np.random.default_rng(0)
    model.set_attn_implementation("eager")
    for length in LENGTHS:
        ids, mask = torch.from_numpy(rng.integers(5, 20, size=(5, length))), torch.ones(5, length, dtype=torch.int64)
        mask[1:, length // 2 :] = 0
        with torch.no_grad():
            plain = model(input_ids=ids, attention_mask=mask)
            with first_token_only(model):
                cut = model(input_ids=ids, attention_mask=mask)
            again = model(input_ids=ids, attention_mask=mask)

        assert (cut.logits - plain.logits).abs().max() < 1e-4, f"not with transformers {transformers.__version__}"
        assert torch.equal(again.logits, plain.logits)


def no_layers(monkeypatch):
    monkeypatch.delattr(transformers.modeling_layers, "GradientCheckpointingLayer")


def other_attention(monkeypatch):
    def attend(inside, heard, module, query, key, value, *_, **__):
        return value[:, :, : query.shape[2]].transpose(1, 2).contiguous(), None

    monkeypatch.setattr("elsewise.training.first_token._attend", attend)


def other_table(monkeypatch):
    unread = transformers.modeling_utils.AttentionInterface()
    monkeypatch.setattr(transformers.modeling_utils, "ALL_ATTENTION_FUNCTIONS", unread)


@pytest.mark.parametrize("change", [no_layers, other_attention, other_table])
def test_a_graph_is_whole_where_transformers_has_changed_what_the_cut_relies_on(monkeypatch, change):
    change(monkeypatch)

    files, learner = files_of("bert")
    files = with_graph(files)

    assert products(files).count((5, 11, 64)) == 2
    engine = engine_class("openvino").open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}))
    ids = np.random.default_rng(0).integers(5, 20, size=(4, 11))
    ((logits, _),) = engine.model.forward([(ids, np.ones_like(ids))])
    with torch.no_grad():
        assert np.abs(logits - learner.model.model(torch.from_numpy(ids)).logits.numpy()).max() < 1e-4


def test_a_head_that_reads_all_tokens_gets_all():
    """ModernBERT may take the mean of its tokens; the graph is whole, and the answers are those of the model."""
    files, learner = files_of("modernbert", classifier_pooling="mean")
    files = with_graph(files)
    engine = engine_class("openvino").open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}))
    ids = np.random.default_rng(0).integers(5, 20, size=(4, 11))
    mask = np.ones_like(ids)
    mask[1:, 6:] = 0

    ((logits, _),) = engine.model.forward([(ids, mask)])

    with torch.no_grad():
        plain = learner.model.model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
    assert np.abs(logits - plain.numpy()).max() < 1e-4


def test_a_model_is_whole_again_after_its_graph_is_written(tmp_path):
    learner = learner_of("bert")
    ids = torch.arange(5, 16)[None]
    write_onnx(learner.model, tmp_path)
    assert (tmp_path / "model.onnx").exists()
    with torch.no_grad():
        hidden = learner.model.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    assert hidden.shape == (1, 11, 32)


def test_an_architecture_that_cannot_be_traced_is_refused_in_one_line(tmp_path, monkeypatch):
    learner = learner_of("bert")

    def no_trace(*_, **__):
        raise RuntimeError("unsupported operator\nand many lines more")

    monkeypatch.setattr(torch.onnx, "export", no_trace)
    with pytest.raises(InputError, match=r"^BertForSequenceClassification cannot be written as ONNX \(unsupported op"):
        write_onnx(learner.model, tmp_path)


@pytest.mark.parametrize(
    ("architecture", "more", "why"),
    [
        ("fnet", {"tpu_short_seq_length": 64}, r"Exporting the operator 'aten::fft_fftn' to ONNX .* is not supported"),
        ("mra", {}, "it does not read its attention_mask"),
    ],
)
def test_an_architecture_that_engines_cannot_run_is_refused_before_training_and_prints_nothing(
    capfd, architecture, more, why
):
    """torch would print the whole graph on stdout, past Python."""
    learner = learner_of(architecture, **more)
    capfd.readouterr()

    with pytest.raises(
        InputError, match=rf"^\w+ForSequenceClassification cannot be written as ONNX \({why}\); take an"
    ):
        check_exportable(learner)

    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_that_engines_run_passes_and_stays_as_it_was(architecture):
    learner = learner_of(architecture)
    before, attention = learner.model.model.state_dict(), learner.model.model.config._attn_implementation

    check_exportable(learner)

    after = learner.model.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert learner.model.model.config._attn_implementation == attention


def test_a_graph_that_answers_differently_at_another_length_is_refused(monkeypatch):
    """As of a model whose tracing takes the length of the example for a constant."""
    learner = learner_of("bert")
    plain = type(learner.model.model).forward

    def by_the_length(self, **given):
        made = plain(self, **given)
        made.logits = made.logits * float(given["input_ids"].shape[1])
        return made

    monkeypatch.setattr(type(learner.model.model), "forward", by_the_length)
    with pytest.raises(InputError, match=r"cannot be written as ONNX \(its graph gives other answers\)"):
        check_exportable(learner)


def test_int8_is_calibrated_on_short_and_long_texts():
    lengths = [0, *range(1, 1000)]
    tokens = Tokens.of([[7] * length for length in lengths])

    chosen = quantise_rows(tokens, np.random.default_rng(0))

    assert len(chosen) == QUANTISE_ROWS
    assert set(range(940, 1000)) <= set(chosen.lengths.tolist())
    assert 0 not in chosen.lengths
    assert (chosen.lengths < 500).sum() > 90
    assert len(quantise_rows(Tokens.of([[1, 2], [], [3]]), np.random.default_rng(0))) == 2
