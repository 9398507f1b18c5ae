"""Write model.onnx of any encoder, for engines without torch."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any, Final

from elsewise.engines.files import ONNX, ModelFiles, TemporaryPlace
from elsewise.engines.onnx_safety import check_onnx
from elsewise.engines.torch import TorchModel, head_input
from elsewise.errors import InputError, need
from elsewise.training.encoder import Learner
from elsewise.training.first_token import first_token_only

torch = need("torch", extra="train")

OPSET: Final = 17


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

    Raises
    ------
    InputError
        If torch cannot trace this architecture, or it is larger than the 2 GB that one ONNX file holds.

    Notes ----- By torch's TorchScript exporter, which takes every architecture whose head ends in a linear layer. The
    newer exporter (torch 2.13) fails on some (XLNet) and needs onnxscript.
    """
    device, example = model.model.device, torch.ones(2, 16, dtype=torch.int64)
    attention = model.model.config._attn_implementation  # noqa: SLF001  there is no other way to ask
    axes = {0: "batch", 1: "length"}
    try:
        # Written out, attention is what OpenVINO knows as one piece: long texts take a fifth less time in int8.
        model.model.set_attn_implementation("eager")
        thin = _Thin(model.model.to("cpu")).eval()
        answers = partial(thin, *_texts(model.model))
        with warnings.catch_warnings(), torch.inference_mode(), first_token_only(model.model, answers):
            warnings.simplefilter("ignore")  # of the tracer, which sees shapes as constants: tested at other shapes
            torch.onnx.export(
                thin,
                (example, example),
                str(folder / ONNX),
                input_names=["input_ids", "attention_mask"],
                output_names=["logits", "features"],
                dynamic_axes={
                    "input_ids": axes,
                    "attention_mask": axes,
                    "logits": {0: "batch"},
                    "features": {0: "batch"},
                },
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # torch raises many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{type(model.model).__name__} cannot be written as ONNX ({reason}); take another encoder"
        ) from error
    finally:
        model.model.set_attn_implementation(attention)
        model.model.to(device)
    check_onnx(folder / ONNX)


def _texts(model: Any) -> tuple[Any, Any]:
    """Give two texts of different tokens, the second shorter: ids and mask."""
    ids = torch.arange(32).reshape(2, 16) % model.get_input_embeddings().weight.shape[0]
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    return ids, mask
