"""Answers of a chunk of rows, as columns of the output, and counts of rows that add up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elsewise.batch.source import Chunk
from elsewise.classifier.classifier import Classifier
from elsewise.evaluation.shift import Tally
from elsewise.outputs import Evidence, Outputs
from elsewise.rules.decisions import Decisions
from elsewise.storage.json_files import Json

TOKENS = "tokens read"  # no column of the output
Values = tuple[Any, ...]  # of a row: a value for each of our columns, and its number of tokens
Known = dict[str, Values]  # by text
COLUMNS = ("label", "abstained", "reason", "best_label", "confidence", "probability", "truncated")
SENTENCES = ("sentence", "customer_sentence")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of answered, Other and rejected rows.

    Attributes
    ----------
    answered, other, rejected : int
        Rows that got a label, rows that became Other, and rows that cannot be used.
    reasons : mapping
        Counts of the reasons for Other.

    Examples
    --------
    >>> (Ledger(3, 1, 0, {"ambiguous": 1}) + Ledger(2, 2, 1, {"ambiguous": 1, "unreadable": 1})).reasons
    {'ambiguous': 2, 'unreadable': 1}
    """

    answered: int = 0
    other: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Number of all rows."""
        return self.answered + self.other + self.rejected

    def __add__(self, more: "Ledger") -> "Ledger":
        """Count the rows of both."""
        reasons = dict(Counter(self.reasons) + Counter(more.reasons))
        return Ledger(self.answered + more.answered, self.other + more.other, self.rejected + more.rejected, reasons)


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted of rows, part by part.

    Attributes
    ----------
    ledger, tally : Ledger, Tally
        Counts of all rows, and of the decisions on usable ones.
    repeated, tokens : int
        Rows whose text came before in the same part, and tokens that the model read.
    """

    ledger: Ledger = field(default_factory=Ledger)
    tally: Tally = field(default_factory=Tally)
    repeated: int = 0
    tokens: int = 0

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Totals":
        """Read what `dataclasses.asdict` gave; raises what an unusable mapping raises."""
        return cls(Ledger(**said["ledger"]), Tally.read(said["tally"]), said["repeated"], said["tokens"])

    def __add__(self, more: "Totals") -> "Totals":
        """Count the rows of both."""
        return Totals(
            self.ledger + more.ledger, self.tally + more.tally, self.repeated + more.repeated, self.tokens + more.tokens
        )


