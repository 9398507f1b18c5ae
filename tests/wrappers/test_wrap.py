"""An engine of any model: functions, files and arrays, and what is wrong with some of them."""

import pickle
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.external import ExternalEngine
from elsewise.errors import ArtifactError, ElsewiseWarning, InputError
from elsewise.fitting.export import export
from elsewise.wrappers import CODE, WRAPPERS, wrapper

LABELS = ["a", "b", "c"]
TEXTS = [f"text {'x' * (i % 7)} {i}" for i in range(70)]


def logits_of(texts):
    return np.array([[len(text), text.count("x") * 2.0, hash_of(text)] for text in texts]) / 5


def hash_of(text):
    return sum(map(ord, text)) % 17


def test_a_function_is_asked_in_batches_and_in_order():
    sizes = []

    def model(texts):
        sizes.append(len(texts))
        return logits_of(texts)

    engine = ew.wrap(model, labels=LABELS, kind="logits", batch_size=40)
    sizes.clear()
    outputs = engine.run(TEXTS)

    assert sizes == [40, 30]
    assert outputs.features is None
    assert np.array_equal(outputs.logits, logits_of(TEXTS))


def test_texts_with_nothing_to_see_never_reach_the_model():
    def model(texts):
        assert all(text.strip() for text in texts)
        return logits_of(texts)

    engine = ew.wrap(model, labels=LABELS, kind="logits")
    outputs = engine.run(["", "a text", " \t", "\ud83d"])

    assert np.isnan(outputs.logits).all(axis=1).tolist() == [True, False, True, True]
    assert engine.run([]).logits.shape == (0, 3)
    assert engine.run([""]).logits.shape == (1, 3)


def test_preprocess_makes_what_the_model_takes():
    engine = ew.wrap(lambda rows: rows * 2, labels=LABELS, kind="logits", preprocess=logits_of)

    assert np.array_equal(engine.run(TEXTS).logits, logits_of(TEXTS) * 2)


def test_a_wrapped_model_answers_in_a_classifier():
    engine = ew.wrap(logits_of, labels=LABELS, kind="logits")
    classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.5))

    decisions = classifier.decide(["xxxxxxx", ""])

    assert decisions.labels == ["b", "Other"]
    assert decisions.reasons.tolist() == ["answered", "unreadable"]


