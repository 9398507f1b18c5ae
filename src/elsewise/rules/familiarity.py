"""Test of familiarity: p-values for "this text is like the in-scope texts"."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, as_codes
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References, as_evidence
from elsewise.rules.conformal import ConformalPValue
from elsewise.rules.decisions import Decisions, Reason, confidence_of
from elsewise.scores import Familiarity

UNFAMILIAR: Final = 0.05  # at most this share of in-scope texts is called unfamiliar


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityTest:
    """A conformal p-value for "this text is in-scope": it explains abstentions, and `Unfamiliar` bars texts by it.

    Source: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World"; Bates, Candès, Lei, Romano and
    Sesia (2023), https://arxiv.org/abs/2104.08279.

    Attributes
    ----------
    score, in_scope : Familiarity, ConformalPValue
        Familiarity score, larger is more familiar; and the scores of in-scope texts that the model was not trained on.
    """

    score: Familiarity
    in_scope: ConformalPValue

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit on tune rows with codes (n,); distances are from `references`, train texts with their features.

        InputError if no in-scope row is readable.

        Examples
        --------
        Of four in-scope texts, one has less energy than the new text: (1 + 1) / (4 + 1).

        >>> from elsewise.outputs import Outputs
        >>> def rows(*energies):
        ...     z = np.log([[np.exp(e) / 2, np.exp(e) / 2] for e in energies])
        ...     return Evidence(np.full(z.shape, 0.5), Outputs(z))
        >>> FamiliarityTest.fit(rows(1, 3, 4, 5), [0, 1, 0, 1])(rows(2)).tolist()
        [0.4]
        """
        rows = as_evidence(evidence)
        score = Familiarity.fit(rows, codes, references=references)
        return cls(score, ConformalPValue(np.empty(0))).against(rows, codes)

    def against(self, evidence: Any, codes: Any) -> Self:
        """Replace the in-scope rows, for example by those of a different engine, with codes (n,); the score stays.

        InputError if no in-scope row is readable.
        """
        rows = as_evidence(evidence)
        inside = as_codes(codes, like=rows.probabilities, allow_abstain=True) != ABSTAIN
        in_scope = ConformalPValue.fit(confidence_of(rows, self.score)[inside])
        if not len(in_scope.values):
            raise InputError("familiarity needs at least one in-scope row that can be read, got 0")
        return replace(self, in_scope=in_scope)

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """P-values (n,): at most a share p of in-scope texts has p or less; NaN for an unreadable text."""
        return self.in_scope(confidence_of(as_evidence(evidence), self.score))

    def judged(self, evidence: Any) -> Evidence:
        """Add p-values (n,) and nearest labels (n, 2) to the evidence of n texts."""
        rows = as_evidence(evidence)
        confidence, nearest = self.score.judge(rows)
        p = self.in_scope(confidence_of(rows, lambda _: confidence))
        return replace(rows, familiarity=p, nearest=nearest)


def explained(decisions: Decisions, evidence: Evidence) -> Decisions:
    """Add p-values and nearest labels to decisions, and the reason unfamiliar where it explains an abstention."""
    if evidence.familiarity is None:
        return decisions
    # A text without confidence keeps its reason: unreadable, or flagged by a gate.
    because = decisions.abstained & ~np.isnan(decisions.confidence) & (evidence.familiarity <= UNFAMILIAR)
    reasons = np.where(because, Reason.UNFAMILIAR, decisions.reasons)
    return replace(decisions, reasons=reasons, familiarity=evidence.familiarity, nearest=evidence.nearest)
