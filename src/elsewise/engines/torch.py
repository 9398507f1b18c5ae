"""The torch engine: any `AutoModelForSequenceClassification` whose head ends in a linear layer, on CPU or CUDA.

The body runs in bfloat16 where the processor has it (or in float32 on request), the head always in
float32: a bfloat16 logit of 9 is only known to 0.03. Features are the input of the head.
"""

import copy
import hashlib
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_texts
from elsewise.batching import run_in_batches
from elsewise.canaries import CANARIES
from elsewise.errors import ArtifactError, ElsewiseWarning, InputError
from elsewise.extras import need
from elsewise.outputs import Outputs

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

PRECISIONS = ("auto", "bf16", "f32")
ONE_AT_A_TIME = threading.Lock()  # the hook on the head hears every forward, also that of another thread


@cache
def _has_fast_bf16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_precision(precision: str) -> str:
    """Turn "auto" into "bf16" where the processor computes in it, else "f32".

    Raises
    ------
    InputError
        For a name that is none of auto, bf16, f32.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision != "auto":
        return precision
    return "bf16" if _has_fast_bf16() else "f32"


@dataclass(frozen=True, slots=True, eq=False)
class TorchEngine:
    """A sequence classification model with its tokenizer.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode, on its device.
    tokenizer : transformers.PreTrainedTokenizerFast
        As other tools will load it, without padding or truncation of its own.
    backend : tokenizers.Tokenizer
        A copy that truncates at `max_length`.
    labels : tuple of str
        In the order of the model's logits.
    max_length : int
        Tokens read of a text, special ones included.
    precision : {"bf16", "f32"}
        Of the body.
    """

    name: ClassVar[str] = "torch"
    model: Any
    tokenizer: Any
    backend: Any
    labels: tuple[str, ...]
    max_length: int
    precision: str

    @classmethod
    def of(cls, model: Any, tokenizer: Any, labels: Sequence[str], *, max_length: int, precision: str = "auto") -> Self:
        """Make an engine of a `transformers` model and tokenizer; the model moves to CUDA where there is one."""
        own = plain_tokenizer(tokenizer)
        backend = tokenizers.Tokenizer.from_str(own.to_str())
        backend.enable_truncation(max_length)
        model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        engine = cls(model, tokenizer, backend, tuple(labels), max_length, resolve_precision(precision))
        engine._check_head()
        return engine

    @classmethod
    def open(cls, folder: Path, labels: tuple[str, ...], settings: Mapping[str, Any]) -> Self:
        """Open a model folder: safetensors only, no code from the folder, no network."""
        safely = {"local_files_only": True, "trust_remote_code": False}
        quiet()
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **safely
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safely)
        if model.config.num_labels != len(labels):
            raise ArtifactError(
                f"{folder / 'config.json'}: {model.config.num_labels} labels, elsewise.json has {len(labels)}"
            )
        engine = cls.of(model, tokenizer, labels, max_length=settings["max_length"], precision=settings["precision"])
        made_on, here = settings["device"], engine.settings["device"]
        if made_on != here:
            promise = (
                f"{folder} was certified on {made_on}, and its promise was not tested on {here}, where it runs now"
            )
            message = f"{promise}; fit it here"
            warnings.warn(message, ElsewiseWarning, stacklevel=3)
        return engine

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `open` needs beside the files."""
        return {"max_length": self.max_length, "precision": self.precision, "device": self.model.device.type}

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, the tokenizer and the settings: a certificate belongs to one."""
        digest = hashlib.sha256(
            repr((sorted(self.settings.items()), self.labels)).encode() + self.backend.to_str().encode()
        )
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json, for any tool to load."""
        quiet()
        self.model.config.id2label = dict(enumerate(self.labels))
        self.model.config.label2id = {label: code for code, label in enumerate(self.labels)}
        self.model.config.problem_type = "single_label_classification"  # else the pipeline may take a sigmoid
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.model_max_length = self.max_length
        self.tokenizer.save_pretrained(folder)

    @property
    def canaries(self) -> Sequence[str]:
        """Fixed texts of many scripts and lengths."""
        return CANARIES

    def run(self, texts: Sequence[str]) -> Outputs:
        """Return logits (n, k) and features (n, d), float32; bit-identical for a text whatever its neighbours."""
        ids, truncated = self.tokenize(as_texts(texts))
        logits = np.full((len(ids), len(self.labels)), np.nan, dtype=np.float32)
        features = np.full((len(ids), last_linear(self.model).in_features), np.nan, dtype=np.float32)
        special = set(self.tokenizer.all_special_ids)  # the unknown token among them
        readable = np.array([bool(set(i) - special) for i in ids], dtype=bool)
        if readable.any():
            wanted = [i for i, is_read in zip(ids, readable, strict=True) if is_read]
            logits[readable], features[readable] = run_in_batches(
                wanted, self._forward, longest=self.max_length, pad=self.tokenizer.pad_token_id or 0
            )
        return Outputs(logits, features, np.array([len(i) for i in ids], dtype=np.int64), truncated)

    def tokenize(self, texts: Sequence[str]) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Return token ids, and which texts were longer than `max_length`; no ids for a text with nothing to see."""
        encoded = self.backend.encode_batch([_readable(text) for text in texts])
        seen = [any(c.isprintable() and not c.isspace() for c in text) for text in texts]
        ids = [e.ids if is_seen else [] for e, is_seen in zip(encoded, seen, strict=True)]
        return ids, np.array([bool(e.overflowing) for e in encoded], dtype=bool)

    def folded(self, calibrator: Any) -> Self:
        """Give a new engine whose plain softmax is what `calibrator` made of this one's logits."""
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
        """Refuse a model whose logits are not what its last linear layer makes of the features."""
        ids = np.array([self.backend.encode("a").ids], dtype=np.int64)
        logits, _ = replace(self, precision="f32")._forward(ids, np.ones_like(ids))  # noqa: SLF001  a copy of ourselves
        with torch.inference_mode():
            own = self.model(input_ids=torch.from_numpy(ids).to(self.model.device)).logits.float().cpu().numpy()
        if own.shape != logits.shape or not np.allclose(own, logits, atol=1e-3):
            raise InputError(
                f"the head of {type(self.model).__name__} does not end in a linear layer; take another encoder"
            )

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> tuple[Floats, Floats]:
        model, caught = self.model, []
        device = model.device
        with ONE_AT_A_TIME:
            hook = last_linear(model).register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
            try:
                with (
                    torch.inference_mode(),
                    torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"),
                ):
                    model(input_ids=torch.from_numpy(ids).to(device), attention_mask=torch.from_numpy(mask).to(device))
            finally:
                hook.remove()
        features = caught[-1].float()
        if features.ndim != 2:  # noqa: PLR2004
            raise InputError(
                f"{type(model).__name__} scores every token, not every text; take an encoder with a text-level head"
            )
        with torch.inference_mode():
            logits = torch.nn.functional.linear(features, last_linear(model).weight, last_linear(model).bias)
        return logits.cpu().numpy(), features.cpu().numpy()


def plain_tokenizer(tokenizer: Any) -> Any:
    """Take padding and truncation, which some files come with, out of a tokenizer; return its fast backend.

    Raises
    ------
    InputError
        If it has none.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(
            f"this encoder's {type(tokenizer).__name__} has no tokenizer.json; take an encoder that has one"
        )
    backend.no_padding()
    backend.no_truncation()
    return backend


def last_linear(model: Any) -> Any:
    """Find the linear layer that gives the logits.

    Raises
    ------
    InputError
        If the model has no linear layer with one output for each label.
    """
    linear = [
        m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == model.config.num_labels
    ]
    if not linear:
        raise InputError(f"{type(model).__name__} has no linear layer with {model.config.num_labels} outputs to end in")
    return linear[-1]


def quiet() -> None:
    """Silence the bars and reports that `transformers` prints when it loads and saves."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _readable(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
