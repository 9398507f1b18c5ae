"""Figures of each compared classifier, their bootstrap replicates on the same rows, and their differences.

Rows are resampled by Poisson weights that all classifiers share, so that what is hard for all cancels out. Shares of
rows (accuracy, coverage, ...) have McNemar's exact test too, and their difference has the wider of the two intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import Codes, log_losses
from elsewise.evaluation.answers import Answers, Shares, shares
from elsewise.evaluation.common_labels import ComparedModel, Truth
from elsewise.metrics import CalibrationError, Estimate, PairedShares, simultaneous_differences
from elsewise.metrics.bootstrap import percentiles, poisson_blocks
from elsewise.metrics.classification import brier_scores
from elsewise.metrics.intervals import Column, Flags
from elsewise.metrics.paired import paired_counts
from elsewise.metrics.ranked import Ranking
from elsewise.metrics.ranking import area_estimate, macro_area, paired_area
from elsewise.metrics.selective import accuracies_of, augrc_of, coverage_of

COVERAGES: Final = (0.8, 0.9, 1.0)  # at which accuracies are compared
REPLICATES: Final = 1000
SHARES: Final = ("accuracy", "coverage", "right", "wrong")  # shares of rows
MEANS: Final = (*SHARES, "log_loss", "brier")
AT_COVERAGE: Final = tuple(f"accuracy_at_coverage_{c:g}" for c in COVERAGES)
FIGURES: Final = (*MEANS, "accuracy_when_answered", "augrc", *AT_COVERAGE, "coverage_at_accuracy")
OF_BARE: Final = ("accuracy", "log_loss", "brier")  # of the most probable labels, on in-scope rows that all can read
FARTHEST: Final = {"log_loss": np.inf, "brier": 2.0}  # largest difference of two models; 1 for all other figures
LESS_IS_BETTER: Final = ("wrong", "log_loss", "brier", "augrc", "ece")


@dataclass(frozen=True, slots=True, eq=False)
class PairedBootstrap:
    """Figures of m classifiers, and their bootstrap replicates.

    Attributes
    ----------
    models, truth : m models, Truth
        The compared models, and the true labels of the rows.
    target : float
        The accuracy at which coverages are compared.
    level : float
        Confidence level of the intervals of differences, of all pairs together.
    bare : (n,)
        In-scope rows that all models can read.
    columns : m mappings from a name of MEANS to (n,)
        What each row counts.
    measured, drawn : mappings from figure to (m,), and to (r, m)
        Values, and replicates.
    apart : mapping from figure and pair to Estimate
        Differences, from the replicates.
    areas : m pairs
        Macro AUC of each model, and each row's share in its error.
    """

    models: Sequence[ComparedModel]
    target: float
    level: float
    bare: Flags
    columns: Sequence[Mapping[str, Column]]
    measured: Mapping[str, Column]
    drawn: Mapping[str, Column]
    apart: Mapping[str, Mapping[tuple[int, int], Estimate]]
    areas: Sequence[tuple[float, Column]]
    truth: Truth

    @classmethod
    def of(cls, models: Sequence[ComparedModel], truth: Truth, target: float, level: float) -> Self:
        """Resample the rows; the result does not depend on the order of rows or models."""
        bare = np.logical_and.reduce([model.answers.in_scope & model.answers.readable for model in models])
        columns = [_columns(model, truth, bare) for model in models]
        point, replicates = _replicates(models, columns, bare, target)
        m, pairs = len(models), list(combinations(range(len(models)), 2))
        measured = {name: point[i * m : (i + 1) * m] for i, name in enumerate(FIGURES)}
        drawn = {name: replicates[:, i * m : (i + 1) * m] for i, name in enumerate(FIGURES)}
        apart = {}
        for name in FIGURES:
            found = simultaneous_differences(measured[name], drawn[name], pairs, level=level)
            apart[name] = dict(zip(pairs, found, strict=True))
        areas = [macro_area(model.columns(truth)[bare], truth.codes[bare]) for model in models]
        return cls(models, target, level, bare, columns, measured, drawn, apart, areas, truth)

    @property
    def pair_level(self) -> float:
        """The confidence level of each pair, so that all pairs hold together (Bonferroni)."""
        return 1 - (1 - self.level) / (len(self.models) * (len(self.models) - 1) / 2)

    def value(self, figure: str, i: int) -> float:
        """Give a figure of one classifier."""
        return float(self.measured[figure][i])

    def alone(self, figure: str, i: int) -> Estimate:
        """Give a figure of one classifier with its own interval at 95 %: Wilson's for a share of rows."""
        if figure in SHARES:
            column = self.columns[i][figure]
            return metrics.wilson(int(column.sum()), int(self.bare.sum()) if figure in OF_BARE else len(column))
        if figure == "accuracy_when_answered":
            answers = self.models[i].answers
            return Shares(*shares(answers.answered, answers.correct)).accuracy_when_answered
        return Estimate(self.value(figure, i), *percentiles(self.drawn[figure][:, i], 0.95))

    def difference(self, figure: str, i: int, j: int) -> Estimate:
        """Give the figure of classifier i minus that of j."""
        if figure == "auc":
            drawn = paired_area(self.areas[i], self.areas[j], self.pair_level)
        else:
            estimate = self.apart[figure][min(i, j), max(i, j)]
            drawn = estimate if i < j else Estimate(0.0 - estimate.value, 0.0 - estimate.high, 0.0 - estimate.low)
        if np.isnan(drawn.value):
            return drawn
        if figure in SHARES:
            least = self.mcnemar(figure, i, j).difference
        elif self._too_few(figure):
            most = FARTHEST.get(figure, 1.0)
            least = Estimate(drawn.value, -most, most)
        elif figure == "accuracy_when_answered":
            least = self._of_answered(i, j)
        else:
            return drawn
        return Estimate(least.value, min(least.low, drawn.low), max(least.high, drawn.high))

    def _too_few(self, figure: str) -> bool:
        """Say whether the rows are too few to show a difference even if all favour one model (the exact sign test)."""
        bare = self.truth.codes[self.bare]
        n = len(bare) if figure in (*OF_BARE, "auc") else len(self.bare)
        return 2 * 0.5**n > 1 - self.pair_level or (figure == "auc" and np.bincount(bare).max() == 1)

    def _of_answered(self, i: int, j: int) -> Estimate:
        """Join two Wilson intervals as Newcombe does, where all answers of one model are right, or all wrong."""
        kept = [(model.answers.answered, model.answers.correct) for model in (self.models[i], self.models[j])]
        a, b = (metrics.wilson(int((y & c).sum()), int(y.sum()), self.pair_level) for y, c in kept)
        value = a.value - b.value
        if not {a.value, b.value} & {0.0, 1.0}:
            return Estimate(value, value, value)
        down = ((a.value - a.low) ** 2 + (b.high - b.value) ** 2) ** 0.5
        up = ((a.high - a.value) ** 2 + (b.value - b.low) ** 2) ** 0.5
        return Estimate(value, value - down, value + up)

    def mcnemar(self, figure: str, i: int, j: int) -> PairedShares:
        """Test a difference of shares exactly."""
        a, b = (self.columns[place][figure] > 0 for place in (i, j))
        n = int(self.bare.sum()) if figure in OF_BARE else len(a)
        return paired_counts(int((a & ~b).sum()), int((b & ~a).sum()), max(n, 1), level=self.pair_level)


