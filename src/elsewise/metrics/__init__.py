"""Metrics of classifiers, each with its interval.

    intervals        Estimate; Wilson, Clopper-Pearson and normal intervals
    bootstrap        intervals of any statistic, by resampling rows
    ranked           rows sorted once, for ranking and selective
    classification   accuracy, macro-F1, log loss, Brier score, without abstaining
    ranking          AUC (two-way and macro), average precision, false positive rate at a recall
    calibration      expected calibration error with its null value, debiased and class-wise, reliability columns
    selective        risk-coverage curve, AURC, E-AURC, AUGRC, accuracy at a coverage and coverage at an accuracy
    paired           two or more classifiers on the same rows: exact McNemar, simultaneous intervals of differences
    open_set         accuracy and macro-F1 with Other as one of the outcomes

Each function checks its arrays. No rows give nan, never an exception.
"""

from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.calibration import (
    CalibrationError,
    Reliability,
    calibration_error,
    classwise_calibration_error,
    debiased_calibration_error,
    reliability,
    reliability_of,
)
from elsewise.metrics.classification import accuracy, brier, log_loss, macro_f1
from elsewise.metrics.intervals import (
    Estimate,
    binomial_cdf,
    clopper_pearson_lower,
    clopper_pearson_upper,
    mean_interval,
    wilson,
)
from elsewise.metrics.open_set import open_set_accuracy, open_set_macro_f1
from elsewise.metrics.paired import PairedShares, mcnemar, simultaneous_differences
from elsewise.metrics.ranking import (
    auc,
    auc_difference,
    aupr_in,
    aupr_out,
    average_precision,
    false_positive_rate_at,
    macro_auc,
    macro_auc_difference,
)
from elsewise.metrics.selective import (
    RiskCoverageAreas,
    RiskCoverageCurve,
    accuracies_at_coverages,
    accuracy_at_coverage,
    augrc,
    aurc,
    coverage_at_accuracy,
    e_aurc,
    risk_coverage_areas,
    risk_coverage_curve,
)

__all__ = [
    "CalibrationError", "Estimate", "PairedShares", "Reliability", "RiskCoverageAreas", "RiskCoverageCurve",
    "accuracies_at_coverages", "accuracy", "accuracy_at_coverage", "auc", "auc_difference", "augrc", "aupr_in",
    "aupr_out", "aurc", "average_precision", "binomial_cdf", "brier", "calibration_error",
    "classwise_calibration_error", "clopper_pearson_lower", "clopper_pearson_upper", "coverage_at_accuracy",
    "debiased_calibration_error", "e_aurc", "false_positive_rate_at", "log_loss", "macro_auc",
    "macro_auc_difference", "macro_f1", "mcnemar", "mean_interval", "open_set_accuracy", "open_set_macro_f1",
    "poisson_bootstrap", "reliability", "reliability_of",
    "risk_coverage_areas", "risk_coverage_curve", "simultaneous_differences",
    "wilson",
]  # fmt: skip