def test_a_classifier_around_a_wrapped_model_is_saved_without_it(tmp_path):
    engine = ew.wrap(logits_of, labels=LABELS, kind="logits")
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.5)).save(tmp_path / "model")

    again = ew.load(tmp_path / "model", engine=engine)

    assert again.decide(["xxxxxxx", ""]).labels == ["b", "Other"]
    with pytest.raises(ew.ElsewiseError, match=r"a model of yours \(logits_of\); pass it again with engine=$"):
        ew.load(tmp_path / "model")
    with pytest.raises(InputError, match=r"model was fitted around a model of yours: there is nothing to export"):
        export(tmp_path / "model", engine="openvino")
    with pytest.raises(
        ew.ElsewiseError, match=r"no certificate for torch \(it has given\); pass the model that this folder was"
    ):
        ew.load(tmp_path / "model", engine="torch")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            lambda texts: (np.zeros((len(texts), 3)), np.zeros((len(texts), 8))),
            r"a tuple of 2, of shapes \(31, 3\), \(3",
        ),
        (lambda texts: [np.zeros((len(texts), 3)), np.zeros((len(texts), 8))], r"a list of 2, of shapes .*output="),
        (lambda texts: {"scores": np.zeros((len(texts), 3)), "x": 1}, r"a dictionary of 'scores', 'x'; say which"),
        (lambda texts: np.full((len(texts), 3), np.nan), r"got NaN or infinity for all 31 texts"),
        (lambda texts: np.zeros((len(texts), 4)), r"one column a label, \(n, 3\), got \(31, 4\)"),
        (lambda texts: np.zeros((len(texts) + 1, 3)), r"one row a text, got \(32, 3\) for 31 texts"),
        (lambda texts: np.zeros(3), r"one row a text, got \(3,\) for 31 texts"),
        (lambda texts: 0.5, r"one row a text, got float for 31 texts"),
        (lambda texts: None, r"one row a text, got NoneType for 31 texts"),
        (lambda texts: [np.zeros((1, 3))] * len(texts), r"a list of 31, of shapes (\(1, 3\)(, )?){5} and 26 more; say"),
        (lambda texts: [["a", "b", "c"]] * len(texts), r"a model must give numbers, got <U1"),
        (lambda texts: [[1, 2, 3]] * (len(texts) - 1) + [[1]], r"rows must have equal lengths"),
        (lambda texts: ew.softmax(logits_of(texts)), r"stated as logits, and all 31 rows .* say kind='probabilities'"),
    ],
)
def test_a_model_that_gives_something_else_is_refused_at_once(model, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(model, labels=LABELS, kind="logits")


def test_a_model_that_fails_is_named_and_what_it_raised_stays_the_cause():
    def my_model(texts):
        raise ConnectionRefusedError(111, "the service\nis away")

    with pytest.raises(
        InputError, match=r"my_model failed on 31 texts, which are strings unless preprocess= .*: Conn.* the serv"
    ) as one:
        ew.wrap(my_model, labels=LABELS, kind="logits")

    assert "\n" not in str(one.value)
    assert isinstance(one.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize(
    ("model", "output"),
    [
        (lambda texts: (None, logits_of(texts)), 1),
        (lambda texts: [np.zeros((len(texts), 8)), logits_of(texts)], -1),
        (lambda texts: {"x": 0, "scores": logits_of(texts)}, "scores"),
        (lambda texts: {"x": 0, "logits": logits_of(texts)}, None),
        (lambda texts: (logits_of(texts),), None),
        (lambda texts: logits_of(texts).tolist(), None),
        (lambda texts: list(logits_of(texts)), None),
        (lambda texts: tuple(logits_of(texts)), None),
    ],
)
def test_the_output_that_holds_the_labels_is_named_or_the_only_one(model, output):
    engine = ew.wrap(model, labels=LABELS, kind="logits", output=output)

    assert np.array_equal(engine.run(TEXTS).logits, logits_of(TEXTS))


@pytest.mark.parametrize(("output", "words"), [("nothing", "returns no 'nothing', but 'x'"), (3, "returns no 3")])
def test_an_output_that_is_not_there_is_refused(output, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(lambda texts: {"x": logits_of(texts)}, labels=LABELS, kind="logits", output=output)


def test_an_output_of_one_array_is_refused():
    with pytest.raises(InputError, match=r"returns one ndarray; output=1 is for several"):
        ew.wrap(logits_of, labels=LABELS, kind="logits", output=1)


def test_some_nan_is_said_and_never_answered():
    def model(texts):
        z = logits_of(texts)
        z[[text == "bad" for text in texts]] = np.nan
        return z

    engine = ew.wrap(model, labels=LABELS, kind="logits")

    with pytest.warns(ElsewiseWarning, match=r"NaN or infinity for 1 of 2 texts: these are never answered"):
        logits = engine.run(["good", "bad"]).logits

    assert np.isnan(logits).all(axis=1).tolist() == [False, True]


def test_a_few_texts_that_are_all_nan_stop_nothing():
    """The last texts of a file may be two that the model cannot take; all of many are a model that does not work."""

    def model(texts):
        z = logits_of(texts)
        z[[text == "bad" for text in texts]] = np.nan
        return z

    engine = ew.wrap(model, labels=LABELS, kind="logits")

    with pytest.warns(ElsewiseWarning, match=r"NaN or infinity for 2 of 2 texts: these are never answered"):
        assert np.isnan(engine.run(["bad", "bad"]).logits).all()
    with pytest.raises(InputError, match=r"got NaN or infinity for all 31 texts"):
        engine.run(["bad"] * 31)


def test_a_model_that_answers_otherwise_the_second_time_is_said():
    rng = np.random.default_rng(0)

    words = r"different logits for the same text \(up to .*\), .* switch dropout off \(model\.eval"
    with pytest.warns(ElsewiseWarning, match=words):
        ew.wrap(lambda texts: rng.normal(size=(len(texts), 3)), labels=LABELS, kind="logits")


def test_a_model_whose_answers_depend_on_the_other_texts_is_said_unless_it_is_asked_one_by_one():
    """As a model does that reads the padding of shorter texts."""

    def model(texts):
        longest = max(map(len, texts))
        return [[len(text), longest / 100, 0.0] for text in texts]

    words = r"a text different logits among other texts than alone \(up to 3\), .* or wrap it with `batch_size=1`$"
    with pytest.warns(ElsewiseWarning, match=words):
        ew.wrap(model, labels=LABELS, kind="logits")

    engine = ew.wrap(model, labels=LABELS, kind="logits", batch_size=1)
    assert np.array_equal(engine.run(["x", "xxx"]).logits[:, 1], [0.01, 0.03])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "logits"}, r"does not say its labels; pass them in the order of its columns"),
        (
            {"labels": LABELS},
            r"say what the model gives, which numbers alone do not tell: kind= one of 'logits', 'prob",
        ),
        ({"labels": LABELS, "kind": "scores"}, r"kind must be one of logits"),
        ({"labels": ["a", "a", "b"], "kind": "logits"}, r"labels must differ, got 'a' twice"),
        ({"labels": ["a"], "kind": "logits"}, r"there must be at least 2 labels, got 1"),
        ({"labels": "abc", "kind": "logits"}, r"labels must be a list of names in the order of the columns, got a str"),
        ({"labels": {"a", "b", "c"}, "kind": "logits"}, r"in the order of the columns, got a set$"),
        ({"labels": {0: "a", 1: "b", 2: "c"}, "kind": "logits"}, r"in the order of the columns, got a dict$"),
        ({"labels": 3, "kind": "logits"}, r"in the order of the columns, got a int$"),
        ({"labels": LABELS, "kind": "logits", "batch_size": 0}, r"batch_size must be at least 1, got 0"),
    ],
)
def test_what_the_caller_must_say_is_asked_for(arguments, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(logits_of, **arguments)


def test_texts_must_be_texts():
    with pytest.raises(InputError, match=r"texts must be strings, got int in row 1"):
        ew.wrap(logits_of, labels=LABELS, kind="logits").run(["a", 1])


def test_ten_thousand_labels_and_two_work_alike():
    for k in (2, 10_000):
        engine = ew.wrap(lambda texts, k=k: np.tile(np.arange(k) / k, (len(texts), 1)), labels=range(k), kind="logits")
        assert engine.run(["x", "y"]).logits.shape == (2, k)


@pytest.mark.parametrize("suffix", CODE)
def test_files_whose_loading_may_run_code_are_not_opened(suffix, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "RAN"), "w")

    file = tmp_path / f"model{suffix}"
    file.write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(
        InputError, match=rf"model{suffix}: loading a {suffix} file can run code from it; load it yours"
    ):
        ew.wrap(str(file), labels=LABELS, kind="logits")
    assert not (tmp_path / "RAN").exists()


