"""Choice of a score on tune rows: the confidence that best separates right from wrong answers."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, as_codes
from elsewise.errors import InputError
from elsewise.metrics import Estimate, auc_difference
from elsewise.outputs import Evidence, References, as_evidence
from elsewise.scores import SCORES, MaximumProbability, Score

FOLDS: Final = 5
FEWEST_ROWS: Final = 500
FEWEST_ERRORS: Final = 30
COMBINED_ROWS, COMBINED_ERRORS = 1000, 50  # a regression needs more than a choice does
# `neighbours` is left out: it puts every reference text into the model folder.
OF_LOGITS: Final = ("margin", "entropy", "energy", "maximum_logit", "normalised_maximum_logit")
LEARN_FROM_CODES: Final = ("normalised_maximum_logit", "combined")
OF_FEATURES: Final = ("mahalanobis", "relative_mahalanobis", "familiarity")
NEED_FEATURES: Final = ("mahalanobis", "relative_mahalanobis", "neighbours", "combined")  # of every text


def choose_score(evidence: Any, codes: Any, *, references: References | None = None) -> tuple[Score, dict[str, Any]]:
    """Choose the score whose confidence best separates right from wrong answers.

    Only a significantly better score replaces maximum probability: their cross-fitted AUGRC are compared by DeLong's
    paired interval at 95 %, over all candidates together (Bonferroni).

    Parameters
    ----------
    evidence, codes : Evidence or probabilities (n, k), and (n,)
        Tune rows, which the model was not trained on; true codes, -1 for an out-of-scope row, for which every label is
        wrong.
    references : References, optional
        Train texts, to measure distances from. Default: no distance is compared.

    Returns
    -------
    (Score, record)
        The score, fitted on all rows; and the comparison (JSON): `chosen`, `rows`, `errors`, and for each candidate its
        gain in AUC of right against wrong, with its interval.

    Examples
    --------
    >>> score, record = choose_score([[0.9, 0.1]] * 20, [0] * 20)
    >>> record["chosen"], record["compared"]
    ('maximum_probability', {})
    """
    rows = as_evidence(evidence)
    truth = as_codes(codes, like=rows.probabilities, allow_abstain=True)
    known = ~np.isnan(rows.probabilities).any(axis=1)  # rows that every candidate can score
    measures = rows.has_features and rows.early is None
    known = np.asarray(known & np.isfinite(rows.features).all(axis=1) if measures else known)
    rows, truth = rows.take(known), truth[known]
    right = rows.probabilities.argmax(axis=1) == truth
    names = _candidates(rows, right, references)
    level = 1 - 0.05 / max(len(names), 1)
    gains = {name: _gain(name, rows, truth, right, references, level) for name in names}
    better = {name: gain.value for name, gain in gains.items() if gain.low > 0}
    chosen = max(better, key=better.__getitem__) if better else "maximum_probability"
    record = {
        "chosen": chosen,
        "rows": len(right),
        "errors": int((~right).sum()),
        "compared": {name: asdict(gain) for name, gain in gains.items()},
    }
    return SCORES[chosen].fit(rows, truth, references=references), record


def check_score(name: str) -> None:
    """Raise InputError for a name that is neither "auto" nor in SCORES."""
    if name != "auto" and name not in SCORES:
        raise InputError(f"unknown score {name!r}; choose auto, {', '.join(SCORES)}")


def check_cascade(name: str) -> None:
    """Raise InputError for a score that needs features of every text: a cascade answers some without."""
    if name in NEED_FEATURES:
        raise InputError(f"score {name!r} needs features of every text, and a cascade answers some without; leave one")


def named_score(
    name: str, evidence: Evidence, codes: Codes, references: References | None
) -> tuple[Score, dict[str, Any]]:
    """Fit the score called `name` on evidence of n rows and codes (n,); "auto" calls `choose_score`.

    Returns the score and a record (JSON), whose `chosen` names it.
    """
    if name == "auto":
        return choose_score(evidence, codes, references=references)
    return SCORES[name].fit(evidence, codes, references=references), {"chosen": name}


def _candidates(rows: Evidence, right: NDArray[np.bool_], references: References | None) -> tuple[str, ...]:
    errors = int((~right).sum())
    if len(right) < FEWEST_ROWS or min(errors, len(right) - errors) < FEWEST_ERRORS:
        return ()
    if rows.outputs is None:
        return ("margin", "entropy")
    if rows.early is not None:  # some texts have no features
        return OF_LOGITS
    names = OF_LOGITS if references is None or not rows.has_features else OF_LOGITS + OF_FEATURES
    names = names if rows.outputs.epistemic is None else (*names, "epistemic")
    enough = len(right) >= COMBINED_ROWS and errors >= COMBINED_ERRORS
    return (*names, "combined") if enough and (references is not None or not rows.has_features) else names


def _gain(
    name: str, rows: Evidence, truth: Codes, right: NDArray[np.bool_], references: References | None, level: float
) -> Estimate:
    folds = np.arange(len(truth)) % (FOLDS if name in LEARN_FROM_CODES else 1)
    confidence = np.empty(len(truth))
    for fold in np.unique(folds):  # rows are judged by a score fitted on the other folds
        inside = folds == fold
        others = ~inside if folds.any() else inside
        score = SCORES[name].fit(rows.take(others), truth[others], references=references)
        confidence[inside] = score(rows.take(inside))
    return auc_difference(confidence, MaximumProbability()(rows), right, level=level)
