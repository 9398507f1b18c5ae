"""Open an encoder with a new head for the labels, and its tokenizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from elsewise.engines.batching import run_batched
from elsewise.engines.encoders import find_encoder
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.engines.torch import TorchModel, last_linear, plain_config, plain_tokenizer, quiet, text_tokenizer
from elsewise.errors import ElsewiseError, InputError, is_failure, need
from elsewise.outputs import Outputs
from elsewise.training.settings import Training

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """An encoder with a head for the labels, and its tokenizer.

    Attributes
    ----------
    model : TorchModel
        Trained in place.
    tokenizer, tokenize : transformers.PreTrainedTokenizerFast, TextTokenizer
        The tokenizer as other tools will load it, without padding or truncation of its own, and as engines use it.
    """

    model: TorchModel
    tokenizer: Any
    tokenize: TextTokenizer

    def outputs(self, model: TorchModel, tokens: Tokens) -> Outputs:
        """Run a model that was trained from this learner."""
        return run_batched(tokens, self.tokenize, model.forward, model.widths, model.budget)


def prepare(labels: Sequence[str], how: Training) -> Learner:
    """Set the seed, and open the encoder with a new head for `labels`; raises as `load_encoder`."""
    quiet()
    transformers.set_seed(how.seed)
    model, tokenizer = load_encoder(how.encoder, labels)
    tokenize = text_tokenizer(tokenizer, _longest(model, how.max_length))
    return Learner(TorchModel.of(model, "f32"), tokenizer, tokenize)


def load_encoder(encoder: str, labels: Sequence[str]) -> tuple[Any, Any]:
    """Open an encoder with a new head for `labels`, and its tokenizer: safetensors only, no code from the hub.

    InputError if it is not found, or is not an encoder that `transformers` can classify with.
    """
    place = find_encoder(encoder)
    codes = {label: code for code, label in enumerate(labels)}
    how = {
        "dtype": torch.float32,
        "use_safetensors": True,
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
    }
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        config = plain_config(place, num_labels=len(labels), id2label=dict(enumerate(labels)), label2id=codes)
        model, found = transformers.AutoModelForSequenceClassification.from_pretrained(
            place, config=config, trust_remote_code=False, **how
        )
    except BaseException as error:  # transformers lets through whatever the libraries below it raise
        if not is_failure(error):
            raise
        raise InputError(f"encoder {encoder} cannot be opened: {_reason(error)}") from error
    _check_opened(encoder, tokenizer, model, found["mismatched_keys"])
    if "ForSequenceClassification" in str(model.config.architectures):  # its head knows other labels
        head = last_linear(model)
        torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
        if head.bias is not None:
            torch.nn.init.zeros_(head.bias)
    plain_tokenizer(tokenizer)
    return model, tokenizer


def _reason(error: BaseException) -> str:
    """Say in one line why an encoder cannot be opened."""
    words = str(error).strip()
    if "trust_remote_code" in words:
        return "it needs its own code, which is never run; take an encoder that transformers knows"
    if "no file named model.safetensors" in words:
        return "it has no model.safetensors; weights in other files may be pickles, and are never opened"
    first = words.splitlines()[0][:200] if words else ""
    is_worded = first and isinstance(error, (OSError, ValueError, ElsewiseError))
    return first if is_worded else f"{type(error).__name__}: {first}"


def _check_opened(encoder: str, tokenizer: Any, model: Any, mismatched: Iterable[tuple[Any, ...]]) -> None:
    """Refuse what `transformers` would make up: missing padding tokens, and weights of other shapes."""
    if tokenizer.pad_token is None:
        raise InputError(f"encoder {encoder} has a tokenizer without a padding token; take another encoder")
    head = {id(parameter) for parameter in last_linear(model).parameters()}
    parameters = dict(model.named_parameters())
    wrong = [name for name, *_ in mismatched if id(parameters.get(name)) not in head]
    if wrong:
        raise InputError(f"encoder {encoder} has weights of other shapes than its config.json says: {wrong[0]}")


def _longest(model: Any, max_length: int) -> int:
    """Return the maximum number of tokens: `max_length`, or fewer where the encoder has fewer positions."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or max_length
    is_offset = config.model_type in ("roberta", "xlm-roberta", "camembert")
    return min(max_length, positions - is_offset * ((config.pad_token_id or 0) + 1))
