"""Ask engines in processes that were forked after the engines had answered: ``python -m support.forking TIMES``.

Prints a JSON object: for each engine, the ends of its forked processes.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import pytest

import elsewise as ew
from contracts.test_every_engine import MADE, equal
from elsewise.errors import ElsewiseError
from support.small_models import LABELS, graph_of, model_of, tokenizer

SECONDS = 60
ENDS = {0: "the same answers", 3: "other answers", 4: "refused", 5: "another error"}


def wrapped_torch(_):
    return ew.wrap((model_of("bert"), tokenizer()), labels=LABELS), ["where is my order"] * 64, []


def wrapped_onnx_in_openvino(files):
    from elsewise.wrappers import onnx

    words = tokenizer()
    onnx.find_spec = lambda _: None
    path, names = files[0].path / "model.onnx", ("input_ids", "attention_mask")
    ids = lambda given: {k: v for k, v in words(given, padding=True, return_tensors="np").items() if k in names}  # noqa: E731
    return ew.wrap(path, labels=LABELS, preprocess=ids, kind="logits", output="logits"), ["where is my order"], []


def wrapped_boosting(_):
    """Its trees are asked on several threads."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, labels = np.random.default_rng(0).random((600, 4)), np.arange(600) % len(LABELS)
    model = HistGradientBoostingClassifier(max_iter=2).fit(features, np.array(LABELS)[labels])
    count = lambda texts: np.array([[len(text), text.count("e"), 0, 0] for text in texts], dtype=float)  # noqa: E731
    return ew.wrap(model, labels=LABELS, preprocess=count), ["where is my order", "invoice"] * 1000, []


WRAPPED = {
    "wrapped ONNX file in OpenVINO": wrapped_onnx_in_openvino,
    "wrapped transformers": wrapped_torch,
    "wrapped gradient boosting": wrapped_boosting,
}
NAMES = [*MADE, *WRAPPED]
ENDED_BY_PYTHON = ("openvino f32", "onnxruntime f32", "torch f32")  # one of each library: it takes seconds
FEW = {*ENDED_BY_PYTHON, *WRAPPED}  # where each is asked once


def ask(engine, texts, before):
    """In the forked process: the number of its end."""
    try:
        return 0 if alike(engine, engine.run(texts), before) else 3
    except ElsewiseError as error:
        return 4 if "fork first, then load in each process" in str(error) else 5


def alike(engine, outputs, before):
    """Bit for bit; of torch, which has one thread now, the last digits may differ, as docs/engines.md says."""
    if engine.name in ("torch", "mc_dropout", "given"):
        return np.allclose(outputs.logits, before.logits, rtol=0, atol=1e-5, equal_nan=True)
    return equal(outputs, before)


def end_of(child):
    """How a forked process ends within 60 seconds."""
    last = time.monotonic() + SECONDS
    while time.monotonic() < last:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return ENDS.get(os.waitstatus_to_exitcode(status), f"exit code {os.waitstatus_to_exitcode(status)}")
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"


def main(times):
    warnings.simplefilter("ignore")
    files, found = graph_of("bert"), {}
    for name, make in {**MADE, **WRAPPED}.items():
        if times == 1 and name not in FEW:
            continue
        try:
            engine, texts, _ = make(files)
        except pytest.skip.Exception:
            continue
        found[name] = []
        for turn in range(times):
            before = engine.run(texts)
            is_whole = turn == 0 and name in ENDED_BY_PYTHON
            time.sleep(is_whole)  # threads that have nothing to do begin to sleep
            child = os.fork()
            if not child:
                (sys.exit if is_whole else os._exit)(ask(engine, texts, before))
            found[name].append(end_of(child))
        assert equal(engine.run(texts), before), name
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
