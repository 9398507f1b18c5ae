"""Write model.onnx of any encoder, for engines without torch."""

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.engines.encoders import ANOTHER
from elsewise.engines.files import ONNX, ModelFiles, TemporaryPlace
from elsewise.engines.mean_pooled import MeanPooled
from elsewise.engines.onnx_safety import check_onnx
from elsewise.engines.openvino import compile_graph
from elsewise.engines.torch import TorchModel, head_input
from elsewise.errors import InputError, need
from elsewise.training.encoder import Learner
from elsewise.training.first_token import first_token_only

torch = need("torch", extra="train")

OPSET: Final = 17
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


def write_model(model: TorchModel, learner: Learner, labels: tuple[str, ...]) -> ModelFiles:
    """Write a model's files, for `transformers` and as ONNX, to a temporary folder that lives as long as the result."""
    place = TemporaryPlace()
    model.write(place.path, learner.tokenizer, labels, learner.tokenize.max_length)
    write_onnx(model, place.path)
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
    device, file = model.model.device, folder / ONNX
    attention = model.model.config._attn_implementation  # noqa: SLF001  there is no other way to ask
    try:
        # Written out, attention is what OpenVINO knows as one piece: long texts take a fifth less time in int8.
        model.model.set_attn_implementation("eager")
        thin = _Thin(model.model.to("cpu")).eval()
        if isinstance(model.model, MeanPooled) or not _is_written_short(thin, file):  # which reads every token
            _export(thin, file)
    except Exception as error:  # torch raises many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        name = type(model.model).__name__
        raise InputError(f"{name} cannot be written as ONNX ({reason}){ANOTHER}") from error
    finally:
        model.model.set_attn_implementation(attention)
        model.model.to(device)
    check_onnx(file)


def _is_written_short(thin: _Thin, file: Path) -> bool:
    """Write the graph with a last layer of the first token alone, and tell whether it answers as the model does."""
    ids = torch.arange(33).reshape(3, 11) % thin.model.get_input_embeddings().weight.shape[0]
    mask = (torch.arange(11) < torch.tensor([[11], [7], [4]])).long()
    try:
        with torch.inference_mode():
            whole = thin(ids, mask)
        with first_token_only(thin.model):
            _export(thin, file)
        run = compile_graph(file, {"INFERENCE_PRECISION_HINT": "f32"})
        made = run({"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        return all(np.allclose(made[at], part.numpy(), TOLERANCE, TOLERANCE) for at, part in enumerate(whole))
    except Exception:  # noqa: BLE001  a layer of an unknown kind may stumble over one token in any way
        return False


def _export(thin: _Thin, file: Path) -> None:
    example, axes, rows = torch.ones(2, 16, dtype=torch.int64), {0: "batch", 1: "length"}, {0: "batch"}
    with warnings.catch_warnings(), torch.inference_mode():
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
