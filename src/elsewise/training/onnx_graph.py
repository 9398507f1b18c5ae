"""Write model.onnx of any encoder, for engines without torch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from elsewise.engines.encoders import ANOTHER
from elsewise.engines.files import CONFIG, ONNX, ModelFiles, TemporaryPlace
from elsewise.engines.mean_pooled import MeanPooled
from elsewise.engines.onnx_safety import check_graph, check_onnx
from elsewise.engines.openvino import compile_graph
from elsewise.engines.second_opinion import HOME
from elsewise.engines.torch import TorchModel, head_input
from elsewise.errors import InputError, need
from elsewise.training.encoder import Learner
from elsewise.training.first_token import first_token_only

torch = need("torch", extra="train")

OPSET: Final = 17
FLOAT32: Final = {"INFERENCE_PRECISION_HINT": "f32"}
LONG_TEXT: Final = 512  # tokens of the longest text that is asked before training; longer ones would take gigabytes
TOLERANCE: Final = 1e-3  # of logits and features; with a head that reads other tokens they differ by their own size


class _Thin(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The model as a graph: token ids and mask in, logits and the input of the last linear layer out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> tuple[Any, Any]:
        """Return the logits, and the input of the last layer."""
        with head_input(self.model) as caught:
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits, caught[-1]


def with_graph(files: ModelFiles) -> ModelFiles:
    """Copy a model's files and add model.onnx, unless they have one; raises as `write_onnx`."""
    if ONNX in files:
        return files
    place = TemporaryPlace()
    files.copy_to(place.path)
    for model, folder in ((files, place.path), (files.below(HOME), place.path / HOME)):
        if CONFIG in model:
            write_onnx(TorchModel.read(model, "f32"), folder)
    return ModelFiles.of(place.path, place)


def write_onnx(model: TorchModel, folder: Path) -> None:
    """Write model.onnx: one file, any number of texts of any length, float32.

    By torch's TorchScript exporter, which takes every architecture whose head ends in a linear layer. The newer
    exporter (torch 2.13) fails on some (XLNet) and needs onnxscript. The last layer is written for the first token
    alone where the graph then answers as the model does, and whole everywhere else.

    Raises
    ------
    InputError
        If torch cannot trace this architecture, or it is larger than the 2 GB that one ONNX file holds.
    """
    file = folder / ONNX
    with _exporting(model.model) as thin:
        if isinstance(model.model, MeanPooled) or not _is_written_short(thin, file):  # which reads every token
            _export(thin, file)
    check_onnx(file)


def check_exportable(learner: Learner) -> None:
    """Raise InputError for an encoder whose graph cannot be written, or answers differently: before it is trained."""
    model = learner.model.model
    with _exporting(model) as thin, TemporaryDirectory(prefix="elsewise-graph-") as place:
        file = Path(place) / ONNX
        _export(thin, file)
        check_graph(file)
        run = compile_graph(file, FLOAT32)
        for name in {"input_ids", "attention_mask"} - {given.get_any_name() for given in run.inputs}:
            raise InputError(f"it does not read its {name}")
        for lengths in ((11, 7, 4), (min(learner.tokenize.max_length, LONG_TEXT),)):
            if not _answers_alike(run, thin, *_texts(model, lengths)):
                raise InputError("its graph gives other answers")


@contextmanager
def _exporting(model: Any) -> Iterator[_Thin]:
    """Give the model as a graph, on the CPU and with plain attention; InputError for what torch or OpenVINO raise."""
    device = model.device
    attention = model.config._attn_implementation  # noqa: SLF001  there is no other way to ask
    try:
        # Written out, attention is what OpenVINO knows as one piece: long texts take a fifth less time in int8.
        model.set_attn_implementation("eager")
        yield _Thin(model.to("cpu")).eval()
    except Exception as error:  # torch raises many kinds
        lines = (line.strip() for line in str(error).splitlines())  # OpenVINO begins with its own files
        reason = next((line for line in lines if line and not line.startswith("Exception from")), type(error).__name__)
        name = type(model).__name__
        raise InputError(f"{name} cannot be written as ONNX ({reason[:200]}){ANOTHER}") from error
    finally:
        model.set_attn_implementation(attention)
        model.to(device)


def _is_written_short(thin: _Thin, file: Path) -> bool:
    """Write the graph with a last layer of the first token alone, and tell whether it answers as the model does."""
    ids, mask = _texts(thin.model, (11, 7, 4))
    try:
        with first_token_only(thin.model):
            _export(thin, file)
        return _answers_alike(compile_graph(file, FLOAT32), thin, ids, mask)
    except Exception:  # noqa: BLE001  a layer of an unknown kind may stumble over one token in any way
        return False


def _texts(model: Any, lengths: tuple[int, ...]) -> tuple[Any, Any]:
    """Make token ids and their mask: a text of each length, padded to the first."""
    rows = model.get_input_embeddings().weight.shape[0]
    ids = torch.arange(len(lengths) * lengths[0]).reshape(len(lengths), lengths[0]) % rows
    return ids, (torch.arange(lengths[0]) < torch.tensor(lengths)[:, None]).long()


def _answers_alike(run: Any, thin: _Thin, ids: Any, mask: Any) -> bool:
    """Tell whether a compiled graph answers as the model does."""
    with torch.inference_mode():
        whole = thin(ids, mask)
    made = run({"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    return all(np.allclose(made[at], part.numpy(), TOLERANCE, TOLERANCE) for at, part in enumerate(whole))


def _export(thin: _Thin, file: Path) -> None:
    example, axes, rows = torch.ones(2, 16, dtype=torch.int64), {0: "batch", 1: "length"}, {0: "batch"}
    with warnings.catch_warnings(), torch.inference_mode(), _silent():
        warnings.simplefilter("ignore")  # of the tracer, which sees shapes as constants: tested at other shapes
        torch.onnx.export(
            thin,
            (example, example),
            str(file),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "features"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": rows, "features": rows},
            opset_version=OPSET,
            dynamo=False,
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep torch from printing a graph of hundreds of lines on stdout where it cannot write it."""
    log = torch._C._jit_onnx_log  # noqa: SLF001
    torch._C._jit_onnx_log = lambda *_: None  # noqa: SLF001
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log  # noqa: SLF001
