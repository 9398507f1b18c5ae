"""The native engine: the same bits with every kernel, close to float32, and safe with files of strangers."""

import ctypes
import json
import os
import shutil
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from elsewise.engines import native_build, native_library
from elsewise.engines.files import Opening
from elsewise.engines.native_build import COMMAND, NotCompiledError, build
from elsewise.engines.native_file import open_file, write_file
from elsewise.engines.native_library import KERNEL, kernels, library
from elsewise.engines.native_weights import packed
from elsewise.errors import ArtifactError, InputError, MissingExtra
from support.native import compiled, random_folder, random_model, random_texts, with_library

SHAPES = {  # odd widths, heads and depths; the last layer of the first token alone, and of all
    "widths that vectors divide": {"hidden": 64, "heads": 4, "inner": 128},
    "widths that they do not": {"hidden": 54, "heads": 3, "inner": 70, "labels": 17},
    "one head, one layer": {"hidden": 20, "heads": 1, "inner": 33, "layers": 1, "labels": 2},
    "a wide head": {"hidden": 80, "heads": 2, "inner": 65, "labels": 151},
    "positions after the padding's": {"kind": "roberta"},
    "a projection": {"kind": "electra", "embedding": 24},
    "the mean of the tokens": {"is_mean": True, "hidden": 36, "heads": 2},
}
BITS = Path(__file__).with_name("native_bits.json")
FE_UPWARD = 0x800  # of x86-64


@pytest.fixture(autouse=True)
def _compiled():
    compiled()


def same(first, second):
    return all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


def by_kernel(monkeypatch, folder, **shape):
    """The same model with each kernel that this processor runs."""
    models = {}
    for kernel in kernels():
        monkeypatch.setenv(KERNEL, kernel)
        models[kernel] = random_model(folder, 3, **shape)
        assert models[kernel].kernel == kernel
    return models


@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kernel_gives_the_same_bits(tmp_path, monkeypatch, shape, precision):
    models = by_kernel(monkeypatch, tmp_path, precision=precision, **SHAPES[shape])
    ids, lengths = random_texts(np.random.default_rng(0), models["plain"], 20)

    first, *others = (model.answer(ids, lengths) for model in models.values())

    assert np.isfinite(first[0]).all()
    assert len(np.unique(first[0][:, 0])) == len(lengths)
    assert all(same(first, other) for other in others)


def bits_of(folder, precision, **shape):
    """The hash of what a model of random weights answers to 20 random texts."""
    model = random_model(folder, 3, precision, **shape)
    answers = model.answer(*random_texts(np.random.default_rng(0), model, 20))
    return sha256(b"".join(part.tobytes() for part in answers)).hexdigest()


def all_bits(folder):
    """The hashes of every shape in both precisions."""
    return {name: {precision: bits_of(folder / name, precision, **shape) for precision in ("f32", "int8")}
            for name, shape in SHAPES.items()}  # fmt: skip


def test_the_bits_are_those_of_every_processor_before(tmp_path, monkeypatch):
    """A certificate that was made on another processor holds here."""
    for kernel in kernels():
        monkeypatch.setenv(KERNEL, kernel)
        assert all_bits(tmp_path) == json.loads(BITS.read_text()), kernel


