"""Write small model folders and what they answer, with the code of version 50be3cb; see README.md beside this file."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from elsewise.engines.sklearn import SklearnEngine
from elsewise.thresholds import change_threshold, threshold_of, undo_threshold

import elsewise as ew

LABELS = ("cancel", "invoice", "shipping")
WORDS = ("cancel stop", "invoice bill", "parcel courier")
SHARES = (0.5, 0.44, 0.06)  # the last label is rare
FILLERS = ("my", "the", "please", "it")
STEPS = {  # what is done to a copy of each folder, one after the other
    "logits": [
        ("undo", {}),
        ("undo", {}),
        ("by_label", {"target_accuracy": 0.8, "joint": True, "ambiguity_margin": 0.05}),
        ("coverage", {"coverage": 0.6}),
    ],
    "texts": [
        ("undo", {}),
        ("certified", {"target_accuracy": 0.7, "ambiguity_margin": 0.3}),
        ("by_label", {"target_accuracy": 0.6, "rare": "fall_back"}),
    ],
}


def logits_of(rng, n):
    codes = rng.choice(3, size=n, p=SHARES)
    return (rng.normal(size=(n, 3)) + 2.6 * np.eye(3)[codes]).round(2), codes


def texts_of(rng, n):
    """Texts that name their label, and now and then another one or none."""
    codes = rng.choice(3, size=n, p=SHARES)
    named = np.where(rng.random(n) < 0.1, rng.integers(3, size=n), codes)
    words = [
        [*rng.choice(FILLERS, size=3), *rng.choice(WORDS[code].split(), size=int(rng.random() < 0.9))] for code in named
    ]
    return [f"{' '.join(rng.permutation(some))} {i}" for i, some in enumerate(words)], [LABELS[code] for code in codes]


def answers_of(path, asked):
    model = ew.load(path)
    decisions = model.decide(asked)
    return {
        "labels": decisions.labels,
        "confidence": decisions.confidence.tolist(),
        "reasons": decisions.reasons.tolist(),
        "sentence": decisions.sentence(len(asked) - 1),
        "certificate": None if model.certificate is None else model.certificate.sentence,
    }


def evaluation_of(path, judged, labels):
    found = ew.evaluate(ew.load(path), judged, labels).as_dict()
    return {name: found[name] for name in ("rows", "classifier", "out_of_scope_shares")} | {
        name: found["system"][name] for name in ("coverage", "accuracy_when_answered", "reasons", "aurc")
    }


def steps_of(path, asked, steps):
    """What a folder says of each step, and what it answers then."""
    for rule, words in steps:
        change = undo_threshold(path) if rule == "undo" else change_threshold(path, rule, note="a test", **words)
        after = change.as_dict()["after"]
        kept = {name: after[name] for name in ("rule", "asked", "score", "threshold", "labels")}
        yield {"step": [rule, words], "after": kept, "answers": answers_of(path, asked)}


def expected_of(path, asked, judged, labels):
    copy = path.parent / "changed"
    shutil.copytree(path, copy)
    expected = {
        "asked": asked,
        "answers": answers_of(path, asked),
        "history": threshold_of(path).as_dict()["history"],
        "judged": judged,
        "true": labels,
        "evaluation": evaluation_of(path, judged, labels),
        "steps": list(steps_of(copy, asked, STEPS[path.name])),
    }
    shutil.rmtree(copy)
    return expected


def main(out):
    """Write a folder of logits, whose thresholds are by label now, and one of texts with a margin."""
    out.mkdir(parents=True)
    rng = np.random.default_rng(7)
    z, codes = logits_of(rng, 240)
    far = logits_of(rng, 30)[0] / 10
    ew.calibrate(z, codes, labels=LABELS, target_accuracy=0.85, out_of_scope=far).save(out / "logits")
    change_threshold(out / "logits", "certified", target_accuracy=0.85, ambiguity_margin=0.2, note="for the hotline")
    change_threshold(out / "logits", "by_label", target_accuracy=0.8, note="each label by itself")

    texts, labels = texts_of(rng, 100)
    tune, tune_labels = texts_of(rng, 50)
    coded, tune_coded = (np.array([LABELS.index(label) for label in some]) for some in (labels, tune_labels))
    engine = SklearnEngine.fit(texts, coded, LABELS, tune, tune_coded)
    ew.fit(*texts_of(rng, 300), engine=engine, target_accuracy=0.7).save(out / "texts")
    change_threshold(out / "texts", "certified", target_accuracy=0.7, ambiguity_margin=0.1)

    more, more_codes = logits_of(rng, 30)
    asked = [*z[:4].tolist(), [0.4, 0.3, 0.2], [1.0, 1.05, -3.0], [-3.0, 2.0, 2.4]]
    words = ["please cancel it", "where is my parcel", "the bill and the courier", "hello", "?!", "stop my invoice"]
    expected = {
        "logits": expected_of(out / "logits", asked, more.tolist(), [LABELS[code] for code in more_codes]),
        "texts": expected_of(out / "texts", words, *texts_of(rng, 30)),
    }
    (out / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
