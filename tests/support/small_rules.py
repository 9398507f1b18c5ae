"""Every rule of the table, fitted on a few hundred rows. A new rule needs a line in FITTED."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from elsewise.arrays import ABSTAIN, softmax
from elsewise.classifier.packing import pack, unpack
from elsewise.outputs import Evidence, Outputs, as_evidence
from elsewise.rules import RULES
from elsewise.rules.decisions import confidence_of
from elsewise.rules.gates import as_gates
from elsewise.scores import MaximumProbability
from elsewise.storage.json_files import finite

FITTED = {
    "fixed": lambda kind, rows, codes, **o: kind.fit(rows, codes, threshold=0.7, **o),
    "coverage": lambda kind, rows, codes, **o: kind.fit(rows, codes, coverage=0.6, **o),
    "certified": lambda kind, rows, codes, **o: kind.fit(
        rows, codes, reference=evidence_of(n=200, seed=9, models=True)[0], target_accuracy=0.8, **o
    ),
    "by_label": lambda kind, rows, codes, **o: kind.fit(rows, codes, reference=copy_of(rows), target_accuracy=0.8, **o),
    "accuracy_band": lambda kind, rows, codes, **o: kind.fit(
        rows, codes, reference=evidence_of(n=200, seed=9, models=True)[0], threshold=middle(rows, **o), **o
    ),
    "cost": lambda kind, rows, codes, **o: kind.fit(rows, codes, cost_of_error=5, cost_of_review=1, **o),
}


def middle(rows, score=None, gates=(), ambiguity_margin=None):
    """A threshold that six of ten rows reach; -inf where gates bar all of them."""
    confidence = confidence_of(as_evidence(rows), score or MaximumProbability(), as_gates(gates, ambiguity_margin))
    kept = confidence[~np.isnan(confidence)]
    return float(np.quantile(kept, 0.4)) if len(kept) else -np.inf


def evidence_of(n=500, k=4, seed=0, dtype=np.float64, *, models=False):
    rng = np.random.default_rng(seed)
    z = (rng.normal(size=(n, k)) * 4).astype(dtype)
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    codes[5::50] = ABSTAIN
    features = z[:, :2] + rng.normal(size=(n, 2)).astype(dtype)
    outputs = Outputs(z, features, epistemic=rng.random(n) if models else None)
    return Evidence(softmax(z), outputs, familiarity=rng.random(n)), codes


def copy_of(rows):
    """Nearly the same texts once more, as a reference that follows when labels are renamed."""
    nearly = 1 - 2**-20
    if isinstance(rows, Evidence):
        return dataclasses.replace(rows, probabilities=rows.probabilities * nearly)
    return rows * nearly


def fit(name, rows, codes, **options):
    return FITTED[name](RULES[name], rows, codes, **options)


def same(one, other):
    return all(
        np.array_equal(
            getattr(one, f.name), getattr(other, f.name), equal_nan=f.name.endswith(("confidence", "probability"))
        )
        for f in dataclasses.fields(one)
    )


def saved_and_read(rule):
    arrays = {}
    packed = json.loads(json.dumps(finite(pack(rule, arrays, "rule")), allow_nan=False))
    return unpack(packed, arrays, Path("elsewise.json"))
