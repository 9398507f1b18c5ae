"""What is to be known of a model of `transformers` before it is asked: its labels, tokens, ids and padding.

Nothing here knows an architecture: the settings and embeddings are looked at, and the model itself is asked.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from elsewise.engines.canaries import CANARIES
from elsewise.errors import InputError

SAME: Final = 0.05  # change of logits by padding, as a share of the largest: half precision reaches 0.01
PADDING: Final = 9  # tokens beside a text, to find whether they change its logits


def label_names(id2label: Mapping[Any, Any]) -> tuple[str, ...]:
    """Name the labels in the order of the columns, 0..k-1; InputError for other columns.

    Columns may be numbers in words, as JSON has them: 10 comes after 9, and not after 1.

    Examples
    --------
    >>> label_names({"1": "login", "0": "money"})
    ('money', 'login')
    """
    names = {int(code): str(name) for code, name in id2label.items() if str(code).isdecimal()}
    if sorted(names) != list(range(len(id2label))):
        codes = ", ".join(map(str, id2label))
        raise InputError(f"id2label numbers its labels {codes}; the numbers must go from 0 to {len(id2label) - 1}")
    return tuple(names[code] for code in range(len(names)))


def most_tokens(model: Any) -> int | None:
    """Count the tokens that a model has positions for; None where nothing limits them.

    Positions that have a row for padding (RoBERTa, MPNet) begin after it.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or positions < 1:  # XLNet says -1
        return None
    tokens = model.get_input_embeddings()
    tables = [part for part in model.modules() if getattr(part, "num_embeddings", None) == positions]
    before = [part.padding_idx for part in tables if part is not tokens and part.padding_idx is not None]
    return int(positions - max((row + 1 for row in before), default=0))


def check_ids(model: Any, tokenizer: Any, name: str) -> None:
    """Raise InputError, with the `name` of the model, if its tokenizer has ids that the model has no embedding for."""
    rows = int(model.get_input_embeddings().weight.shape[0])
    token, largest = max(tokenizer.get_vocab().items(), key=itemgetter(1))
    if largest >= rows:
        raise InputError(
            f"{name} has {rows:,} embeddings, and its tokenizer has ids up to {largest:,} ({token!r}); "
            f"call model.resize_token_embeddings({largest + 1}), train it on, and save it again"
        )


def padding_side(model: Any, tokenizer: Any) -> str:
    """Find the side of a text where a model ignores padding: "right", unless only "left" is one.

    The model must be in evaluation mode.
    """
    text = tokenizer(CANARIES[0])["input_ids"]
    fill, read, masked = [tokenizer.pad_token_id or 0] * PADDING, [1] * len(text), [0] * PADDING
    alone = _logits(model, text, read)

    def change(ids: list[int], mask: list[int]) -> float:
        return float((_logits(model, ids, mask) - alone).abs().max() / alone.abs().max())

    is_left = change(text + fill, read + masked) > SAME >= change(fill + text, masked + read)
    return "left" if is_left else "right"


def _logits(model: Any, ids: list[int], mask: list[int]) -> Any:
    import torch  # noqa: PLC0415  the caller has it

    given = torch.tensor([ids, mask], device=model.device)
    with torch.inference_mode():
        return model(input_ids=given[:1], attention_mask=given[1:]).logits.float().cpu()
