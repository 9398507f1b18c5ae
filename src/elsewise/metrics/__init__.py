"""How good a classifier is, each number with its interval.

    intervals        Estimate; Wilson, Clopper-Pearson, normal and bootstrap intervals
    classification   accuracy, macro-F1, log loss, Brier score of the bare argmax
    ranking          AUC (two-way and macro), average precision, false positive rate at a recall
    calibration      expected calibration error with its null value, reliability columns
    selective        risk-coverage curve, AURC, AUGRC

Arrays are checked at the door of each function. No rows gives nan, never an exception.
"""

from elsewise.metrics.calibration import CalibrationError, Reliability, calibration_error, reliability
from elsewise.metrics.classification import accuracy, brier, log_loss, macro_f1
from elsewise.metrics.intervals import (
    Estimate,
    binomial_cdf,
    clopper_pearson_lower,
    clopper_pearson_upper,
    mean_interval,
    poisson_bootstrap,
    wilson,
)
from elsewise.metrics.ranking import auc, auc_difference, average_precision, false_positive_rate_at, macro_auc
from elsewise.metrics.selective import (
    RiskCoverageAreas,
    RiskCoverageCurve,
    augrc,
    aurc,
    risk_coverage_areas,
    risk_coverage_curve,
)

__all__ = [
    "CalibrationError",
    "Estimate",
    "Reliability",
    "RiskCoverageAreas",
    "RiskCoverageCurve",
    "accuracy",
    "auc",
    "auc_difference",
    "augrc",
    "aurc",
    "average_precision",
    "binomial_cdf",
    "brier",
    "calibration_error",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "false_positive_rate_at",
    "log_loss",
    "macro_auc",
    "macro_f1",
    "mean_interval",
    "poisson_bootstrap",
    "reliability",
    "risk_coverage_areas",
    "risk_coverage_curve",
    "wilson",
]
