"""The peers of engines.py: one process runs one of them and answers on stdin and stdout.

python benchmarks/engine_peers.py NAME MODEL TEXTS.json      then: warm | run | result FILE
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np

from sections import peak_mb

LONGEST = 256
SORTED_TOKENS = 1024  # in a batch of the peers that sort by length: the best of several for them
SENTENCE_TRANSFORMERS = "sentence-transformers, OpenVINO bf16"
CORES = len(os.sched_getaffinity(0))

Answer = Callable[[list[str]], np.ndarray]
Batch = tuple[list[int], np.ndarray, np.ndarray]


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def tokenizer_of(model: Path) -> Any:
    import tokenizers

    made = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    made.no_padding()
    made.enable_truncation(LONGEST)
    return made


def batches(model: Path, texts: list[str], budget: int = SORTED_TOKENS) -> Iterator[Batch]:
    """Sort by length and fill up to a budget of tokens, shapes free: what a careful user writes."""
    ids = [e.ids for e in tokenizer_of(model).encode_batch_fast(texts)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * len(ids[order[stop]]) <= budget:
            stop += 1
        rows = order[start:stop]
        width = len(ids[rows[-1]])
        batch, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for row, i in enumerate(rows):
            batch[row, : len(ids[i])], mask[row, : len(ids[i])] = ids[i], 1
        yield rows, batch, mask
        start = stop


def sorted_answer(model: Path, forward: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer:
    def answer(texts: list[str]) -> np.ndarray:
        columns = None
        for rows, ids, mask in batches(model, texts):
            p = softmax(forward(ids, mask))
            columns = np.empty((len(texts), p.shape[1]), np.float32) if columns is None else columns
            columns[rows] = p
        return columns

    return answer


def pipeline(model: Path, batch_size: int) -> Answer:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    pipe = transformers.pipeline("text-classification", model=str(model), top_k=None, device="cpu")
    known = {label: code for code, label in pipe.model.config.id2label.items()}

    def answer(texts: list[str]) -> np.ndarray:
        p = np.empty((len(texts), len(known)), np.float32)
        for row, scores in enumerate(pipe(texts, batch_size=batch_size, truncation=True, max_length=LONGEST)):
            for score in scores:
                p[row, known[score["label"]]] = score["score"]
        return p

    return answer


def torch_sorted(model: Path, *, half: bool) -> Answer:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    made = transformers.AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    torch.set_num_threads(CORES)

    def forward(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return made(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.float().numpy()

    return sorted_answer(model, forward)


def onnx_sorted(model: Path, *, int8: bool) -> Answer:
    import onnxruntime

    graph = model / "model.onnx"
    if int8:
        import contextlib
        import io
        import logging
        import tempfile

        from onnxruntime.quantization import QuantType, quantize_dynamic

        logging.disable(logging.WARNING)
        target = Path(tempfile.gettempdir()) / f"dynamic-int8-{os.getpid()}.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            quantize_dynamic(graph, target, weight_type=QuantType.QInt8, per_channel=True)
        graph = target
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return sorted_answer(
        model, lambda ids, mask: session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
    )


def write_plain(model: Path, folder: Path) -> None:
    """Copy a model folder, its model.onnx written by torch as the model is: what people have."""
    import torch
    import transformers

    shutil.copytree(model, folder)
    made = transformers.AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    example, axes = torch.ones(2, 16, dtype=torch.int64), {0: "batch", 1: "length"}
    torch.onnx.export(
        made,
        (example, example),
        str(folder / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def openvino_free(model: Path, precision: str) -> Answer:
    """Run our own graph, at free shapes: what fixed ones cost."""
    from elsewise.engines.openvino import core

    graph = model / ("openvino/int8.xml" if precision == "int8" else "model.onnx")
    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": CORES, "NUM_STREAMS": 1}
    compiled = core().compile_model(str(graph), "CPU", how)
    request = compiled.create_infer_request()

    def forward(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return request.infer({"input_ids": ids, "attention_mask": mask})["logits"].copy()

    return sorted_answer(model, forward)


def sentence_transformers(model: Path) -> Answer:
    """Run its classifier on OpenVINO as its `predict`, which takes pairs only, does: sorted by length, 32 a batch."""
    import tempfile

    import torch
    from sentence_transformers import CrossEncoder

    with tempfile.TemporaryDirectory() as place:  # it would take our int8 graph for its own
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (Path(place) / name).write_bytes((model / name).read_bytes())
        encoder = CrossEncoder(place, backend="openvino", max_length=LONGEST, device="cpu")

    def answer(texts: list[str]) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        p = np.empty((len(texts), encoder.num_labels), np.float32)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            with torch.inference_mode():
                scores = encoder(encoder.preprocess([texts[i] for i in rows]))["scores"]
            p[rows] = softmax(scores.float().numpy())
        return p

    return answer


PEERS = {
    "pipeline, one by one": lambda model: pipeline(model, 1),
    "pipeline, 32": lambda model: pipeline(model, 32),
    SENTENCE_TRANSFORMERS: sentence_transformers,
    "torch f32, sorted": lambda model: torch_sorted(model, half=False),
    "torch bf16, sorted": lambda model: torch_sorted(model, half=True),
    "ONNX Runtime f32, sorted": lambda model: onnx_sorted(model, int8=False),
    "ONNX Runtime dynamic int8, sorted": lambda model: onnx_sorted(model, int8=True),
    "OpenVINO f32, free shapes": lambda model: openvino_free(model, "f32"),
    "OpenVINO int8, free shapes": lambda model: openvino_free(model, "int8"),
    "elsewise f32": "f32",
    "elsewise bf16": "bf16",
    "elsewise int8": "int8",
}


def opened(name: str, model: Path) -> tuple[Answer, Callable[[list[str]], tuple[np.ndarray, np.ndarray]]]:
    """Give what makes probabilities, and what makes probabilities and decisions."""
    if isinstance(PEERS[name], str):
        import elsewise as ew

        classifier = ew.load(model, engine="openvino", precision=PEERS[name])

        def decide(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
            evidence = classifier.evidence(texts)
            return evidence.probabilities, np.array(classifier.decisions(evidence).labels)

        return lambda texts: decide(texts)[0], decide
    answer = PEERS[name](model)
    described = json.loads((model / "elsewise.json").read_text())
    labels = np.array([*described["labels"], described["other"]])
    exact = described["engines"]["openvino-f32"]["rule"]
    threshold = float(exact["certificate"]["threshold"] if "certificate" in exact else exact["threshold"])

    def decide(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        p = answer(texts)
        return p, labels[np.where(p.max(axis=1) >= threshold, p.argmax(axis=1), -1)]

    return answer, decide


def work(name: str, model: Path, lengths: np.ndarray) -> float:
    """Count the GFLOP that a peer spends on real tokens: matrices and attention of the encoder."""
    config = json.loads((model / "config.json").read_text())
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens, matrices = lengths.astype(np.float64), 4 * width * width + 2 * width * inner
    layer = tokens * 2 * matrices + 4 * width * tokens**2
    # Our graph makes keys and values of all tokens in the last layer, and the rest of one.
    last = tokens * 2 * 2 * width * width + 2 * (matrices - 2 * width * width) + 4 * width * tokens
    ours = name.startswith(("elsewise", "OpenVINO"))
    return float(((layers - 1) * layer + (last if ours else layer)).sum() / 1e9)


def main(name: str, model: Path, texts: list[str]) -> None:
    say = sys.stdout
    sys.stdout = sys.stderr  # what libraries print
    try:
        answer, decide = opened(name, model)
        answer(texts[:1])
    except Exception as error:  # noqa: BLE001  said in the table
        print(json.dumps({"skipped": f"{type(error).__name__}: {error}".splitlines()[0]}), file=say, flush=True)
        return
    print(json.dumps({"ready": True}), file=say, flush=True)
    for line in sys.stdin:
        what, _, where = line.strip().partition(" ")
        said = {}
        if what == "warm":
            answer(texts[: max(64, len(texts) // 8)])
        elif what == "run":
            start = time.perf_counter()
            p, decided = decide(texts)
            said = {"seconds": time.perf_counter() - start}
        else:
            memory = peak_mb()
            alone = np.concatenate([answer([text]) for text in texts[:64]])
            np.savez(where, p=p, decided=decided, alone=alone)
            lengths = np.array([len(e.ids) for e in tokenizer_of(model).encode_batch_fast(texts)])
            said = {"tokens": int(lengths.sum()), "gflop": work(name, model, lengths), "memory": memory}
        print(json.dumps(said), file=say, flush=True)


SLOW = 5.0  # GFLOP/s of a small product, below which none of the large size is made


def products(n: int) -> dict[str, Callable[[], Any]]:
    """Give a matrix product of each kind, of n rows and columns."""
    import torch

    a, b = torch.randn(n, n), torch.randn(n, n)
    half = a.bfloat16(), b.bfloat16()
    whole = torch.randint(-100, 100, (2, n, n), dtype=torch.int8)
    return {"f32": lambda: a @ b, "bf16": lambda: half[0] @ half[1], "int8": lambda: torch._int_mm(*whole)}


def limits() -> dict[str, float]:
    """Measure matrix products, in GFLOP/s, at a size that suits them; a small one where the processor lacks a kind."""
    found = {}
    for n in (256, 2048):
        for kind, product in products(n).items():
            if n > 256 and found.get(kind, 0) < SLOW:  # an emulated product of that size takes minutes
                continue
            try:
                product()
            except RuntimeError:
                continue
            seconds = []
            for _ in range(12):
                start = time.perf_counter()
                product()
                seconds.append(time.perf_counter() - start)
            found[kind] = 2 * n**3 / min(seconds) / 1e9
    return found


def bert_base(folder: Path, like: Path) -> None:
    """Write a classifier of BERT-base's shape, with random weights: f32, bf16 and int8, no promise."""
    import torch
    import transformers

    import elsewise as ew
    from elsewise.classifier.kept_rows import refit_tokens
    from elsewise.classifier.model_folder import ModelFolder
    from elsewise.classifier.provenance import Provenance
    from elsewise.engines import PRECISIONS, engine_class, key_of
    from elsewise.engines.files import Opening
    from elsewise.engines.torch import TorchModel, text_tokenizer
    from elsewise.fitting.engine_choice import quantised
    from elsewise.training.encoder import Learner
    from elsewise.training.onnx_graph import with_graph

    saved = ModelFolder.read(like)
    labels = tuple(saved.description["labels"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(like)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=tokenizer.vocab_size, num_labels=len(labels))
    model = TorchModel.of(transformers.BertForSequenceClassification(config), "f32")
    learner = Learner(model, tokenizer, text_tokenizer(tokenizer, LONGEST))
    files = quantised(with_graph(learner.write(model, labels)), refit_tokens(saved.arrays, "train"))
    opener, others, made = engine_class("openvino"), {}, None
    for precision in (p for p in PRECISIONS if p in opener.precisions()):
        engine = opener.open(Opening(files, labels, {**learner.tokenize.settings, "precision": precision}))
        provenance = Provenance(others=dict(others))
        made = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.0), provenance=provenance)
        others[key_of(engine)] = made.entry()[0]
    made.save(folder)


if __name__ == "__main__":
    if sys.argv[1] == "limits":
        print(json.dumps(limits()))
    elif sys.argv[1] == "bert-base":
        bert_base(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "plain":
        write_plain(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))