def _columns(model: ComparedModel, truth: Truth, bare: Flags) -> dict[str, Column]:
    """Give what each row counts in the means; 0 where the figure leaves the row out."""
    p, y = model.probabilities[bare], model.own_codes(truth.codes[bare], truth)
    answers = model.answers
    log_loss, brier = np.zeros(len(bare)), np.zeros(len(bare))
    log_loss[bare], brier[bare] = log_losses(p, y), brier_scores(p, y)
    right = answers.answered & answers.correct
    columns = (answers.correct & bare, answers.answered, right, answers.answered & ~right, log_loss, brier)
    return {name: np.asarray(column, dtype=np.float64) for name, column in zip(MEANS, columns, strict=True)}


def _replicates(
    models: Sequence[ComparedModel], columns: Sequence[Mapping[str, Column]], bare: Flags, target: float
) -> tuple[Column, Column]:
    """Compute values and replicates of all FIGURES of all models, figure by figure."""
    confidence = [model.decisions.confidence for model in models]
    order = _settled(confidence, columns, bare)
    stacked = np.array([[column[name][order] for name in MEANS] for column in columns])
    of_bare, wanted = bare[order].astype(np.float64), np.array(COVERAGES)
    ranked = [Ranking.of_rows(c[order], m.answers.correct[order]) for c, m in zip(confidence, models, strict=True)]
    known = [~np.isnan(ranking.values[ranking.ends]) for ranking, _ in ranked]
    places = [MEANS.index(name) for name in OF_BARE]

    def table(weights: Column) -> Column:
        """Compute all figures for (b, n) weights, (b, figures * models)."""
        sizes = np.tile(weights.sum(axis=1)[:, None, None], (1, 1, len(MEANS)))
        sizes[:, 0, places] = (weights @ of_bare)[:, None]
        sums = np.array([stacked @ once for once in weights])  # one by one: then no digit depends on the block
        means = np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)
        answered, right = sums[..., MEANS.index("coverage")], sums[..., MEANS.index("right")]
        when = np.divide(right, answered, out=np.full(answered.shape, np.nan), where=answered > 0)
        points = []
        for (ranking, cells), can in zip(ranked, known, strict=True):
            down = ranking.cumulate(weights.take(cells, axis=1))
            at_accuracy = coverage_of(*down, can, target)
            points.append(np.column_stack([augrc_of(*down), accuracies_of(*down, wanted), at_accuracy]))
        figures = [means.swapaxes(1, 2), when[:, None], np.stack(points, axis=2)]
        return np.concatenate(figures, axis=1).reshape(len(weights), -1)

    drawn = [table(weights) for weights in poisson_blocks(len(bare), replicates=REPLICATES)]
    return table(np.ones((1, len(bare))))[0], np.concatenate(drawn)