def test_a_folder_is_not_opened(tmp_path):
    with pytest.raises(InputError, match=r"is a folder; open it with elsewise.load"):
        ew.wrap(tmp_path, labels=LABELS)


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match=r"^cannot wrap object; pass a model, a function of texts, or an ONNX file$"):
        ew.wrap(object(), labels=LABELS, kind="logits")


def test_the_fingerprint_tells_labels_kind_and_name_apart():
    def wrapped(labels=tuple(LABELS), kind="logits", fingerprint=None):
        return ew.wrap(logits_of, labels=labels, kind=kind, fingerprint=fingerprint).fingerprint

    assert wrapped() == wrapped()
    assert len({wrapped(), wrapped(LABELS[::-1]), wrapped(fingerprint="1"), wrapped(fingerprint="2")}) == 4


def test_folders_of_earlier_versions_know_the_same_model():
    """They keep its name and a hash of labels, kind, name, digest and columns, under the name "given"."""
    engine = ew.wrap(logits_of, labels=LABELS, kind="logits", fingerprint="1")

    known = repr((("a", "b", "c"), "logits", "logits_of", "1", None)).encode()
    assert engine.name == "given"
    assert engine.settings == {"model": "logits_of", "fingerprint": sha256(known).hexdigest()[:16]}


def test_features_of_some_texts_alone_are_left_out():
    def model(texts):
        return ew.Outputs(logits_of(texts), np.ones((len(texts), 2)) if len(texts) > 1 else None)

    engine = ExternalEngine(tuple(LABELS), model, "logits", "model", batch_size=2)

    assert engine.run(["a", "b"]).features.shape == (2, 2)
    assert engine.run(["a", "b", "c"]).features is None


