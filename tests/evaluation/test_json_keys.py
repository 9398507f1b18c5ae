"""The keys of every result as JSON, in their order, and the kinds of what stands there: scripts rely on them."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

import elsewise as ew
from elsewise.classifier.load import kept_aside
from elsewise.data.splits import hashes
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseWarning
from elsewise.evaluation import explain
from elsewise.fitting import open_threshold
from elsewise.fitting.engine_choice import GateRow, Serving, gate_rows
from elsewise.outputs import ReadSpan
from elsewise.rules import CertifiedThreshold
from elsewise.rules.explanation import Neighbour

KINDS = {bool: "yes or no", int: "number", float: "number", str: "string", type(None): "null"}


def kinds(value):
    """The same with the kind of each value in its place; of the items of a list each different one once."""
    if isinstance(value, Mapping):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        found = [kinds(item) for item in value]
        return [kind for i, kind in enumerate(found) if kind not in found[:i]]
    return KINDS[type(value)]


def same(value, expected):
    """Whether keys and kinds are as expected, in this order, before and after JSON."""
    assert json.dumps(kinds(value), indent=1) == json.dumps(expected, indent=1)
    return kinds(json.loads(json.dumps(value))) == kinds(value)


def all_(kind, names):
    return dict.fromkeys(names.split(), kind)


numbers, strings = partial(all_, "number"), partial(all_, "string")
ESTIMATE = numbers("value low high")
estimates = partial(all_, ESTIMATE)
WITH_NULL = {**ESTIMATE, "null": "number"}
SHARES = estimates("coverage accuracy_when_answered other_share")
CERTIFICATE = {
    "certified": "yes or no",
    **numbers("target_accuracy confidence_level threshold rows n errors coverage coverage_low coverage_high"),
    **numbers("out_of_scope_share best_accuracy"),
    "rows_needed": "null",
    "method": "string",
    "looks": "number",
    "earlier_delta": "null",
    "words": "string",
    "barred": [],
    "caught": "null",
    "population": "null",
    "asked_accuracy": "number",
    "ladder": "yes or no",
    "sentence": "string",
}
OUT_OF_SCOPE_SHARES = {
    "worst_case": "yes or no",
    **estimates("in_scope_coverage in_scope_risk out_of_scope_answered"),
    "shares": [{"share": "number", **estimates("coverage accuracy_when_answered")}],
}
STRANGERS = {**numbers("n answered"), "sentence": "string"}
SLICE = {"value": "string", **numbers("pooled rows"), **estimates("accuracy coverage accuracy_when_answered")}
EVALUATION = {
    "rows": {
        **numbers("in_scope out_of_scope unreadable seen"),
        "seen_in": numbers("train"),
        "rejected": "number",
        "unknown_labels": {},
    },
    "classifier": {
        **estimates("accuracy macro_f1 log_loss brier auc"),
        **all_(WITH_NULL, "ece ece_equal_width classwise_ece"),
        "debiased_calibration_error": ESTIMATE,
    },
    "system": {
        **SHARES,
        "reasons": numbers("answered unreadable"),
        **estimates("aurc augrc e_aurc"),
        "accuracy_at_coverage": [{"coverage": "number", "accuracy": ESTIMATE}],
        "coverage_at_accuracy": {"accuracy": "number", "coverage": ESTIMATE},
        "open_set": estimates("accuracy macro_f1"),
        "risk_coverage": [numbers("threshold coverage accuracy_when_answered")],
        "in_scope": SHARES,
    },
    "labels": [
        {
            "label": "string",
            "rows": "number",
            "classifier": estimates("recall precision f1"),
            "system": {**estimates("recall precision f1"), **SHARES},
        }
    ],
    "slices": {"city": [SLICE, {**SLICE, "value": "null"}]},
    "out_of_scope": estimates("recall auroc aupr aupr_in fpr95"),
    "out_of_scope_shares": OUT_OF_SCOPE_SHARES,
    "certificate": CERTIFICATE,
    "engine": {"name": "string", "precision": "null", "fingerprint": "string"},
    "baseline": {
        "engine": strings("name fingerprint"),
        **estimates("accuracy log_loss coverage accuracy_when_answered answered_right"),
        "difference": estimates("accuracy log_loss answered_right"),
        "same_promise": "yes or no",
        "certificate": CERTIFICATE,
        "p_value": "number",
        "sentence": "string",
    },
    "strangers": STRANGERS,
    "verdict": {
        "outcome": "string",
        "target_accuracy": "number",
        "accuracy": ESTIMATE,
        **numbers("rows answered right left_out"),
        "rows_needed": "number",
        **numbers("out_of_scope_share certified_share"),
        **strings("label kind"),
        **numbers("promises"),
        "sentence": "string",
    },
}
BARE_EVALUATION = {
    **EVALUATION,
    "rows": {**EVALUATION["rows"], "seen_in": {}},
    "system": {**EVALUATION["system"], "reasons": numbers("answered")},
    "slices": {},
    **all_("null", "out_of_scope certificate baseline verdict"),
}
MEASURED = estimates("coverage accuracy_when_answered errors_per_1000 other_per_1000")
ON_TUNE_ROWS = {
    **numbers("rows out_of_scope"),
    **MEASURED,
    "in_scope": MEASURED,
    "confidence": numbers("lowest highest"),
}
GATES = numbers("unfamiliar floor ambiguity_margin")
CERTIFIED = {
    "rule": "string",
    "asked": {
        **numbers("target_accuracy confidence_level"),
        **GATES,
        "out_of_scope_share": "null",
        "strict": "yes or no",
    },
    "score": "string",
    "threshold": "number",
    "certificate": {
        **CERTIFICATE,
        "barred": [{"reason": "string", **numbers("rows n high")}],
        "caught": numbers("rows n low"),
    },
    "measured_on_tune_rows": ON_TUNE_ROWS,
    "labels": [],
}
FIXED = {**CERTIFIED, "asked": {"threshold": "number", **GATES}, "certificate": "null"}
ONE_LABEL = {"label": "string", "threshold": "number", "certified": "yes or no", "rare": "yes or no"}
BY_LABEL = {
    **CERTIFIED,
    "asked": {
        **numbers("target_accuracy confidence_level"),
        "joint": "yes or no",
        "rare": "string",
        "groups": "null",
        **GATES,
    },
    "threshold": ["number"],
    "labels": [{**ONE_LABEL, **numbers("rows n errors")}],
}


def entry(standing):
    """What the history says of a rule."""
    asked = {"rule": "string", **standing["asked"]}
    parts = {name: standing[name] for name in ("threshold", "certificate")}
    return {**strings("when what engine"), "asked": asked, "note": "string", **parts, "looks": "number"}


DIFFERENCE = {"difference": ESTIMATE, **all_("yes or no", "shown less_is_better")}
OF_ROWS = "accuracy coverage right wrong"
OTHERS = "log_loss brier accuracy_when_answered augrc"
AT = "accuracy_at_coverage_0.8 accuracy_at_coverage_0.9 accuracy_at_coverage_1 coverage_at_accuracy"
ENDS = numbers("right wrong other")
MODEL = {
    "figures": {**estimates(f"{OF_ROWS} {OTHERS} {AT} auc"), "ece": WITH_NULL},
    "shared_threshold": {"threshold": "number", **SHARES},
    "threshold": "number",
    "certificate": "null",
    "engine": strings("name fingerprint"),
    "rows": {**numbers("unreadable seen"), "seen_in": numbers("train")},
    "texts_per_second": "number",
    "texts_per_second_at_fit": "null",
}
SAYS = {
    "label": "string",
    "abstained": "yes or no",
    "right": "yes or no",
    "best_label": "string",
    "confidence": "number",
}
PLACE = {"name": "string", "figure": ESTIMATE, "behind_the_best": "null", "shown": "yes or no"}
COMPARISON = {
    "verdict": "string",
    "primary": {**strings("figure why"), "target_accuracy": "number"},
    "notes": ["string"],
    "rows": {
        **numbers("compared in_scope out_of_scope readable"),
        "left_out": numbers("maybe"),
        **numbers("repeated rejected"),
    },
    "labels": {"common": ["string"], "other": {"a": [], "b": ["string"]}},
    "models": {
        "a": MODEL,
        "b": {**MODEL, "certificate": CERTIFICATE, "rows": {**MODEL["rows"], "seen_in": {}}},
    },
    "pairs": [
        {
            **strings("a b"),
            "figures": {
                **all_({**DIFFERENCE, **numbers("only_a only_b p_value")}, OF_ROWS),
                **all_(DIFFERENCE, f"{OTHERS} {AT} auc"),
            },
            "outcomes": {
                "best": numbers("both_right only_a only_b both_wrong"),
                "decided": {"right": ENDS, "wrong": ENDS, "other": ENDS},
                "changed": "number",
            },
            "labels": [
                {
                    "label": "string",
                    "rows": "number",
                    "recall": numbers("a b"),
                    "f1": numbers("a b"),
                    "difference": ESTIMATE,
                    "shown": "yes or no",
                }
            ],
        }
    ],
    "leaderboard": [PLACE, {**PLACE, "behind_the_best": ESTIMATE}],
    "changed": {
        "rows": "number",
        "first": [{"row": "number", "label": label, "models": {"a": SAYS, "b": SAYS}} for label in ("string", "null")],
    },
}
GATE_ROW = {
    "engine": "string",
    **numbers("accuracy log_loss ece changed worst_change change_99 megabytes texts_per_second"),
    "passed": "yes or no",
}
EXPLANATION = {
    "label": "string",
    "abstained": "yes or no",
    **strings("reason sentence customer_sentence"),
    "probabilities": numbers("no yes"),
    **numbers("confidence threshold"),
    "score": "string",
    "nearest": ["string"],
    "familiarity": "null",
    "possible": ["string"],
    "epistemic": "null",
    "words": [{"words": "string", **numbers("start end pull without")}],
    "neighbours": [{**strings("text label"), "similarity": "number"}],
    "extent": {
        "tokens": "number",
        "unknown": ["string"],
        "truncated": "yes or no",
        **numbers("characters characters_read"),
        "last_words": "string",
    },
    "receipt": {
        "receipt": "number",
        "elsewise": "string",
        "model": {"engine": "string", "precision": "null", "fingerprint": "string"},
        "decision_version": "string",
        "certificate": "null",
        "text_sha256": "string",
        "answer": {
            "label": "string",
            "abstained": "yes or no",
            **strings("reason best_label"),
            **numbers("probability confidence threshold"),
        },
    },
}


def by_heart(right, rule=None, more=(), **options):
    """A classifier of "yes" and "no" that is right, and sure, on the first texts of 20, all "yes"; then wrong."""
    rest = [-9.0] * len(more)
    table = {f"text {i}": [4.0, 0.0, *rest] if i < right else [0.0, 1.0, *rest] for i in range(20)}
    engine = MemoryEngine(("yes", "no", *more), table)
    return ew.Classifier(engine, ew.Identity(), rule or ew.FixedThreshold(0.8), **options)


def certified():
    p = np.array([[0.98, 0.02]] * 180 + [[0.3, 0.7]] * 20)
    return CertifiedThreshold.fit(p, np.zeros(200, dtype=int), reference=p.copy(), target_accuracy=0.6)


def evaluated():
    """Eighteen in-scope rows of which one cannot be read, two out-of-scope rows, and a column of 22 values."""
    classifier = by_heart(15, rule=certified(), out_of_scope_label="none")
    arrays = {"split.train": np.array(hashes(["text 0"]), dtype=np.uint64)}
    baseline = kept_aside(by_heart(10, rule=certified()))
    classifier = classifier.with_provenance(arrays=arrays, baseline=baseline)
    texts = [*(f"text {i}" for i in range(17)), "?", "text 18", "text 19", "text 1", "text 2"]
    labels = ["yes"] * 18 + ["none"] * 2 + ["yes", "yes"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # of the text that was seen
        return ew.evaluate(classifier, texts, labels, slices={"city": range(22)})


def compared():
    a, b = by_heart(15), by_heart(10, more=("maybe",), rule=certified(), out_of_scope_label="none")
    a = a.with_provenance(arrays={"split.train": np.array(hashes(["text 0"]), dtype=np.uint64)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        return ew.compare(a, b, [f"text {i}" for i in range(20)], ["maybe"] + ["yes"] * 17 + ["none"] * 2)


def folder_of_logits(path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1200, 3)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    codes[::40] = -1
    ew.calibrate(2 * z, codes, labels=list("abc"), target_accuracy=0.8).save(path)
    return path


def explained():
    table = {"not good": [0.0, 2.0], " good": [3.0, 0.0], "not ": [0.0, 1.0]}
    made = explain(ew.Classifier(MemoryEngine(("yes", "no"), table), ew.Identity(), ew.FixedThreshold(0.6)), "not good")
    extent = ReadSpan(3, ("?",), truncated=True, characters=6, characters_read=4, last_words="text")
    return replace(
        made, nearest=("yes",), possible=("yes",), extent=extent, neighbours=(Neighbour("text", "yes", 0.5),)
    )


def test_an_evaluation_has_these_keys():
    assert same(evaluated().as_dict(), EVALUATION)
    assert same(ew.evaluate(by_heart(15), ["text 1"], ["yes"]).as_dict(), BARE_EVALUATION)


def test_a_comparison_has_these_keys():
    assert same(compared().as_dict(), COMPARISON)


def test_a_threshold_has_these_keys(tmp_path):
    path = folder_of_logits(tmp_path / "model")
    open_threshold(path).change("certified", target_accuracy=0.96)
    change = open_threshold(path).change("fixed", threshold=0.6).as_dict()
    overview = open_threshold(path).overview().as_dict()
    by_label = open_threshold(path).change("by_label", target_accuracy=0.8).as_dict()
    ew.load(path).with_provenance(arrays={}, history=()).save(path)

    changes = {"before": CERTIFIED, "after": FIXED, "entry": entry(FIXED)}
    assert same(change, {"engine": "string", **changes, "others": [], "strangers": "null"})
    possible = {**FIXED, "asked": {"coverage": "number", **GATES}}
    history = {"history": [entry(CERTIFIED), entry(FIXED)], "looks": "number", "others": [], "strangers": "null"}
    assert same(overview, {"engine": "string", "present": FIXED, "possible": [possible], **history})
    assert same(by_label["after"], BY_LABEL)
    without = {"present": {**BY_LABEL, "measured_on_tune_rows": "null"}, "possible": [], "history": []}
    ends = {"looks": "number", "others": [], "strangers": "null"}
    assert same(open_threshold(path).overview().as_dict(), {"engine": "string", **without, **ends})


def test_a_row_of_the_gate_has_these_keys():
    measured = GateRow("openvino-f32", 0.9, 0.4, 0.02, 0.0, 0.0, 0.0, 90.0, 100.0, passed=True)
    few = replace(measured, accuracy=None, log_loss=None, ece=None)

    table = gate_rows([Serving(None, None, None, row) for row in (measured, few)])

    assert same(list(table), [GATE_ROW, {**GATE_ROW, **all_("null", "accuracy log_loss ece")}])


def test_an_explanation_has_these_keys():
    assert same(explained().as_dict(), EXPLANATION)