@pytest.mark.faults
@pytest.mark.parametrize("optimised", ["-O1", "-O2", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_compiler_makes_the_same_bits(tmp_path, monkeypatch, compiler, optimised):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    with_library(monkeypatch, build(tmp_path / "native.so", [optimised], compiler))

    for kernel in kernels():
        monkeypatch.setenv(KERNEL, kernel)
        assert all_bits(tmp_path) == json.loads(BITS.read_text()), kernel


@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_alone_gets_the_bits_that_it_gets_among_others(tmp_path, shape, precision):
    model = random_model(tmp_path, 4, precision, **SHAPES[shape])
    ids, lengths = random_texts(np.random.default_rng(1), model, 9)

    logits, features = model.answer(ids, lengths)

    for row, text in enumerate(np.split(ids, np.cumsum(lengths)[:-1])):
        alone = model.answer(text, lengths[row : row + 1])
        assert same(alone, (logits[row : row + 1], features[row : row + 1]))


def test_a_change_of_one_token_changes_the_answer_of_its_text_alone(tmp_path):
    model = random_model(tmp_path, 5, "int8")
    ids, lengths = random_texts(np.random.default_rng(2), model, 6)
    before, _ = model.answer(ids, lengths)
    ids[int(lengths[:3].sum())] = (ids[int(lengths[:3].sum())] + 1) % model.shape.vocabulary

    after, _ = model.answer(ids, lengths)

    assert (before != after).any(axis=1).tolist() == [False, False, False, True, False, False]


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="the number of a rounding mode")
def test_how_another_library_rounds_changes_no_bit_and_is_left_as_it_is(tmp_path):
    model = random_model(tmp_path, 6, "int8")
    ids, lengths = random_texts(np.random.default_rng(3), model, 6)
    usual, libm = model.answer(ids, lengths), ctypes.CDLL("libm.so.6")

    libm.fesetround(FE_UPWARD)
    try:
        upward, left = model.answer(ids, lengths), libm.fegetround()
    finally:
        libm.fesetround(0)

    assert left == FE_UPWARD
    assert same(usual, upward)


def test_a_token_or_a_length_that_the_model_has_no_row_for_is_refused(tmp_path):
    model = random_model(tmp_path, 7, "int8", kind="roberta")  # 40 positions, of which 38 are for tokens
    one = np.array([1], dtype=np.int32)

    for ids, lengths in (([-1], one), ([50], one), ([3] * 39, one * 39), ([3], one * 0), ([3, 3], one), ([3], one * 2)):
        with pytest.raises(InputError, match=r"not one of the model's 50, or a text is longer than 38 tokens"):
            model.answer(np.array(ids, dtype=np.int32), lengths)


def test_a_kernel_that_is_not_there_is_refused_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setenv(KERNEL, "abacus")

    with pytest.raises(InputError, match=r"^ELSEWISE_NATIVE_KERNEL is abacus, and this processor runs plain"):
        native_library.kernel_in_use()


# ---- close to torch


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("bert", {}),
        ("bert", {"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 50}),
        ("distilbert", {}),
        ("roberta", {}),
        ("xlm-roberta", {}),
        ("electra", {}),
        ("electra", {"embedding_size": 24}),
    ],
)
def test_float32_is_that_of_torch_and_int8_is_near(architecture, more):
    from elsewise.engines.native import NativeModel
    from elsewise.engines.torch import TorchModel
    from support.small_models import LABELS, files_of, texts

    files, learner = files_of(architecture, initializer_range=0.1, **more)
    settings, asked = learner.tokenize.settings, texts(40)
    torch = TorchModel.open(Opening(files, LABELS, {**settings, "precision": "f32"})).run(asked)
    for precision, most in (("f32", 1e-5), ("int8", 0.05)):
        its_files = NativeModel.with_weights(files, precision)
        engine = NativeModel.open(Opening(its_files, LABELS, {**settings, "precision": precision}))
        found, spread = engine.run(asked), torch.logits.std(axis=1).mean()
        assert np.abs(found.logits - torch.logits).max() < most * max(spread, 1)
        assert np.abs(found.features - torch.features).max() < most


def test_an_encoder_as_it_came_is_that_of_torch():
    from elsewise.engines.native import NativeModel
    from elsewise.engines.torch import TorchModel
    from support.small_models import LABELS, learner_of, second_files_of, texts

    files, settings = second_files_of("bert"), learner_of("bert").tokenize.settings
    torch = TorchModel.open(Opening(files, LABELS, {**settings, "precision": "f32"})).run(texts(40))

    its_files = NativeModel.with_weights(files, "f32")
    found = NativeModel.open(Opening(its_files, LABELS, {**settings, "precision": "f32"})).run(texts(40))

    assert np.abs(found.logits - torch.logits).max() < 1e-4
    assert np.abs(np.linalg.norm(found.features, axis=1) - 1).max() < 1e-6


def test_the_token_of_padding_inside_a_text_is_counted_as_torch_counts_it():
    """RoBERTa gives it the position of padding, and numbers the tokens after it as if it were not there."""
    from elsewise.engines.native import NativeModel
    from elsewise.engines.tokenizer import Tokens
    from elsewise.engines.torch import TorchModel
    from support.small_models import LABELS, files_of

    files, learner = files_of("roberta", pad_token_id=0)
    tokens = Tokens.of([[2, 5, 0, 0, 7, 8, 3], [2, 5, 7, 8, 3]])
    how = {**learner.tokenize.settings, "precision": "f32"}

    torch = TorchModel.open(Opening(files, LABELS, how)).model.model
    found = NativeModel.open(Opening(NativeModel.with_weights(files, "f32"), LABELS, how)).run(tokens)

    import torch as library_of_torch

    for ids, logits in zip(tokens, found.logits, strict=True):
        given = library_of_torch.from_numpy(ids.astype(np.int64))[None]
        with library_of_torch.inference_mode():
            own = torch(input_ids=given, attention_mask=library_of_torch.ones_like(given)).logits[0].numpy()
        assert np.abs(own - logits).max() < 1e-4


# ---- what is not computed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"model_type": "deberta-v2"},
            r"does not compute deberta-v2, but bert, roberta, .*; choose engine='openvino'$",
        ),
        ({"model_type": None}, r"does not compute None, but bert"),
        ({"hidden_act": "gelu_new"}, r"computes the activation gelu, and this bert has gelu_new; choose"),
        ({"position_embedding_type": "relative_key"}, r"this bert has relative_key positions; choose"),
        ({"is_decoder": True}, r"this bert is a decoder; choose"),
    ],
)
def test_what_it_does_not_compute_is_refused_with_another_engine(tmp_path, change, words):
    folder = random_folder(tmp_path, 0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))

    with pytest.raises(InputError, match=words):
        packed(folder, "int8")


