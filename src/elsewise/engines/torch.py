"""torch: any `AutoModelForSequenceClassification` whose head ends in a linear layer, on CPU or CUDA.

The body runs in float32, or by autocast in bfloat16 or float16; the head always in float32, since a bfloat16 logit of 9
is only known to 0.03. Features are the input of the head.
"""

import copy
import os
import threading
import timeit
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from elsewise.engines.batching import EXACT_LENGTHS, TOKEN_BUDGET, Batch, Result
from elsewise.engines.encoders import ADAPTER, ANOTHER
from elsewise.engines.files import TOKENIZER, ModelFiles, Opening
from elsewise.engines.mean_pooled import HEAD, MeanPooled
from elsewise.engines.one_process import spare_threads
from elsewise.engines.text import TextEngine, check_precision, text_fingerprint
from elsewise.engines.tokenizer import TextTokenizer
from elsewise.errors import InputError, in_a_line, need, reading
from elsewise.storage.json_files import Json, read_json, write_json

# Before MKL is first asked: the last digits of a matrix product would depend on where a row lies in memory.
os.environ.setdefault("MKL_CBWR", "AUTO")
torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

HALVES: Final = {"bf16": torch.bfloat16, "f16": torch.float16}
WEIGHTS: Final = ("config.json", "model.safetensors")
CUDA_BUDGET: Final = 4096  # tokens in a batch: a GPU is idle at what keeps a processor busy
WORTH_IT: Final = 1.2
OTHER_FILES: Final = ("transformers_weights", "configuration_files")  # keys of config.json that name what to open
MOST: Final = 2**21  # tokens, positions, labels or width
MOST_LAYERS: Final = 1_000
SAFELY: Final = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True, eq=False)
class TorchModel:
    """A sequence classification model, in evaluation mode, on its device.

    Attributes
    ----------
    model, precision : transformers.PreTrainedModel, {"f32", "bf16", "f16"}
        The model, and the precision of its body.
    """

    model: Any
    precision: str
    short: ClassVar[None] = None  # MKL and GPUs choose kernels by the number of rows

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Name the precisions that this machine computes in."""
        if torch.cuda.is_available():
            return ("f32", "bf16", "f16") if torch.cuda.is_bf16_supported() else ("f32", "f16")
        return ("f32", "bf16") if _has_bf16() else ("f32",)

    @classmethod
    def of(cls, model: Any, precision: str) -> Self:
        """Take a `transformers` model, and move it to CUDA where there is a GPU.

        InputError if its logits are not what its last linear layer makes of one vector for each text.
        """
        made = cls(model.to(device()).eval(), precision)
        made._check_head()
        return made

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before anything is opened."""
        return text_fingerprint("torch", opening, *_weights(opening.files))

    @classmethod
    def open(cls, opening: Opening) -> TextEngine:
        """Open model.safetensors: no code from the folder, no network.

        InputError without the device or precision in `settings`, ArtifactError if a file is missing or damaged.
        """
        files, settings = opening.files, opening.settings
        check_precision(settings["precision"], "torch", cls.precisions())
        here = device()
        if settings.get("device", here) != here:
            raise InputError(f"engine torch was certified on {settings['device']}, and this machine computes on {here}")
        if opening.threads:
            torch.set_num_threads(opening.threads)
        model = cls.read(files, settings["precision"])
        tokenizer = TextTokenizer.open(files.need(TOKENIZER), settings)
        return TextEngine.of(opening, "torch", model, tokenizer, _weights(files))

    @classmethod
    def read(cls, files: ModelFiles, precision: str) -> Self:
        """Read model.safetensors, without code or network; ArtifactError if a file is missing or damaged."""
        weights = _weights(files)
        for name in weights:
            files.need(name)
        quiet()
        kind = MeanPooled if HEAD in weights else transformers.AutoModelForSequenceClassification
        with reading(files.path, "cannot be opened"):
            config = plain_config(files.path, local_files_only=True)
            opened = kind.from_pretrained(
                files.path, config=config, use_safetensors=True, dtype=torch.float32, **SAFELY
            )
        return cls.of(opened, precision)

    @property
    def settings(self) -> Json:
        """The settings to open the model with again."""
        return {"precision": self.precision, "device": self.model.device.type}

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""
        head = last_linear(self.model)
        return head.out_features, head.in_features

    @property
    def budget(self) -> int:
        """Tokens in a batch."""
        return CUDA_BUDGET if self.model.device.type == "cuda" else TOKEN_BUDGET

    def write(self, folder: Path, tokenizer: Any, labels: Sequence[str], max_length: int) -> None:
        """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json, for any tool to load."""
        quiet()
        self.model.config.id2label = dict(enumerate(labels))
        self.model.config.label2id = {label: code for code, label in enumerate(labels)}
        self.model.config.problem_type = "single_label_classification"  # else the pipeline may take a sigmoid
        self.model.save_pretrained(folder, safe_serialization=True)
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(folder)
        _name_class(folder / "tokenizer_config.json")

    def forward(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Run batches; the next batch starts before results are copied, so that a GPU keeps working."""
        spare_threads()
        waiting: deque[tuple[Any, Any]] = deque()
        with head_input(self.model) as caught:
            for batch in batches:
                waiting.append(self._launched(batch, caught))
                if len(waiting) > 1:
                    yield _results(waiting.popleft())
        for results in waiting:
            yield _results(results)

    def folded(self, calibrator: Any) -> Self:
        """Return a copy of the model whose plain softmax gives the probabilities of `calibrator`."""
        model = copy.deepcopy(self.model)
        head = last_linear(model)
        weight = head.weight.detach().double().cpu().numpy()
        bias = None if head.bias is None else head.bias.detach().double().cpu().numpy()
        weight, bias = calibrator.fold(weight, bias)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            if bias is not None:
                head.bias.copy_(torch.from_numpy(bias))
        return replace(self, model=model)

    def _check_head(self) -> None:
        ids, name = np.ones((1, 4), dtype=np.int64), type(self.model).__name__
        try:
            ((logits, _),) = replace(self, precision="f32").forward([(ids, ids)])
            with torch.inference_mode():
                own = self.model(input_ids=torch.from_numpy(ids).to(self.model.device)).logits.float().cpu().numpy()
        except InputError:
            raise
        except Exception as error:  # torch and transformers raise many kinds
            raise InputError(f"{name} cannot read a text of 4 tokens ({in_a_line(error)}){ANOTHER}") from error
        if own.shape != logits.shape or not np.allclose(own, logits, atol=1e-3):
            raise InputError(f"the head of {name} does not end in a linear layer{ANOTHER}")

    def _launched(self, batch: Batch, caught: list[Any]) -> tuple[Any, Any]:
        model, head = self.model, last_linear(self.model)
        place, half = model.device, HALVES.get(self.precision)
        ids, mask = (torch.from_numpy(part).to(place, non_blocking=True) for part in batch)
        # Texts of up to 64 tokens fill their batches: without a mask a GPU takes its fastest attention. By the length
        # first, so that it never depends on the neighbours; a quick run pads short ones too.
        is_full = place.type == "cuda" and ids.shape[1] <= EXACT_LENGTHS and bool(batch[1].all())
        caught.clear()
        with torch.inference_mode(), torch.autocast(place.type, half, enabled=half is not None):
            model(input_ids=ids, attention_mask=None if is_full else mask)
        features = caught[-1].float()
        if features.ndim != 2:  # noqa: PLR2004
            name = type(model).__name__
            raise InputError(f"{name} scores every token, not every text{ANOTHER}")
        with torch.inference_mode():
            return torch.nn.functional.linear(features, head.weight, head.bias), features


def _weights(files: ModelFiles) -> tuple[str, ...]:
    """Name the files that a model is opened from."""
    return (*WEIGHTS, HEAD) if HEAD in files else WEIGHTS


def _results(tensors: tuple[Any, Any]) -> Result:
    logits, features = (tensor.cpu().numpy() for tensor in tensors)
    return logits, features


def device() -> str:
    """Name the device that torch computes on: cuda or cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def _has_bf16() -> bool:
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@cache
def is_faster_in_bf16() -> bool:
    """Measure whether matrix products in bfloat16 are faster here: on some processors they are slower."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    if not _has_bf16():
        return False
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        a = torch.ones(768, 768, dtype=kind)
        seconds[kind] = min(timeit.repeat(partial(torch.matmul, a, a), number=1, repeat=8))
    return seconds[torch.float32] > WORTH_IT * seconds[torch.bfloat16]


def plain_config(place: str | Path, **more: Any) -> Any:
    """Open a config.json; InputError if it names code to run, other weights, or sizes that no model has.

    Code to run is its own, a kernel of the hub, or a quantizer; other weights pass a fingerprint by.
    """
    local = more.get("local_files_only", False)
    file = Path(transformers.utils.cached_file(place, "config.json", local_files_only=local))
    given = read_json(file)
    others = [*(key for key in OTHER_FILES if key in given), *(f.name for f in file.parent.glob(ADAPTER))]
    if others:
        raise InputError(f"it has weights or settings in other files ({others[0]}), which is not allowed")
    _check_sizes(given)
    config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False, **more)
    attention = getattr(config, "_attn_implementation", None)
    if attention is not None and "/" in str(attention):
        raise InputError(f"its config.json asks for code of the hub ({attention}), which is never run")
    if getattr(config, "quantization_config", None) is not None:
        raise InputError("its weights are quantized; take the float32 model that it was made from")
    return config


def _check_sizes(given: Any, name: str = "config.json") -> None:
    """Refuse whole numbers that no model has: to build what they say would take all time or memory."""
    if isinstance(given, int) and abs(given) > (MOST_LAYERS if "layer" in name else MOST) and "theta" not in name:
        raise InputError(f"its config.json says {name} {given:,}, which no model has")
    for key, value in given.items() if isinstance(given, dict) else ():
        _check_sizes(value, str(key))
    for value in given if isinstance(given, list) else ():
        _check_sizes(value, name)


def _name_class(file: Path) -> None:
    """Name the class of a plain tokenizer as versions 4 of `transformers` know it; later ones know both names."""
    config = read_json(file)
    if config.get("tokenizer_class") == "TokenizersBackend":
        write_json(file, {**config, "tokenizer_class": "PreTrainedTokenizerFast"})


def text_tokenizer(tokenizer: Any, max_length: int) -> TextTokenizer:
    """Turn a `transformers` tokenizer into the tokenizer of engines."""
    description = plain_tokenizer(tokenizer).to_str()
    pad, special = tokenizer.pad_token_id or 0, tokenizer.all_special_ids  # the unknown token among them
    side = tokenizer.padding_side
    return TextTokenizer.of(description, max_length=max_length, pad=pad, special=special, padding_side=side)


def plain_tokenizer(tokenizer: Any) -> Any:
    """Remove padding and truncation from a tokenizer, and return its fast backend; InputError if it has none."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        name = type(tokenizer).__name__
        raise InputError(f"{name} has no tokenizer.json{ANOTHER}")
    backend.no_padding()
    backend.no_truncation()
    return backend


def last_linear(model: Any) -> Any:
    """Find the linear layer that gives the logits; InputError if no layer has one output for each label."""
    k = model.config.num_labels
    linear = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part.out_features == k]
    if not linear:
        raise InputError(f"{type(model).__name__} has no linear layer with {k} outputs to end in")
    return linear[-1]


@contextmanager
def head_input(model: Any) -> Iterator[list[Any]]:
    """Record the input of the last linear layer, in a list: one tensor for each forward of this thread."""
    caught, here = [], threading.get_ident()

    def catch(_: Any, inputs: tuple[Any, ...]) -> None:
        if threading.get_ident() == here:  # another thread may ask the same model
            caught.append(inputs[0])

    hook = last_linear(model).register_forward_pre_hook(catch)
    try:
        yield caught
    finally:
        hook.remove()


def quiet() -> None:
    """Silence the bars and reports that `transformers` prints when it loads and saves."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