def _settled(confidence: Sequence[Column], columns: Sequence[Mapping[str, Column]], bare: Flags) -> NDArray[np.int64]:
    """Order rows by what they hold; only between equal rows does the order of the models count."""
    by_model = [np.array(confidence), *(np.array([column[name] for column in columns]) for name in MEANS)]
    keys = [bare, *(key for table in by_model for key in np.sort(table, axis=0)), *(key for t in by_model for key in t)]
    return np.lexsort(keys[::-1])


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one model minus that of a second; shown if its interval excludes 0."""

    difference: Estimate
    shown: bool
    less_is_better: bool


@dataclass(frozen=True, slots=True)
class ShareDifference(Difference):
    """Difference of a share of rows: rows that count for one model alone, and the p-value of McNemar's exact test."""

    only_a: int
    only_b: int
    p_value: float


def compare_pair(drawn: PairedBootstrap, i: int, j: int) -> dict[str, Difference]:
    """Compare every figure of two models."""
    compared: dict[str, Difference] = {}
    for figure in (*FIGURES, "auc"):
        apart = drawn.difference(figure, i, j)
        found = (apart, bool(apart.low > 0 or apart.high < 0), figure in LESS_IS_BETTER)
        if figure in SHARES:
            pair = drawn.mcnemar(figure, i, j)
            compared[figure] = ShareDifference(*found, pair.only_first, pair.only_second, pair.p_value)
        else:
            compared[figure] = Difference(*found)
    return compared


@dataclass(frozen=True, slots=True)
class SharedThreshold:
    """Shares of one model at a threshold on the maximum probability that is the same for all models."""

    threshold: float
    coverage: Estimate
    accuracy_when_answered: Estimate
    other_share: Estimate

    @classmethod
    def of(cls, model: ComparedModel, threshold: float) -> Self:
        """Compute the shares of a model at this threshold."""
        answered = model.decisions.best_probability >= threshold
        return cls(threshold, *shares(answered, model.answers.correct))