def test_a_text_that_cannot_be_read_has_no_features_either():
    engine = ExternalEngine(tuple(LABELS), lambda texts: ew.Outputs(logits_of(texts), logits_of(texts)), "logits", "m")

    assert np.isnan(engine.run(["a text", " "]).features).all(axis=1).tolist() == [False, True]
    assert engine.run([" "]).features.shape == (1, 3)


def test_every_wrapper_says_what_it_takes():
    assert [name for name in WRAPPERS if wrapper(name).takes(logits_of)] == ["function"]
    assert [name for name in WRAPPERS if wrapper(name).takes(np.zeros((2, 2)))] == ["arrays"]
    assert [name for name in WRAPPERS if wrapper(name).takes("graph.onnx")] == ["onnx", "arrays"]


def test_wrapping_a_function_loads_no_library():
    heavy = ("torch", "transformers", "openvino", "sklearn", "keras", "onnxruntime", "pandas", "pyarrow")
    program = (
        "import sys, elsewise as ew\n"
        "ew.wrap(lambda texts: [[1.0, 2.0]] * len(texts), labels=['a', 'b'], kind='logits').run(['x'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


# Arrays


def test_an_array_answers_the_texts_that_it_is_of_and_no_other():
    engine = ew.wrap(ew.softmax(logits_of(TEXTS)), texts=TEXTS, labels=LABELS, kind="probabilities")

    outputs = engine.run([TEXTS[5], "another", TEXTS[0]])

    assert np.abs(ew.softmax(outputs.logits[[0, 2]]) - ew.softmax(logits_of([TEXTS[5], TEXTS[0]]))).max() < 1e-12
    assert np.isnan(outputs.logits[1]).all()


def test_an_array_is_saved_without_code(tmp_path):
    engine = ew.wrap(logits_of(TEXTS), texts=TEXTS, labels=LABELS, kind="logits")
    made = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.5))

    made.save(tmp_path / "model")

    assert ew.load(tmp_path / "model").decide(TEXTS).labels == made.decide(TEXTS).labels


