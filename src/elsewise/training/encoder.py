"""Open an encoder with a new head for the labels, and its tokenizer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from elsewise.engines.batching import run_batched, run_windows
from elsewise.engines.encoder_facts import check_ids, most_tokens, padding_side
from elsewise.engines.encoders import ANOTHER, find_encoder
from elsewise.engines.files import ModelFiles, TemporaryPlace
from elsewise.engines.lowercase import lowercase
from elsewise.engines.native import NativeModel
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.engines.torch import TorchModel, last_linear, plain_config, plain_tokenizer, quiet, text_tokenizer
from elsewise.engines.windows import Windows, read_in_windows
from elsewise.errors import ArtifactError, ElsewiseError, InputError, MissingExtra, is_failure, need
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json
from elsewise.training.settings import Training

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

# Without any of them `transformers` makes up a tokenizer that knows no word.
TOKENIZERS: Final = ("tokenizer.json", "vocab*", "*.model", "*.codes", "*.bpe", "*.spm")
EMBEDDED: Final = 512  # tokens in a batch of train texts: measured, a third faster than the batches that answer


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """An encoder with a head for the labels, and its tokenizer.

    Attributes
    ----------
    model : TorchModel
        Trained in place.
    tokenizer, tokenize : transformers.PreTrainedTokenizerFast, TextTokenizer
        The tokenizer as other tools will load it, without padding or truncation of its own; and as engines use it, cut
        at what the encoder reads at once.
    longer : (TextTokenizer, Windows), optional
        How longer texts are read. Default: they are cut.
    """

    model: TorchModel
    tokenizer: Any
    tokenize: TextTokenizer
    longer: tuple[TextTokenizer, Windows] | None = None

    def in_windows(self, most: int) -> Self:
        """Read texts in up to so many windows, joined by their mean; with 1 they are cut."""
        if most == 1:
            return self
        windows = Windows.of(self.tokenize)
        return replace(self, longer=(text_tokenizer(self.tokenizer, windows.tokens(most)), windows))

    @property
    def reads(self) -> TextTokenizer:
        """The tokenizer of texts that are answered, and not learnt."""
        return self.longer[0] if self.longer else self.tokenize

    @property
    def windows(self) -> Windows | None:
        """How texts are read that are longer than the encoder reads at once; None where they are cut."""
        return self.longer[1] if self.longer else None

    @property
    def settings(self) -> Json:
        """How engines tokenise and read texts (JSON)."""
        return {**self.reads.settings, **(self.windows.settings if self.windows else {})}

    def outputs(self, model: TorchModel, tokens: Tokens, precision: str = "f32") -> Outputs:
        """Run a model that was made from this learner, faster than torch where the native engine computes it.

        Elsewhere torch computes in `precision`, "f32" or "bf16".
        """
        with _natively(model) as native:

            def run(some: Tokens) -> Outputs:
                if native is not None:
                    return run_windows(some, self.tokenize, native.answers, native.widths)
                return self.by_torch(replace(model, precision=precision), some, EMBEDDED)

            return read_in_windows(self.windows, run, tokens)

    def by_torch(self, model: TorchModel, tokens: Tokens, budget: int = 0) -> Outputs:
        """Run a model as torch computes it, in batches with padding, of so many tokens or those that answer."""
        return run_batched(tokens, self.tokenize, model.forward, model.widths, max(model.budget, budget))

    def write(self, model: TorchModel, labels: tuple[str, ...]) -> ModelFiles:
        """Write such a model as `transformers` does, to a temporary folder that lives as long as the result."""
        place = TemporaryPlace()
        model.write(place.path, self.tokenizer, labels, self.tokenize.max_length)
        return ModelFiles.of(place.path, place)


@contextmanager
def _natively(model: TorchModel) -> Iterator[NativeModel | None]:
    """Give a model's float32 weights to the native engine; None on a GPU, and where it does not compute the model."""
    with TemporaryDirectory(prefix="elsewise-model-") as place:
        native = None
        if model.model.device.type == "cpu":
            with suppress(InputError, ArtifactError, MissingExtra):
                NativeModel.check_architecture(model.model.config.to_dict())
                NativeModel.precisions()
                quiet()
                model.model.save_pretrained(Path(place))
                native = NativeModel.of(Path(place))
        yield native


