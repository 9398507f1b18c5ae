"""Choose on tune rows how the windows of a long text are joined, and say what reading them brings and costs."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from elsewise.arrays import Codes, Floats
from elsewise.engines.tokenizer import Tokens
from elsewise.engines.windows import JOINS, MEAN
from elsewise.fitting.opinions import FEWEST, best_loss
from elsewise.messages.wording import percent
from elsewise.progress import Choice, Note

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.outputs import Outputs
    from elsewise.training.encoder import Learner


def read_whole(
    learner: "Learner", model: "TorchModel", tune: Tokens, codes: Codes, note: Note | None
) -> "tuple[Learner, Outputs]":
    """Run a model on tune rows, codes (n,), and join windows by the rule with the least log loss, if there are any.

    Returns
    -------
    (Learner, Outputs)
        The learner with that rule, and the outputs of the tune rows under it.
    """
    if learner.longer is None:
        return learner, learner.outputs(model, tune)
    tokenizer, windows = learner.longer
    parts, owner = windows.cut(tune)
    read = learner.outputs(model, parts)
    joined = {join: replace(windows, join=join).joined(read, owner, tune) for join in JOINS}
    cut = read.logits[np.unique(owner, return_index=True)[1]]
    usable = np.isfinite(cut).all(axis=1) & (codes >= 0)
    best = MEAN
    if usable.sum() >= FEWEST:
        best = min(JOINS, key=lambda join: best_loss(joined[join].logits[usable], codes[usable]))
    made = joined[best]
    if note:
        note(Choice(_what_it_brings(tune, windows.size, len(parts), best, (cut, made.logits), codes)))
    return replace(learner, longer=(tokenizer, replace(windows, join=best))), made


def _what_it_brings(
    tune: Tokens, size: int, windows: int, join: str, logits: tuple[Floats, Floats], codes: Codes
) -> str:
    longer = tune.lengths > size
    if not longer.any():
        return f"no tune row is longer than the {size} tokens that the encoder reads at once: windows change nothing"
    rows = longer & (codes >= 0)
    share = f"{percent(float(longer.mean()))} of tune rows are longer than the {size} tokens that are read at once"
    how = "the mean of its windows" if join == MEAN else "its surest window"
    words = f"{share}: read in windows, {windows / len(tune):.1f} a row, a text gets the answer of {how}"
    if not rows.any():
        return words
    before, after = (percent(float((part[rows].argmax(axis=1) == codes[rows]).mean())) for part in logits)
    return f"{words}, and {after} of the long ones get the right label ({before} when they are cut)"