def figures_of(drawn: PairedBootstrap, i: int) -> dict[str, Estimate | CalibrationError]:
    """Give every figure of one model alone."""
    model, codes = drawn.models[i], drawn.truth.codes[drawn.bare]
    return {
        **{figure: drawn.alone(figure, i) for figure in FIGURES},
        "auc": area_estimate(*drawn.areas[i], codes),
        "ece": metrics.calibration_error(model.probabilities[drawn.bare], model.own_codes(codes, drawn.truth)),
    }


@dataclass(frozen=True, slots=True)
class BestOutcomes:
    """In-scope rows that both models can read, by which model's most probable label is right."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Rows by most probable label, by outcome with a and then with b (right, wrong, other), and the number changed."""

    best: BestOutcomes
    decided: Mapping[str, Mapping[str, int]]
    changed: int


def outcomes(a: Answers, b: Answers, bare: Flags) -> Outcomes:
    """Count rows by their outcome with either model; `bare` (n,) are in-scope rows that both can read."""
    hits, others = a.correct[bare], b.correct[bare]
    cells, names = (hits & others, hits & ~others, others & ~hits, ~hits & ~others), ("right", "wrong", "other")
    table = np.zeros((3, 3), dtype=np.int64)
    np.add.at(table, (_becomes(a), _becomes(b)), 1)
    return Outcomes(
        best=BestOutcomes(*(int(cell.sum()) for cell in cells)),
        decided={row: dict(zip(names, counts, strict=True)) for row, counts in zip(names, table.tolist(), strict=True)},
        changed=int((a.decided != b.decided).sum()),
    )


def _becomes(answers: Answers) -> Codes:
    """Give each row's outcome: right (0), wrong (1) or Other (2)."""
    return np.where(answers.answered, np.where(answers.correct, 0, 1), 2)


@dataclass(frozen=True, slots=True)
class Both:
    """A figure of two models, a and b."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class LabelPair:
    """Recall and F1 of two models on the rows of one label that both can read.

    The difference is that of recall, a minus b, with its exact interval; it is shown if that excludes 0.
    """

    label: str
    rows: int
    recall: Both
    f1: Both
    difference: Estimate
    shown: bool


def compare_labels(drawn: PairedBootstrap, i: int, j: int) -> list[LabelPair]:
    """Compare the recall of each common label that has rows, in the order of the labels.

    The intervals of all labels and pairs hold together.
    """
    pair, truth, bare, k = (drawn.models[i], drawn.models[j]), drawn.truth, drawn.bare, drawn.truth.common
    true = truth.codes[bare]
    hits = [model.answers.correct[bare] for model in pair]

    def count(flags: Flags) -> list[int]:
        return np.bincount(true, flags, minlength=k).astype(int).tolist()

    rows = np.bincount(true, minlength=k).tolist()
    said = [np.bincount(model.answers.best[bare], minlength=len(truth.names)).tolist() for model in pair]
    right, only_a, only_b = [count(h) for h in hits], count(hits[0] & ~hits[1]), count(hits[1] & ~hits[0])
    level = 1 - (1 - drawn.pair_level) / max(1, sum(n > 0 for n in rows))
    return [
        LabelPair(
            label=truth.names[code],
            rows=n,
            recall=Both(*(right[which][code] / n for which in (0, 1))),
            f1=Both(*(2 * right[which][code] / (n + said[which][code]) for which in (0, 1))),
            difference=(apart := paired_counts(only_a[code], only_b[code], n, level=level).difference),
            shown=apart.low > 0 or apart.high < 0,
        )
        for code, n in enumerate(rows)
        if n
    ]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, a minus b; shares of rows have McNemar's exact test, as `ShareDifference`."""

    a: str
    b: str
    figures: Mapping[str, Difference]
    outcomes: Outcomes
    labels: list[LabelPair]


def pair_of(drawn: PairedBootstrap, i: int, j: int) -> Pair:
    """Compare two models in all figures and labels: model i minus model j."""
    a, b = drawn.models[i], drawn.models[j]
    became = outcomes(a.answers, b.answers, drawn.bare)
    return Pair(a.name, b.name, compare_pair(drawn, i, j), became, compare_labels(drawn, i, j))
