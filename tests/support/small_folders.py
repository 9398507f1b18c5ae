"""A small text model with everything that a fitted one has: made in seconds, and not by training."""

import warnings

import numpy as np

from support.small_models import LABELS, learner_of, texts


def classifier_of(engine="openvino", precision="f32"):
    """A classifier with random weights, for which four of five labels are what it thinks itself."""
    import elsewise as ew
    from elsewise.classifier.kept_rows import refit_rows
    from elsewise.classifier.provenance import Provenance
    from elsewise.errors import ElsewiseWarning
    from elsewise.fitting.engine_choice import Rows, serving
    from elsewise.fitting.engines_to_try import Wanted
    from elsewise.rules.conformal import SplitConformal
    from elsewise.rules.familiarity import FamiliarityTest

    learner = learner_of("bert")
    train, tune, certify = (learner.tokenize(texts(n)) for n in (60, 150, 301))
    tune_codes, certify_codes = (_labels(learner.outputs(learner.model, rows).logits) for rows in (tune, certify))
    folded = ew.Temperature.fit(learner.outputs(learner.model, tune).logits, tune_codes)
    files = learner.write(learner.model.folded(folded), LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # random weights may be far from float32
        rows = Rows(tune, tune_codes, train)
        best, table = serving(files, LABELS, learner.tokenize.settings, Wanted((engine,), precision), rows)
    outputs = best.engine.run(certify)
    kept = {**refit_rows("train", train), **refit_rows("tune", tune, codes=tune_codes, logits=best.outputs.logits)}
    kept |= refit_rows("certify", certify, codes=certify_codes, logits=outputs.logits)
    certified = ew.Evidence.of(outputs, best.calibrator)
    rule = ew.CertifiedThreshold.fit(certified, certify_codes, reference=best.evidence, target_accuracy=0.55)
    explaining = {
        "familiarity": FamiliarityTest.fit(best.evidence, tune_codes),
        "sets": SplitConformal.fit(certified, certify_codes),
    }
    provenance = Provenance(folded=folded, arrays=kept, gate=table)
    return ew.Classifier(best.engine, best.calibrator, rule, provenance=provenance, **explaining)


def _labels(logits):
    best, other = logits.argmax(axis=1), np.random.default_rng(0).integers(logits.shape[1], size=len(logits))
    return np.where(np.arange(len(logits)) % 5, best, other)
