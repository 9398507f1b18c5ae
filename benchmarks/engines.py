"""Engines side by side: elsewise's own, and what people use today, on the same texts with the same weights.

    python benchmarks/engines.py --data CLINC --documents NEWSGROUPS [--models FOLDER] [--sentence-transformers PYTHON]

Both data folders hold train.csv, val.csv and test.csv. Models are fitted by `elsewise fit` into FOLDER, or taken from
there (clinc150/, documents/). PYTHON is that of an environment with sentence-transformers[openvino], which needs an
older transformers than ours. Each peer is a process of its own that stays warm; the runs are interleaved.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from engine_peers import PEERS, SENTENCE_TRANSFORMERS
from sections import table, write_section

REPEATS = 3
PATIENCE = 25  # seconds: who needs longer for a run is not repeated
ALONE = 64  # texts that are asked alone too
OUT_OF_SCOPE = "oos"
LONGEST = 256


def rows_of(path: Path) -> list[tuple[str, str]]:
    csv.field_size_limit(10**9)
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


class Peer:
    """A process that answers when asked."""

    def __init__(self, name: str, model: Path, texts: Path, python: str) -> None:
        self.name, self.seconds, self.done = name, [], False
        start = time.perf_counter()
        command = [python, str(Path(__file__).with_name("engine_peers.py")), name, str(model), str(texts)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.skipped = self.heard().get("skipped")
        self.cold = time.perf_counter() - start

    def heard(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"skipped": "it ended"}

    def ask(self, what: str) -> dict:
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.heard()


def measured(
    model: Path, texts: list[str], codes: np.ndarray | None, names: list[str], work: Path, other: str
) -> list[dict]:
    """Run every peer on the texts, in turns; the first name is what the others are compared with."""
    given, plain = work / "texts.json", plain_folder(model, work)
    given.write_text(json.dumps(texts))
    peers = []
    for name in names:
        served = plain if name.startswith("ONNX Runtime") else model
        peer = Peer(name, served, given, other if name == SENTENCE_TRANSFORMERS else sys.executable)
        print(f"  {name}: {peer.skipped or f'{peer.cold:.2f} s to the first answer'}", flush=True)
        if not peer.skipped:
            peer.ask("warm")
            peers.append(peer)
    for _ in range(REPEATS):
        for peer in peers:
            if not peer.seconds or max(peer.seconds) < PATIENCE:
                peer.seconds.append(peer.ask("run")["seconds"])
    results, reference = [], None
    for peer in peers:
        said = peer.ask(f"result {work / 'result.npz'}")
        saved = np.load(work / "result.npz")
        p, decided, alone = saved["p"], saved["decided"], saved["alone"]
        reference = reference if reference is not None else (p, decided)
        results.append(
            {
                "name": peer.name,
                "texts": len(texts) / median(peer.seconds),
                "runs": len(peer.seconds),
                "tokens": said["tokens"] / median(peer.seconds),
                "gflops": said["gflop"] / median(peer.seconds),
                "memory": said["memory"],
                "cold": peer.cold,
                "accuracy": None if codes is None else float((p.argmax(axis=1) == codes).mean()),
                "same": float((decided == reference[1]).mean()),
                "argmax": float((p.argmax(axis=1) == reference[0].argmax(axis=1)).mean()),
                "change": float(np.abs(p - reference[0]).max()),
                "neighbours": float(np.abs(alone - p[: len(alone)]).max()),
            }
        )
        peer.process.stdin.close()
        peer.process.wait()
        print(" ", json.dumps(results[-1]), flush=True)
    return results


COLUMNS = ["", "texts/s", "to pipeline, 32", "tokens/s", "peak MB", "cold start, s", "accuracy", "same decision as f32"]
COLUMNS += ["largest change of a probability to f32", "... with neighbours", "GFLOP/s", "of the limit"]


def rows(results: list[dict], limits: dict[str, float]) -> list[list[str]]:
    base = next(r["texts"] for r in results if r["name"] == "pipeline, 32")
    made = []
    for r in results:
        kind = next((kind for kind in ("int8", "bf16") if kind in r["name"]), "f32")
        limit = limits.get(kind)
        made.append(
            [
                f"**{r['name']}**" if r["name"].startswith("elsewise") else r["name"],
                f"{r['texts']:,.0f}",
                f"{r['texts'] / base:.1f}x",
                f"{r['tokens']:,.0f}",
                f"{r['memory']:,.0f}",
                f"{r['cold']:.1f}",
                "-" if r["accuracy"] is None else f"{r['accuracy']:.2%}",
                f"{r['same']:.2%}",
                f"{r['change']:.1e}",
                "0" if r["neighbours"] == 0 else f"{r['neighbours']:.1e}",
                f"{r['gflops']:,.0f}",
                f"{r['gflops'] / limit:.0%}" if limit else "-",
            ]
        )
    return made


def limits() -> dict[str, float]:
    """Measure the matrix products of this machine, in GFLOP/s: the best of torch and OpenVINO, 2,048 wide."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("engine_peers.py")), "limits"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def elsewise(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "elsewise", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def fitted(model: Path, data: Path, work: Path, *more: str) -> Path:
    """Fit a model on the in-scope rows, unless there is one; certify it on all of OpenVINO's precisions."""
    if not model.exists():
        for name in ("train", "val"):
            with (work / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                inside = [row for row in rows_of(data / f"{name}.csv") if row[1] != OUT_OF_SCOPE]
                csv.writer(file).writerows([("text", "label"), *inside])
        elsewise("fit", str(work / "train.csv"), "--held-out", str(work / "val.csv"), "-o", str(model), *more)
    there = json.loads((model / "elsewise.json").read_text())["engines"]
    for precision in ("f32", "bf16", "int8"):
        if f"openvino-{precision}" not in there:
            try:
                elsewise("export", str(model), "--engine", "openvino", "--precision", precision)
            except subprocess.CalledProcessError as error:
                print(error.stderr, flush=True)  # a processor without bf16
    return model


def bert_base(folder: Path, like: Path) -> Path:
    """Make a model of BERT-base's shape with random weights, with the labels and the tokenizer of another."""
    if not folder.exists():
        script = str(Path(__file__).with_name("engine_peers.py"))
        subprocess.run([sys.executable, script, "bert-base", str(folder), str(like)], check=True)
    return folder


def plain_folder(model: Path, work: Path) -> Path:
    """Copy a model, its model.onnx as anybody else's exporter writes it."""
    folder = work / "plain" / model.name
    if not folder.exists():
        script = str(Path(__file__).with_name("engine_peers.py"))
        subprocess.run([sys.executable, script, "plain", str(model), str(folder)], check=True, capture_output=True)
    return folder


def cold_starts(model: Path, work: Path) -> str:
    """Time `elsewise predict` of one text, the whole process, files warm: the median of five."""
    (work / "one.csv").write_text("text\nwhere is my order\n")
    made = []
    for key in json.loads((model / "elsewise.json").read_text())["engines"]:
        engine, precision = key.split("-")
        command = [sys.executable, "-m", "elsewise", "predict", str(model), str(work / "one.csv")]
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            subprocess.run([*command, "--engine", engine, "--precision", precision], check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        made.append([key, f"{median(seconds[1:]):.2f}"])
    return table(["", "seconds"], made)


def gate_table(model: Path) -> str:
    gates = {}
    for entry in json.loads((model / "elsewise.json").read_text())["engines"].values():
        for row in entry["gate"]:
            gates.setdefault(row["engine"], row)
    made = [
        [
            row["engine"], f"{row['accuracy']:.2%}", f"{row['log_loss']:.4f}", f"{row['ece']:.4f}",
            f"{row['changed']:.2%}", f"{row['worst_change']:.4f}", f"{row['change_99']:.4f}",
            f"{row['megabytes']:.0f}", f"{row['texts_per_second']:,.0f}", "yes" if row["passed"] else "**no**",
        ]
        for row in gates.values()
    ]  # fmt: skip
    header = [
        "",
        "accuracy",
        "log loss",
        "ECE",
        "other best label",
        "largest change",
        "99th percentile",
        "MB",
        "texts/s",
    ]
    return table([*header, "within the margins"], made)


def judged(model: Path, texts: list[str], codes: np.ndarray) -> str:
    """Judge each precision on test rows, after its own re-fit."""
    import elsewise as ew

    made, exact = [], None
    for precision in ("f32", "bf16", "int8"):
        try:
            classifier = ew.load(model, engine="openvino", precision=precision)
        except ew.ElsewiseError:
            continue
        p = classifier.probabilities(texts)
        loss, accuracy = ew.metrics.log_loss(p, codes).value, ew.metrics.accuracy(p, codes).value
        exact = exact or (loss, accuracy)
        ece = ew.metrics.calibration_error(p, codes).value
        change = f"{loss / exact[0] - 1:+.1%}", f"{100 * (accuracy - exact[1]):+.2f}"
        made.append([precision, f"{accuracy:.2%}", change[1], f"{loss:.4f}", change[0], f"{ece:.4f}",
                     f"{classifier.certificate.certified}", f"{classifier.certificate.looks}"])  # fmt: skip
    header = ["", "accuracy", "points to f32", "log loss", "to f32", "ECE", "certified", "looks"]
    return table(header, made)


def coded(model: Path, pairs: list[tuple[str, str]]) -> tuple[list[str], np.ndarray]:
    labels = json.loads((model / "elsewise.json").read_text())["labels"]
    known = {label: code for code, label in enumerate(labels)}
    inside = [(text, known[label]) for text, label in pairs if label in known]
    return [text for text, _ in inside], np.array([code for _, code in inside])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--sentence-transformers", default=sys.executable)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="must hold 'pipeline, 32'")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        models = arguments.models or work / "models"
        models.mkdir(exist_ok=True)
        clinc = fitted(models / "clinc150", arguments.data, work)
        documents = fitted(models / "documents", arguments.documents, work, "--epochs", "1", "--batch-size", "16")
        base = bert_base(models / "bert-base", clinc)
        bounds = limits()
        print(bounds, flush=True)
        short, short_codes = coded(clinc, rows_of(arguments.data / "test.csv"))
        long, long_codes = coded(documents, rows_of(arguments.documents / "test.csv"))
        rng = np.random.default_rng(0)
        some = rng.permutation(len(long))[:300]
        mixed = [*short[:1140], *(long[i] for i in some[:60])]
        mixed = [mixed[i] for i in rng.permutation(len(mixed))]
        other, peers, parts = arguments.sentence_transformers, arguments.peers, {}
        fewer = [n for n in peers if "one by one" not in n and "free" not in n and "torch bf16" not in n]
        for name, (model, texts, codes, names) in {
            "short": (clinc, short, short_codes, peers),
            "long": (documents, [long[i] for i in some], long_codes[some], peers),
            "mixed": (clinc, mixed, None, fewer),
            "base": (base, short[:800], None, fewer),
        }.items():
            print(name, flush=True)
            parts[name] = table(COLUMNS, rows(measured(model, texts, codes, names, work, other), bounds))
        write_section(
            "engines",
            PAGE.format(
                **parts,
                n_short=len(short), n_long=len(some), n_mixed=len(mixed),
                limits=", ".join(f"{kind} {value:,.0f} GFLOP/s" for kind, value in bounds.items()),
                cold=cold_starts(clinc, work),
                gate_short=gate_table(clinc), gate_long=gate_table(documents),
                judged_short=judged(clinc, short, short_codes),
                judged_long=judged(documents, long, long_codes),
            ),
        )  # fmt: skip


PAGE = f"""## Engines

The same weights and texts for everybody; tokenisation, probabilities and decisions included; each peer warm, in a
process of its own, {REPEATS} runs in turns, the median (slow ones once). "With neighbours" is the largest difference
between a text alone and among all others. Matrix products of this machine: {{limits}}; "of the limit" counts the
multiplications for real tokens only, those that a graph does: ours leaves out what the last layer makes of tokens that
the head does not read, so the same GFLOP/s are more texts. int8 is held against the int8 limit. ONNX Runtime
gets the graph that torch writes, all of the last layer in it. sentence-transformers lets OpenVINO choose the precision,
which is bf16 where the processor has it.
Each precision of elsewise decides by the threshold that was certified on it, the peers by that of f32.

### Short texts: MiniLM on CLINC150, {{n_short:,}} test texts

{{short}}

### Long documents: MiniLM on newsgroups, {{n_long:,}} test documents, {LONGEST} tokens

{{long}}

### A mixed stream: {{n_mixed:,}} texts, 5 % of them long documents

{{mixed}}

### BERT-base's shape, random weights, 800 short texts: speed only

{{base}}

### The gate, on tune rows

CLINC150:

{{gate_short}}

Newsgroups:

{{gate_long}}

### Each precision on test rows, after its own re-fit and certification

CLINC150:

{{judged_short}}

Newsgroups:

{{judged_long}}

### Cold start

`elsewise predict` of one text, from the start of the process to its end, files warm, the median of five:

{{cold}}
"""


if __name__ == "__main__":
    main()
