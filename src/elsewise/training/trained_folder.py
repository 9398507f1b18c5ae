"""Open a fine-tuned classifier with its own head, labels and tokenizer, from the folder that it was saved to.

The answers are those of `transformers` on the same folder. What would change them is refused: weights that
`transformers` made up, token types, and an answer that depends on padding.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from elsewise.arrays import as_labels
from elsewise.engines.batching import EXACT_LENGTHS
from elsewise.engines.canaries import CANARIES
from elsewise.engines.encoder_facts import label_names
from elsewise.engines.encoders import ANOTHER, find_encoder
from elsewise.engines.tokenizer import readable
from elsewise.engines.torch import plain_tokenizer, quiet
from elsewise.errors import InputError, need
from elsewise.training.encoder import Learner, check_shapes, learner_of, longest, open_model
from elsewise.training.saved_folder import check_folder, fit_instead

torch = need("torch", extra="train")

USUAL_LENGTH: Final = 512  # tokens, of a model that says no limit
MOST_LENGTH: Final = 2**20  # a tokenizer without a limit says 1e30
PADDED: Final = "where is my order " * (EXACT_LENGTHS // 4)  # with special tokens, more than run at their exact length
CLOSE: Final = 1e-3  # of logits
WRAP: Final = "open it yourself: elsewise.fit(texts, labels, engine=elsewise.wrap((model, tokenizer)))"


def open_trained(folder: str) -> tuple[Learner, tuple[str, ...]]:
    """Open a fine-tuned classifier as `transformers` does, and give its labels in the order of their codes.

    It reads as many tokens of a text as its tokenizer says, and at most as many as it has positions for.

    Raises
    ------
    InputError
        If the folder holds no such model, or one that gives something else than a logit for each label.
    """
    check_folder(folder)
    quiet()
    with or_wrapped(folder):
        model, tokenizer, found = open_model(find_encoder(folder), folder)
        _check_weights(folder, model, found)
        labels = _labels(folder, model.config.id2label)
        limit = longest(model, tokenizer.model_max_length)
        learner = learner_of(model, tokenizer, USUAL_LENGTH if limit > MOST_LENGTH else limit)
        _check_answers(learner)
        plain_tokenizer(tokenizer)  # which the check has told to cut
    return learner, labels


@contextmanager
def or_wrapped(folder: str) -> Iterator[None]:
    """Advise to wrap the model where a message advises another one: this one is trained."""
    try:
        yield
    except InputError as error:
        words = str(error)
        if not words.endswith(ANOTHER):
            raise
        named = "" if words.startswith(folder) else f"{folder}: "
        raise InputError(f"{named}{words.removesuffix(ANOTHER)}; {WRAP}") from error


def _check_weights(folder: str, model: Any, found: Mapping[str, Any]) -> None:
    """Refuse a model that `transformers` opens as another one than was saved."""
    check_shapes(folder, found["mismatched_keys"])
    missing, unexpected = (sorted(found[f"{what}_keys"]) for what in ("missing", "unexpected"))
    if missing:
        raise InputError(f"{folder} lacks trained weights ({missing[0]}); train them: {fit_instead(folder)}")
    saved = (model.config.architectures or [type(model).__name__])[0]
    if unexpected or saved != type(model).__name__:
        odd = f"weights of something else ({unexpected[0]})" if unexpected else f"a model of its own class, {saved}"
        raise InputError(f"{folder} has {odd}, and transformers opens it as {type(model).__name__}{ANOTHER}")


def _labels(folder: str, names: Mapping[int, Any]) -> tuple[str, ...]:
    """Give the labels in the order of their codes."""
    try:
        return as_labels(label_names(names))
    except InputError as error:
        raise InputError(f"{folder}/config.json: {error}") from error


def _check_answers(learner: Learner) -> None:
    """Refuse a model that answers otherwise in `transformers` than by token ids and mask, with padding."""
    tokenizer, tokenize, model = learner.tokenizer, learner.tokenize, learner.model.model
    if getattr(tokenizer, "truncation_side", "right") != "right":
        raise InputError(f"its tokenizer cuts long texts at their beginning (truncation_side){ANOTHER}")
    texts = [readable(text) for text in (*CANARIES, PADDED) if text.strip()]
    ours = learner.by_torch(learner.model, tokenize(texts)).logits
    for text, logits in zip(texts, ours, strict=True):
        given = tokenizer(text, truncation=True, max_length=tokenize.max_length, return_tensors="pt")
        if "token_type_ids" in given and given["token_type_ids"].any():
            raise InputError(f"its tokenizer gives token types (token_type_ids){ANOTHER}")
        with torch.inference_mode():
            own = model(**given.to(model.device)).logits[0].float().cpu().numpy()
        if np.isfinite(logits).all() and not np.allclose(own, logits, CLOSE, CLOSE):
            apart = float(np.abs(own - logits).max())
            raise InputError(f"its logits differ by {apart:.2g} where a text is padded{ANOTHER}")