def prepare(labels: Sequence[str], how: Training) -> Learner:
    """Set the seed, and open the encoder with a new head for `labels`; raises as `load_encoder`."""
    quiet()
    transformers.set_seed(how.seed)
    model, tokenizer = load_encoder(how.encoder, labels)
    if how.lowercase is not None:
        tokenizer = _lowercasing(tokenizer, how.lowercase)
    return learner_of(model, tokenizer, longest(model, how.max_length)).in_windows(how.windows)


def _lowercasing(tokenizer: Any, language: str) -> Any:
    """Let a tokenizer lowercase as a language does, for all who read its tokenizer.json.

    A class of its own would make its steps anew, as BertTokenizer does.
    """
    lowercase(tokenizer.backend_tokenizer, language)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side, model_max_length=tokenizer.model_max_length,
        **tokenizer.special_tokens_map,
    )  # fmt: skip


def learner_of(model: Any, tokenizer: Any, max_length: int) -> Learner:
    """Pair a model with its tokenizer, which is made to pad where the model ignores padding."""
    made = TorchModel.of(model, "f32")
    tokenizer.padding_side = padding_side(model, tokenizer)
    return Learner(made, tokenizer, text_tokenizer(tokenizer, max_length))


def load_encoder(encoder: str, labels: Sequence[str]) -> tuple[Any, Any]:
    """Open an encoder with a new head for `labels`, and its tokenizer: safetensors only, no code from the hub.

    InputError if it is not found, or is not an encoder that `transformers` can classify with.
    """
    names = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    codes = {label: code for code, label in enumerate(labels)}
    model, tokenizer, found = open_model(find_encoder(encoder), f"encoder {encoder}", **names, label2id=codes)
    head = {id(parameter) for parameter in last_linear(model).parameters()}
    parameters = dict(model.named_parameters())
    wrong = [key for key in found["mismatched_keys"] if id(parameters.get(key[0])) not in head]
    check_shapes(f"encoder {encoder}", wrong)
    if "ForSequenceClassification" in str(model.config.architectures):  # its head knows other labels
        head = last_linear(model)
        torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
        if head.bias is not None:
            torch.nn.init.zeros_(head.bias)
    plain_tokenizer(tokenizer)
    return model, tokenizer


def open_model(place: str, named: str, **config: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """Open a model that classifies texts, and its tokenizer: safetensors only, no code from the hub.

    Parameters
    ----------
    place : str
        A folder, or a name on the hub.
    named : str
        What messages call it.
    **config
        Settings to change.

    Returns
    -------
    model, tokenizer, found
        `found` has the weights that `transformers` missed, did not expect, or found in another shape, by the keys of
        its loading info.

    Raises
    ------
    InputError
        If it cannot be opened, or has no tokenizer that can pad and whose ids it knows.
    """
    if Path(place).is_dir() and not any(next(Path(place).glob(name), None) for name in TOKENIZERS):
        raise InputError(f"{named} has no tokenizer; save it there: tokenizer.save_pretrained({place!r})")
    how = {"dtype": torch.float32, "use_safetensors": True, "ignore_mismatched_sizes": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        model, found = transformers.AutoModelForSequenceClassification.from_pretrained(
            place, config=plain_config(place, **config), trust_remote_code=False, output_loading_info=True, **how
        )
    except BaseException as error:  # transformers lets through whatever the libraries below it raise
        if not is_failure(error):
            raise
        raise InputError(f"{named} cannot be opened: {_reason(error)}") from error
    if tokenizer.pad_token is None:
        raise InputError(f"{named} has a tokenizer without a padding token{ANOTHER}")
    check_ids(model, tokenizer, named)
    return model, tokenizer, found


def _reason(error: BaseException) -> str:
    """Say in one line why an encoder cannot be opened."""
    words = str(error).strip()
    if "trust_remote_code" in words:
        return f"it needs its own code, which is never run{ANOTHER}"
    if "no file named model.safetensors" in words:
        return "it has no model.safetensors; weights in other files may be pickles, and are never opened"
    first = words.splitlines()[0][:200] if words else ""
    is_worded = first and isinstance(error, (OSError, ValueError, ElsewiseError))
    return first if is_worded else f"{type(error).__name__}: {first}"


def check_shapes(named: str, mismatched: Iterable[tuple[Any, ...]]) -> None:
    """Raise InputError for the first weights of another shape, which `transformers` would make up."""
    for name, *_ in mismatched:
        raise InputError(f"{named} has weights of other shapes than its config.json says: {name}")


def longest(model: Any, max_length: int) -> int:
    """Return the maximum number of tokens: `max_length`, or fewer where the encoder has fewer positions."""
    return min(max_length, most_tokens(model) or max_length)
