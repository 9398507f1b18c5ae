"""Familiarity from the inner layers of the fine-tuned encoder, beside what is served: CLINC150, texts of no label.

    python benchmarks/layers.py --data FOLDER --models FOLDER... [--layers 4 5 6]

The models are those of clinc150.py. Gaussians are fitted on train.csv, and scores are scaled on val.csv; no
out-of-scope text is in either.
"""

import argparse
from pathlib import Path
from statistics import mean

import numpy as np

import elsewise as ew
from clinc150 import OUT_OF_SCOPE, rows_of
from elsewise import metrics
from elsewise.outputs import References
from elsewise.scores.distances import LabelGaussians
from sections import table, write_section

BATCH, MOST_TOKENS = 128, 64
SHARES = (0.01, 0.02, 0.03, 0.05)
SERVED, INNER, BOTH = "as served", "relative Mahalanobis of the inner layers", "the mean of both"


def pooled(model: Path, texts: list[str], layers: list[int]) -> list[np.ndarray]:
    """The mean over each text's tokens of what each layer gives, (texts, width) a layer."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    order = np.argsort([len(text) for text in texts])
    found: list[list[np.ndarray]] = [[] for _ in layers]
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            some = [texts[i] for i in order[start : start + BATCH]]
            tokens = tokenizer(some, padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
            states = encoder(**tokens, output_hidden_states=True).hidden_states
            mask = tokens["attention_mask"][:, :, None]
            for rows, layer in zip(found, layers, strict=True):
                rows.append(((states[layer] * mask).sum(dim=1) / mask.sum(dim=1)).numpy())
    back = np.argsort(order)
    return [np.concatenate(rows)[back] for rows in found]


def relative(train: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """As `elsewise.scores.RelativeMahalanobis`."""
    labels = LabelGaussians.fit(References(train, codes))
    everything = LabelGaussians.fit(References(train, np.zeros(len(codes), dtype=np.int64)))
    return everything.least(rows) - labels.least(rows)


def standardised(score: np.ndarray, tune: np.ndarray) -> np.ndarray:
    return (score - tune.mean()) / tune.std()


def judged(model: Path, data: Path, layers: list[int]) -> dict[str, dict[str, float]]:
    classifier = ew.load(model)
    known = {label: code for code, label in enumerate(classifier.labels)}
    sets = {name: rows_of(data / f"{name}.csv") for name in ("train", "val", "test")}
    sets = {name: rows if name == "test" else [r for r in rows if r[1] != OUT_OF_SCOPE] for name, rows in sets.items()}
    texts = {name: [text for text, _ in rows] for name, rows in sets.items()}
    codes = {name: np.array([known.get(label, -1) for _, label in rows]) for name, rows in sets.items()}
    inner = {name: pooled(model, some, layers) for name, some in texts.items()}
    served = {name: classifier.familiarity.score(classifier.evidence(texts[name])) for name in ("val", "test")}
    each = []
    for train, tune, test in zip(*(inner[name] for name in ("train", "val", "test")), strict=True):
        scores = relative(train, codes["train"], np.concatenate([tune, test]))
        each.append(standardised(scores, scores[: len(tune)]))
    both = np.mean(each, axis=0)
    mine = standardised(np.concatenate([served["val"], served["test"]]), served["val"])
    ways = {SERVED: mine, INNER: both, BOTH: mine + standardised(both, both[: len(texts["val"])])}
    ways |= {f"layer {layer} alone": score for layer, score in zip(layers, each, strict=True)}
    return {way: figures(score, len(texts["val"]), codes["test"] >= 0) for way, score in ways.items()}


def figures(score: np.ndarray, tune: int, inside: np.ndarray) -> dict[str, float]:
    test = score[tune:]
    found = {
        "AUROC": metrics.auc(test, inside).value,
        "AUPR": metrics.average_precision(-test, ~inside).value,
    }
    for share in SHARES:
        found[f"caught at {share:.0%}"] = float((test[~inside] <= np.quantile(test[inside], share)).mean())
    return found


PAGE = """## CLINC150: familiarity from inner layers

Relative Mahalanobis distances of the fine-tuned encoder's mean-pooled layers {layers} (no second pass), beside the
familiarity that is served. Seeds: {seeds}. Caught are out-of-scope texts where so many in-scope test texts are
barred.

{figures}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--layers", type=int, nargs="+", default=[4, 5, 6])
    arguments = parser.parse_args()
    runs = [judged(model, arguments.data, arguments.layers) for model in arguments.models]
    names = list(runs[0][SERVED])
    rows = [
        [
            way,
            *(f"{mean(run[way][name] for run in runs):{'.4f' if name.startswith('AU') else '.1%'}}" for name in names),
        ]
        for way in runs[0]
    ]
    layers = ", ".join(map(str, arguments.layers))
    write_section("layers", PAGE.format(layers=layers, seeds=len(runs), figures=table(["", *names], rows)))


if __name__ == "__main__":
    main()