@dataclass(frozen=True, slots=True)
class MoreColumns:
    """Optional columns of the output, besides COLUMNS.

    Attributes
    ----------
    top, probabilities : int, bool
        How many of the best labels to add with their probabilities, and whether to add every label's probability.
    sentences : str or None
        The language of the sentences that say why; None for no sentences.
    processor : str or None
        The processor that answers, where a column tells it.
    """

    top: int = 0
    probabilities: bool = False
    sentences: str | None = None
    processor: str | None = None

    @property
    def described(self) -> Json:
        """What of these the bytes of an output depend on, whichever processor answers (JSON)."""
        return {"top": self.top, "probabilities": self.probabilities, "sentences": self.sentences}

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Name the columns, in the order of a header."""
        ranked, each, said, told = self._groups(labels)
        return (*ranked, *said, *each, *told)

    def names_of_cells(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Name the columns, in the order of `cells`."""
        return tuple(name for group in self._groups(labels) for name in group)

    def _groups(self, labels: tuple[str, ...]) -> tuple[Sequence[str], ...]:
        ranked = [f"{what}_{place}" for place in range(1, self.top + 1) for what in ("label", "probability")]
        each = [f"p_{label}" for label in labels if self.probabilities]
        return ranked, each, SENTENCES if self.sentences else (), ("processor",) if self.processor else ()

    def cells(self, decisions: Decisions, evidence: Evidence) -> Iterator[dict[str, object]]:
        """Yield the optional cells of each row, by column."""
        if not (self.top or self.probabilities or self.sentences or self.processor):
            yield from ({} for _ in range(len(evidence)))
            return
        best = np.argsort(-evidence.probabilities, axis=1, kind="stable")[:, : self.top]
        for i, row in enumerate(evidence.probabilities.tolist()):
            cells: dict[str, object] = {}
            for place, code in enumerate(best[i].tolist(), start=1):
                cells[f"label_{place}"] = "" if np.isnan(row[0]) else decisions.name(code)
                cells[f"probability_{place}"] = row[code]
            if self.probabilities:
                cells |= {f"p_{label}": p for label, p in zip(decisions.names, row, strict=True)}
            if self.sentences:
                cells |= {name: getattr(decisions, name)(i, self.sentences) for name in SENTENCES}
            if self.processor:
                cells["processor"] = self.processor
            yield cells


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answers of a chunk.

    Attributes
    ----------
    totals : Totals
        Counts of its rows, with the rejected ones.
    names : tuple of str
        Our columns: COLUMNS, and the optional ones.
    values : sequence of tuple
        Of each usable row, a value for each of our columns.
    """

    totals: Totals
    names: tuple[str, ...] = ()
    values: Sequence[Values] = ()

    @property
    def rows(self) -> Iterator[dict[str, object]]:
        """Yield the cells of each usable row, by column."""
        for values in self.values:
            yield dict(zip(self.names, values, strict=False))  # the tokens are no cell


def outputs_of(classifier: Classifier, chunk: Chunk) -> Outputs | None:
    """Run the model on what a chunk has for it; None for nothing."""
    return classifier.engine.run(chunk.prepared) if chunk.asked else None


def answered(
    classifier: Classifier, chunk: Chunk, more: MoreColumns, outputs: Outputs | None = None, known: Known | None = None
) -> Answered:
    """Answer the rows of a chunk, without writing; the same chunk always has the same answers.

    `outputs` are those of `outputs_of`; without them the model is asked here. `known` has the answers to the texts that
    the chunk leaves out because they came before; those to its own texts are added, and those it drops are taken away.
    """
    rejected = len(chunk.rejected)
    if not chunk.rows:
        return Answered(Totals(Ledger(rejected=rejected)))
    names = (*COLUMNS, *more.names_of_cells(classifier.labels))
    outputs = outputs if outputs is not None or not chunk.asked else outputs_of(classifier, chunk)
    fresh = [] if outputs is None else _values(classifier, outputs, more)
    values = fresh if chunk.texts is None else _spread(chunk, fresh, {} if known is None else known)
    columns = dict(zip((*names, TOKENS), zip(*values, strict=True), strict=True))
    tally = Tally.of_columns(columns)
    ledger = Ledger(tally.answered, tally.other, rejected, tally.reasons)
    return Answered(Totals(ledger, tally, chunk.repeated, sum(columns[TOKENS])), names, values)


def _values(classifier: Classifier, outputs: Outputs, more: MoreColumns) -> list[Values]:
    """Decide m texts: of each a value for each of our columns, and its number of tokens."""
    evidence = classifier.evidence_of(outputs)
    decisions = classifier.decisions(evidence)
    own = [decisions.columns[name] for name in COLUMNS]
    tokens = [0] * len(evidence) if outputs.tokens is None else outputs.tokens.tolist()
    if not more.names(classifier.labels):
        return list(zip(*own, tokens, strict=True))
    others = (tuple(cells.values()) for cells in more.cells(decisions, evidence))
    return [(*mine, *theirs, n) for *mine, theirs, n in zip(*own, others, tokens, strict=True)]


def _spread(chunk: Chunk, fresh: Sequence[Values], known: Known) -> list[Values]:
    """Give every text of a chunk its answer: a new one, or that of the same text before."""
    known.update(zip(chunk.fresh, fresh, strict=True))
    values = [known[text] for text in chunk.texts or ()]
    for text in chunk.dropped:
        del known[text]
    return values