@pytest.mark.parametrize(
    ("texts", "more", "words"),
    [
        (None, {}, r"an array holds answers for texts: pass them too \(texts=\), or take ew.calibrate"),
        (TEXTS[:-1], {}, r"one row a text, got \(70, 3\) for 69 texts"),
        (
            ["same"] * 70,
            {},
            r"texts 0 and 1 \(counted from 0\) are the same, with different numbers; keep one of them: 'same'",
        ),
        (TEXTS, {"preprocess": str}, r"need no preprocess"),
        (TEXTS, {"kind": None}, r"say what the model gives"),
    ],
)
def test_an_array_that_does_not_fit_its_texts_is_refused(texts, more, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(logits_of(TEXTS), texts=texts, **{"labels": LABELS, "kind": "logits", **more})


def test_a_csv_brings_its_labels_and_follows_those_that_are_asked_for(tmp_path):
    rows = [",".join(map(repr, row)) for row in logits_of(TEXTS).tolist()]
    (tmp_path / "z.csv").write_text("\n".join(["a,b,c", *rows]) + "\n", encoding="utf-8")

    own = ew.wrap(tmp_path / "z.csv", texts=TEXTS, kind="logits")
    turned = ew.wrap(tmp_path / "z.csv", texts=TEXTS, kind="logits", labels=["c", "a", "b"])

    assert own.labels == ("a", "b", "c")
    assert np.array_equal(turned.run(TEXTS).logits, own.run(TEXTS).logits[:, [2, 0, 1]])


def test_a_npz_with_objects_is_refused_and_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "RAN"), "w")

    np.savez(tmp_path / "z.npz", logits=np.array([Bomb()], dtype=object))

    with pytest.raises(InputError, match=r"z.npz cannot be read as a .npz array of numbers; save it with numpy.savez"):
        ew.wrap(tmp_path / "z.npz", texts=TEXTS, labels=LABELS, kind="logits")
    assert not (tmp_path / "RAN").exists()


# ONNX


@pytest.fixture
def graph(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.diag([1.0, 2.0, 3.0]).astype(np.float32), "w")
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [weights],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "graph.onnx"))
    return tmp_path / "graph.onnx"


def floats(texts):
    return logits_of(texts).astype(np.float32)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_onnx_file_runs(graph, runtime, monkeypatch):
    pytest.importorskip(runtime)
    monkeypatch.setattr("elsewise.wrappers.onnx.find_spec", lambda name: name == runtime or None)

    engine = ew.wrap(graph, labels=LABELS, kind="logits", preprocess=floats)

    assert isinstance(engine, ExternalEngine)
    assert np.allclose(engine.run(TEXTS).logits, floats(TEXTS) * [1, 2, 3], rtol=1e-5)
    assert engine.digest


def test_an_onnx_file_with_other_inputs_says_its_own(graph):
    with pytest.raises(InputError, match=r"graph.onnx takes x; preprocess gave ids"):
        ew.wrap(graph, labels=LABELS, kind="logits", preprocess=lambda texts: {"ids": floats(texts)})


@pytest.mark.parametrize("output", [1, -2, "z"])
def test_an_onnx_output_that_is_not_there_is_refused(graph, output):
    with pytest.raises(InputError, match=r"the model returns no .*, but 'y'"):
        ew.wrap(graph, labels=LABELS, kind="logits", preprocess=floats, output=output)


@pytest.mark.parametrize("name", ["answers.npy", "somebody/a-model", "model.tflite"])
@pytest.mark.parametrize("texts", [None, ["x"]])
def test_a_name_that_is_no_file_is_not_looked_up(name, texts):
    with pytest.raises(
        InputError, match=rf"{name} is not a file, and models are not looked up by name; load the model"
    ):
        ew.wrap(name, labels=LABELS, kind="logits", texts=texts)


def test_an_onnx_file_that_points_to_other_files_is_refused(graph):
    import onnx

    model = onnx.load(str(graph))
    onnx.save(model, str(graph), save_as_external_data=True, location="w.bin", size_threshold=0)

    with pytest.raises(ArtifactError, match=r"keeps data in other files \(external data\), which is not allowed"):
        ew.wrap(graph, labels=LABELS, kind="logits", preprocess=floats)


def test_an_onnx_file_that_is_not_there_or_is_none_is_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"not at all")
    (tmp_path / "z.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

    with pytest.raises(InputError, match=r"z.onnx is a Git LFS pointer, not the file itself; run: git lfs pull$"):
        ew.wrap(tmp_path / "z.onnx", labels=LABELS, kind="logits")
    with pytest.raises(InputError, match=r"y.onnx does not exist"):
        ew.wrap(tmp_path / "y.onnx", labels=LABELS, kind="logits")
    with pytest.raises(ArtifactError, match=r"is no ONNX file"):
        ew.wrap(tmp_path / "x.onnx", labels=LABELS, kind="logits")