def test_weights_that_are_not_there_are_named(tmp_path):
    folder = random_folder(tmp_path, 0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))

    with pytest.raises(ArtifactError, match=r"model.safetensors cannot be read: .*encoder.layer.2"):
        packed(folder, "int8")


# ---- files of strangers


@pytest.fixture
def saved(tmp_path):
    shape, tensors = packed(random_folder(tmp_path / "model", 0), "int8")
    write_file(tmp_path / "int8.safetensors", shape, tensors)
    return tmp_path / "int8.safetensors", shape, tensors


def test_the_file_is_one_of_safetensors_and_begins_its_tensors_at_lines_of_the_cache(saved):
    from safetensors.numpy import load_file

    file, _, tensors = saved

    found = load_file(file)

    assert {name: array.tobytes() for name, array in found.items()} == {
        name: np.ascontiguousarray(array).tobytes() for name, array in tensors.items()
    }
    assert [tensor.ctypes.data % 64 for tensor in open_file(file).tensors] == [0] * len(tensors)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "is empty, or cut off"),
        (lambda content: content[:-1], "a tensor lies at"),
        (lambda content: content[: len(content) // 2], "a tensor lies at"),
        (lambda content: (int.from_bytes(content[:8], "little") - 1).to_bytes(8, "little") + content[8:],
         "its tensors begin at"),
        (lambda content: b"\xff" * 8 + content[8:], "its header is said to have 18446744073709551615 bytes"),
        (lambda content: content.replace(b"elsewise native 1", b"elsewise native 9"), "this version reads"),
        (lambda content: content.replace(b'"F32"', b'"F64"', 1), "'F64'"),
        (lambda content: content.replace(b'heads\\": 3', b'heads\\": 4'), "its tensor 13 has another size"),
        (lambda content: content.replace(b'layers\\": 2', b'layers\\": 1'), "has another size"),
        (lambda content: content.replace(b'labels\\": 5', b'labels\\":-5'), "has a shape that no model has"),
        (lambda content: content.replace(b'hidden\\": 48', b'hidden\\": 4e'), "no weights that this version can read"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_error(saved, change, words):
    file, *_ = saved
    content = file.read_bytes()
    changed = change(content)
    assert changed != content
    file.write_bytes(changed)

    with pytest.raises(ArtifactError, match=words) as error:
        open_file(file)
    assert str(file) in str(error.value)


def test_numbers_that_are_none_are_an_error(saved):
    file, shape, tensors = saved
    write_file(file, shape, {**tensors, "positions": np.full_like(tensors["positions"], np.inf)})

    with pytest.raises(ArtifactError, match="positions has infinite numbers"):
        open_file(file)


@pytest.mark.parametrize(
    "field", ["vocabulary", "positions", "hidden", "inner", "layers", "heads", "head_width", "dense"]
)
@pytest.mark.parametrize("value", [-1, 0, 100, 2**15, 2**31 - 1])
def test_a_shape_that_is_not_that_of_the_tensors_is_an_error(saved, field, value):
    file, shape, tensors = saved
    write_file(file, replace(shape, **{field: value}), tensors)

    with pytest.raises(ArtifactError):
        open_file(file)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_are_errors_or_models(saved, seed):
    """Many more, and under the sanitizers: tests/faults/test_native_files.py."""
    from support.native_mutants import try_mutants

    assert sum(try_mutants(saved[0], seed, 150).values()) == 150


# ---- the library


def test_without_a_library_there_is_the_command_that_compiles_it(tmp_path):
    with pytest.raises(
        MissingExtra, match=f"^the engine native is not compiled; install a C compiler, and run: {COMMAND}$"
    ):
        library(tmp_path / "native.so")


def test_what_is_no_library_has_the_command_too(tmp_path):
    (tmp_path / "native.so").write_bytes(b"no library")

    with pytest.raises(MissingExtra, match=rf"^the engine native does not load \(.*; run: {COMMAND}$"):
        library(tmp_path / "native.so")


def test_a_library_of_other_sources_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(native_library, "sources_hash", lambda: "other")
    copy = tmp_path / "native.so"
    copy.write_bytes(native_build.LIBRARY.read_bytes())

    with pytest.raises(MissingExtra, match=f"was compiled from other sources; run: {COMMAND}$"):
        library(copy)


def test_without_a_compiler_it_says_so_and_ends_non_zero(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(native_build, "LIBRARY", tmp_path / "native.so")
    monkeypatch.setenv("CC", "no-such-compiler")

    assert native_build.main() == 1
    assert "is not compiled: no C compiler is found (no-such-compiler)" in capsys.readouterr().err


def test_a_compiler_that_fails_is_named(tmp_path):
    with pytest.raises(NotCompiledError, match=r"false fails: exit code 1$"):
        build(tmp_path / "native.so", compiler="/bin/false")
    assert list(tmp_path.iterdir()) == []
