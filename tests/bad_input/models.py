import hashlib
import json
import os
import pickle
from pathlib import Path

from bad_input.case import Case, each, write
from bad_input.labels import FIT, ON_A_GRAPH, rows_of
from support.sealed_again import certify
from support.sealed_again import seal as sealed
from support.small_models import encoder_of

ROWS = write("text\nwhere is my order\n")
LABELLED = rows_of(["x", "y"] * 8)
CODE = "open('RAN', 'w')\nclass Config: pass\nclass Model: pass\n"
CANNOT = "model/elsewise.json holds what this version cannot read: "
NO_PART = "model/elsewise.json holds a part that this version cannot read: "
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 438000000\n"
DOUBLING = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
OWN_CODE = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
OF_THE_HUB = {name: f"somebody/else--{where}" for name, where in OWN_CODE.items()}


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self):
        return open, ("RAN", "w")


def changed(name, change):
    """Make the function that changes a JSON file."""

    def act():
        value = json.loads(Path(name).read_text(encoding="utf-8"))
        change(value)
        Path(name).write_text(json.dumps(value), encoding="utf-8")

    return act


def added(name, content=b"anything"):
    return lambda: Path("model", name).write_bytes(content)


def forged(given, change, said, name="elsewise.json", model="text"):
    """A case of a folder that was changed and sealed again."""
    return Case(given, each(ROWS, changed(f"model/{name}", change), sealed), said=said, model=model)


def broken(given, name, content, said, seal=sealed):
    """A case of a folder with another file in the place of one, and sealed again."""
    return Case(given, each(ROWS, added(name, content), seal), said=said, model="text")


def mounted():
    """Make all files links, as a volume of Kubernetes has them."""
    Path("model").rename("..2026")
    Path("model").mkdir()
    Path("..2026").rename("model/..2026")
    Path("model/..data").symlink_to("..2026")
    for file in Path("model/..2026").iterdir():
        Path("model", file.name).symlink_to(f"..data/{file.name}")


def made_large(name, size):
    """Make the function that makes a file seem large, and says so in the manifest."""

    def act():
        with Path("model", name).open("r+b") as file:
            file.truncate(size)
        manifest = json.loads(Path("model/manifest.json").read_text(encoding="utf-8"))
        manifest["files"][name]["size"] = size
        body = json.dumps([manifest["format"], manifest["files"]], sort_keys=True)
        manifest["sha256"] = hashlib.sha256(body.encode()).hexdigest()
        Path("model/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    return act


def graph(given, change, said):
    """A case of a folder with another graph, whose manifest and fingerprint were made to fit."""

    def act():
        import onnx

        model = onnx.load("model/model.onnx")
        change(model, onnx.helper.make_node)
        onnx.save(model, "model/model.onnx")

    said = f"model/model.onnx cannot be opened: {said}"
    return Case(given, each(ROWS, act, certify), said=said, model="text")


def steps(given, said, **parts):
    """A case of a folder with another tokenizer, whose manifest and fingerprint were made to fit."""
    act = changed("model/tokenizer.json", lambda tokenizer: tokenizer.update(parts))
    return Case(given, each(ROWS, act, certify), said=f"model/tokenizer.json cannot be read: {said}", model="text")


def config(given, said, **values):
    """A case of a folder for torch with another config.json, whose manifest and fingerprint were made to fit."""
    act = changed("model/config.json", lambda config: config.update(values))
    return Case(given, each(ROWS, act, certify), said=f"model cannot be opened: {said}", model="torch")


def flipped():
    data = bytearray(Path("model/model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    Path("model/model.safetensors").write_bytes(data)


def pointing_outside():
    import onnx

    graph = onnx.load("model/model.onnx")
    onnx.save(graph, "model/model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    certify()


def without_numbers():
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load("model/model.onnx")
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 2:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    onnx.save(graph, "model/model.onnx")
    sealed()


def default(described):
    return described["engines"][described["engine"]]


def put(value, *path):
    """Make the function that puts a value into the entry of the default engine."""

    def act(described):
        *inside, last = path
        place = default(described)
        for name in inside:
            place = place[name]
        place[last] = value

    return act


def temperature(value):
    return put({"kind": "temperature", "temperature": value}, "calibrator")


CASES = [
    Case("one flipped bit, in any file (200 of 200 are found)", each(ROWS, flipped), model="text",
         said="model/model.safetensors was changed since it was written; restore the folder from a copy"),
    Case("a missing file", each(ROWS, lambda: Path("model/tokenizer.json").unlink()), model="text",
         said="model/tokenizer.json is missing; restore the folder from a copy"),
    Case("a `.bin` beside it", each(ROWS, added("pytorch_model.bin", pickle.dumps(Bomb()))), model="text",
         said="model/pytorch_model.bin was not written by elsewise; remove it"),
    Case("a pickle beside it", each(ROWS, added("head.pkl", pickle.dumps(Bomb()))), model="text",
         said="model/head.pkl was not written by elsewise; remove it"),
    Case("Python code beside it", each(ROWS, added("evil.py", CODE.encode())), model="text",
         said="model/evil.py was not written by elsewise; remove it"),
    Case("a `config.json` that names code (`auto_map`)",
         each(ROWS, changed("model/config.json", lambda config: config.update(auto_map=OWN_CODE))), model="text",
         said="model/config.json was changed since it was written; restore the folder from a copy"),
    Case("the same with its code, sealed again",
         each(ROWS, changed("model/config.json", lambda config: config.update(auto_map=OWN_CODE)),
              added("evil.py", CODE.encode()), sealed), model="text",
         said="1 rows = 1 answered + 0 Other + 0 rejected", then="answered: neither is opened, and no code runs",
         holds=lambda: not Path("RAN").exists()),
    Case("the same on the engine torch",
         each(ROWS, changed("model/config.json", lambda config: config.update(auto_map=OWN_CODE)),
              added("evil.py", CODE.encode()), sealed), model="torch",
         said="model/elsewise.json: the certificate of torch-f32 belongs to other files or settings; fit it again"),
    config("a `config.json` that names a kernel of the hub, on the engine torch, certificate forged",
           "its config.json asks for code of the hub (somebody/kernel), which is never run",
           _attn_implementation="somebody/kernel"),
    config("a `config.json` that names other weights, certificate forged",
           "it has weights or settings in other files (transformers_weights), which is not allowed",
           transformers_weights="other.safetensors"),
    config("a `config.json` of a million layers, certificate forged",
           "its config.json says num_hidden_layers 1,000,000, which no model has", num_hidden_layers=10**6),
    Case("weights in a pickle instead, on the engine torch, sealed again",
         each(ROWS, lambda: Path("model/model.safetensors").unlink(),
              added("pytorch_model.bin", pickle.dumps(Bomb())), sealed), model="torch",
         said="model has no model.safetensors; make the model again: elsewise fit"),
    Case("a pickle beside it, sealed again", each(ROWS, added("head.pkl", pickle.dumps(Bomb())), sealed), model="text",
         said="1 rows = 1 answered + 0 Other + 0 rejected", then="answered: it is never opened",
         holds=lambda: not Path("RAN").exists()),
    Case("a link to a file outside",
         each(ROWS, lambda: Path("model/config.json").unlink(),
              lambda: Path("model/config.json").symlink_to("/etc/hostname")), model="text",
         said="model/config.json leads out of the model folder; put the file itself there"),
    Case("links within the folder", each(ROWS, mounted), model="text",
         said="1 rows = 1 answered + 0 Other + 0 rejected", then="answered: every file is checked",
         holds=lambda: Path("model/config.json").is_symlink()),
    Case("a pointer of Git LFS in the place of a file",
         each(ROWS, lambda: Path("model/model.onnx").write_text(POINTER, encoding="utf-8")), model="text",
         said="model/model.onnx is a Git LFS pointer, not the file itself; run: git lfs pull"),
    Case("pointers of Git LFS in the place of all files",
         each(ROWS, lambda: [file.write_text(POINTER, encoding="utf-8") for file in Path("model").glob("*.*")]),
         said="model/manifest.json is a Git LFS pointer, not the file itself; run: git lfs pull"),
    Case("an ONNX file that points to another file, certificate forged", each(ROWS, pointing_outside), model="text",
         said="model/model.onnx keeps data in other files (external data), which is not allowed; export it again"),
    Case("an ONNX file of nothing but NaN, sealed again", each(ROWS, without_numbers), model="text",
         said="model/elsewise.json: the certificate of openvino-f32 belongs to other files or settings; fit it again"),
    Case("an older folder", each(ROWS, write('{"format": 1}', "model/manifest.json")),
         said="model/manifest.json: format 1 is older than this version reads (2); fit it again"),
    Case("a newer folder", each(ROWS, write('{"format": 9}', "model/manifest.json")),
         said="model/manifest.json: format 9 is newer than this version reads (2); run: pip install -U elsewise"),
    Case("a manifest that is no JSON", each(ROWS, write("{", "model/manifest.json")),
         said="model/manifest.json cannot be read: Expecting property name enclosed in double quotes: "
              "line 1 column 2 (char 1)"),
    Case("a manifest of something else", each(ROWS, write('{"manifest_version": 3}', "model/manifest.json")),
         said="model/manifest.json is damaged; restore the folder from a copy"),
    broken("another tokenizer, sealed again", "tokenizer.json", b"{}",
           "model/elsewise.json: the certificate of openvino-f32 belongs to other files or settings; fit it again"),
    broken("a tokenizer that is none, certificate forged", "tokenizer.json", b"{}",
           "model/tokenizer.json cannot be read: Model missing. at line 1 column 2", certify),
    steps("a tokenizer that doubles its text thirty times, certificate forged",
          "its normalizer can make a text too long",
          normalizer={"type": "Sequence", "normalizers": [DOUBLING] * 30}),
    steps("a tokenizer of a thousand steps, certificate forged", "it has 1,003 steps, and at most 32 are run",
          normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1001}),
    broken("a graph that is none, certificate forged", "model.onnx", b"\0",
           "model/model.onnx cannot be opened: a field of a number that protobuf does not have",
           certify),
    graph("a graph with a loop, certificate forged",
          lambda model, node: model.graph.node.append(node("Loop", ["", ""], ["x"])),
          "the operation Loop is not one that is run"),
    graph("a graph with an operation of a library of its own, certificate forged",
          lambda model, node: model.graph.node.append(node("Odd", ["input_ids"], ["x"], domain="com.evil")),
          "the operation com.evil.Odd is not one that is run"),
    graph("a graph whose operation has no input, certificate forged",
          lambda model, node: model.graph.node.append(node("Pad", [], ["x"])), "Pad without its inputs"),
    graph("a graph of an opset that there is not, certificate forged",
          lambda model, _: setattr(model.opset_import[0], "version", 2**40), "an opset that there is not"),
    graph("a tensor that is larger than its data, certificate forged",
          lambda model, _: model.graph.initializer[0].dims.append(2**40),
          "a tensor that says it is larger than its data"),
    Case("a file that seems to have 100 GB", each(ROWS, made_large("model.safetensors", 100_000_000_000)), model="text",
         said="model/model.safetensors has 100,000,000,000 bytes, and at most 34,359,738,368 are read of such a file"),
    Case("JSON of 450 MB", each(ROWS, made_large("canary.json", 450_000_000)), model="text",
         said="model/canary.json has 450,000,000 bytes, and at most 67,108,864 are read of such a file"),
    Case("a manifest of 450 MB", each(ROWS, lambda: os.truncate("model/manifest.json", 450_000_000)), model="text",
         said="model/manifest.json is larger than 64 MB, the most that is read of JSON"),
    broken("arrays that are none, sealed again", "arrays.safetensors", b"{}",
           "model/arrays.safetensors cannot be read: Error while deserializing: header too small"),
    broken("a description that is none, sealed again", "elsewise.json", b"[]",
           "model/elsewise.json holds no JSON object"),
    Case("too few labels, certificate forged",
         each(ROWS, changed("model/elsewise.json", lambda described: described.update(labels=["a", "b"])), certify),
         said="model/model.onnx gives 30 logits, and there are 2 labels", model="text"),
    forged("a label twice, sealed again", lambda described: described["labels"].__setitem__(0, "label 1"),
           CANNOT + "labels must differ, got 'label 1' twice"),
    forged("labels that are numbers, sealed again", lambda described: described.update(labels=list(range(30))),
           CANNOT + "labels must be words"),
    forged("other labels, sealed again", lambda described: described["labels"].reverse(),
           "model/elsewise.json: the certificate of openvino-f32 belongs to other files or settings; fit it again"),
    forged("a temperature of 0, sealed again", temperature(0.0),
           NO_PART + "temperature must be positive and finite, got 0.0"),
    forged("a negative temperature, sealed again", temperature(-1.0),
           NO_PART + "temperature must be positive and finite, got -1.0"),
    forged("a threshold of NaN, sealed again", put(None, "rule", "certificate", "threshold"),
           NO_PART + "threshold must be a number, got nan"),
    forged("a kind of rule that there is not, sealed again", put({"kind": "os.system"}, "rule"),
           NO_PART + "'os.system'"),
    forged("a calibrator in the place of the rule, sealed again", put({"kind": "identity"}, "rule"),
           NO_PART + "identity has what belongs elsewhere"),
    forged("another kind of score, sealed again",
           put({"kind": "temperature", "temperature": 1.0}, "rule", "score"),
           NO_PART + "certified has 'score' of another type"),
    forged("settings that are none, sealed again", put(None, "settings"), CANNOT + "'settings' cannot be None"),
    forged("a blank word for Other, sealed again", lambda described: described.update(other=" "),
           CANNOT + "the word for an abstention must not be blank, got ' '"),
    forged("an engine that there is not, sealed again", put("os", "name"),
           "model was certified on openvino-f32: unknown engine 'os'; there are ensemble, given, laplace, logits, "
           "mc_dropout, memory, native, onnxruntime, openvino, sklearn, torch; re-fit it for this machine: "
           "elsewise export model --precision f32"),
    forged("canary answers that are none, sealed again",
           lambda canary: canary["probabilities"].update({"openvino-f32": "x"}),
           "model/canary.json: the model cannot answer its canary texts: could not convert string to float: 'x'",
           "canary.json"),
    forged("canary answers of another model, sealed again",
           lambda canary: canary["probabilities"]["openvino-f32"][0].reverse(),
           "model/canary.json: probabilities differ by {number} from when it was certified; certify it here: "
           "elsewise export model --engine openvino --precision f32", "canary.json"),
]  # fmt: skip


def encoder(given, change, said="", then="", files=None, gone=()):
    """A case of `fit` on an encoder with another config.json, more files, or fewer."""
    return Case(
        given,
        each(
            LABELLED,
            changed("encoder/config.json", change),
            *(write(content, f"encoder/{name}") for name, content in (files or {}).items()),
            *((lambda name=name: Path("encoder", name).unlink()) for name in gone),
        ),
        FIT,
        f"encoder encoder {said}" if said else "",
        then,
        lambda: not Path("RAN").exists(),
    )


def nothing(config):
    """Leave config.json as it is."""


def more_words():
    """Add words to the tokenizer alone."""
    from tokenizers import Tokenizer

    words = Tokenizer.from_file("encoder/tokenizer.json")
    words.add_tokens([f"<{number}>" for number in range(50)])
    words.save("encoder/tokenizer.json")


def no_attention():
    """Put an encoder there that mixes tokens by a Fourier transform."""
    encoder_of("encoder", "fnet", tpu_short_seq_length=64)


NEVER_RUN = "cannot be opened: it needs its own code, which is never run; take another encoder"
ENCODERS = [
    encoder("a `config.json` that names code, of a kind that is known",
            lambda config: config.update(auto_map=OWN_CODE), files={"evil.py": CODE},
            then="opened as the kind it says; its code is not run"),
    encoder("a `config.json` that names code, of another kind",
            lambda config: config.update(auto_map=OWN_CODE, model_type="evil"), NEVER_RUN, files={"evil.py": CODE}),
    encoder("a `config.json` that names code of the hub",
            lambda config: config.update(auto_map=OF_THE_HUB, model_type="evil"), NEVER_RUN),
    encoder("a `config.json` that names a kernel of the hub",
            lambda config: config.update(_attn_implementation="somebody/kernel"),
            "cannot be opened: its config.json asks for code of the hub (somebody/kernel), which is never run"),
    encoder("a `config.json` that names other weights",
            lambda config: config.update(transformers_weights="other.safetensors"),
            "cannot be opened: it has weights or settings in other files (transformers_weights), which is not allowed"),
    encoder("an adapter beside the weights", nothing,
            "cannot be opened: it has weights or settings in other files (adapter_config.json), which is not allowed",
            files={"adapter_config.json": '{"base_model_name_or_path": "elsewhere"}'}),
    Case("an adapter without its model",
         each(LABELLED, lambda: Path("encoder/model.safetensors").rename("encoder/adapter_model.safetensors"),
              write('{"base_model_name_or_path": "bert-base-uncased"}', "encoder/adapter_config.json")), FIT,
         "encoder is an adapter without its base model; save both as one: "
         "model.merge_and_unload().save_pretrained('encoder-merged')"),
    Case("a pointer of Git LFS in the place of the weights",
         each(LABELLED, write(POINTER, "encoder/model.safetensors")), FIT,
         "encoder/model.safetensors is a Git LFS pointer, not the file itself; run: git lfs pull"),
    Case("a tokenizer with more words than the encoder has embeddings", each(LABELLED, more_words), FIT,
         "encoder encoder has 64 embeddings, and its tokenizer has ids up to 69 ('<49>'); "
         "call model.resize_token_embeddings(70), train it on, and save it again"),
    Case("an architecture that no engine can run, before it is trained", each(LABELLED, no_attention), ON_A_GRAPH,
         "FNetForSequenceClassification cannot be written as ONNX (Exporting the operator 'aten::fft_fftn' to ONNX "
         "opset version 17 is not supported); take another encoder"),
    encoder("a `config.json` of a million layers", lambda config: config.update(num_hidden_layers=10**6),
            "cannot be opened: its config.json says num_hidden_layers 1,000,000, which no model has"),
    Case("weights that are a link out of the folder",
         each(LABELLED, lambda: Path("encoder/model.safetensors").rename("elsewhere"),
              lambda: Path("encoder/model.safetensors").symlink_to("../elsewhere")), FIT,
         "encoder/model.safetensors is a link that leads out of the encoder's folder; put the file itself there"),
    encoder("quantized weights", lambda config: config.update(quantization_config={"quant_method": "gptq", "bits": 4}),
            "cannot be opened: its weights are quantized; take the float32 model that it was made from"),
    encoder("weights in a pickle only", nothing,
            "cannot be opened: it has no model.safetensors; weights in other files may be pickles, "
            "and are never opened", files={"pytorch_model.bin": pickle.dumps(Bomb())}, gone=("model.safetensors",)),
    encoder("a pickle beside the weights", nothing, then="it is never opened",
            files={"pytorch_model.bin": pickle.dumps(Bomb()), "training_args.bin": pickle.dumps(Bomb())}),
    encoder("weights that are none", nothing,
            "cannot be opened: SafetensorError: Error while deserializing header: header too small",
            files={"model.safetensors": "{}"}),
    encoder("weights of other shapes", lambda config: config.update(hidden_size=64),
            "has weights of other shapes than its config.json says: {name}"),
    encoder("a tokenizer without a padding token", nothing,
            "has a tokenizer without a padding token; take another encoder",
            files={"tokenizer_config.json": '{"tokenizer_class": "TokenizersBackend"}'}),
    encoder("a `config.json` that says no kind", lambda config: config.pop("model_type"),
            "cannot be opened: Unrecognized model in encoder. Should have a `model_type` key in its config.json."),
    Case("a folder that is not there", LABELLED, FIT.replace("--encoder encoder", "--encoder ./nothing"),
         "no encoder at ./nothing; pass a folder with config.json, or a name such as "
         "sentence-transformers/all-MiniLM-L6-v2"),
]  # fmt: skip


OWN = "calibrate encoder data.csv -o new"
WRAP = "open it yourself: elsewise.fit(texts, labels, engine=elsewise.wrap((model, tokenizer)))"
HEAD = "train a head for labels: elsewise fit DATA --encoder encoder -o MODEL"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 438000000\n"


def mine(given, said, *steps, labels=("x", "y")):
    """A case of `calibrate` on a fine-tuned folder, changed by these steps."""
    return Case(given, each(rows_of(list(labels) * 8), *steps), OWN, said)


def set_to(name="config.json", **values):
    """Make the function that sets values in a JSON file of the folder."""
    return changed(f"encoder/{name}", lambda config: config.update(values))


def renamed(old, new):
    return lambda: Path("encoder", old).rename(f"encoder/{new}")


def tensors(change):
    """Make the function that changes the weights."""

    def act():
        from safetensors.numpy import load_file, save_file

        held = load_file("encoder/model.safetensors")
        change(held)
        save_file(held, "encoder/model.safetensors", metadata={"format": "pt"})

    return act


def without_head(held):
    for name in ("classifier.weight", "classifier.bias"):
        del held[name]


def of_two_labels(held):
    held |= {name: held[name][:2] for name in ("classifier.weight", "classifier.bias")}


def with_more(held):
    import numpy as np

    held["mine.weight"] = np.zeros(2, dtype=np.float32)


def in_a_checkpoint():
    Path("checkpoint-20").mkdir()
    for file in sorted(Path("encoder").iterdir()):
        file.rename(f"checkpoint-20/{file.name}")
    Path("checkpoint-20").rename("encoder/checkpoint-20")


def typed_tokens():
    text = Path("encoder/tokenizer.json").read_text(encoding="utf-8")
    second = '"id": "[SEP]",\n          "type_id": 1'
    changed_text = text.replace(second.replace("1", "0"), second)
    assert changed_text != text
    Path("encoder/tokenizer.json").write_text(changed_text, encoding="utf-8")


FINE_TUNED = [
    Case("a folder that is not there", LABELLED, "calibrate ./nothing data.csv -o new",
         "there is no folder ./nothing; name the one that save_pretrained() wrote"),
    mine("a folder without `config.json`", "encoder has no config.json; name what save_pretrained() wrote",
         lambda: Path("encoder/config.json").unlink()),
    mine("a Trainer's folder of checkpoints",
         "encoder has no config.json; take a checkpoint in it: encoder/checkpoint-20", in_a_checkpoint),
    mine("an adapter", "encoder is an adapter without its base model; save both as one: "
         "model.merge_and_unload().save_pretrained('encoder-merged')",
         renamed("model.safetensors", "adapter_model.safetensors"), renamed("config.json", "adapter_config.json")),
    mine("an adapter beside the weights", "encoder cannot be opened: it has weights or settings in other files "
         "(adapter_config.json), which is not allowed", write("{}", "encoder/adapter_config.json")),
    mine("a pointer of Git LFS instead of weights",
         "encoder/model.safetensors is a Git LFS pointer, not the file itself; run: git lfs pull",
         write(POINTER, "encoder/model.safetensors")),
    mine("weights in a pickle only", "encoder has its weights in a pickle (pytorch_model.bin), which is never opened; "
         "open it with transformers and call model.save_pretrained()",
         lambda: Path("encoder/model.safetensors").unlink(), write(pickle.dumps(Bomb()), "encoder/pytorch_model.bin")),
    mine("no weights", "encoder has no model.safetensors; open it with transformers and call model.save_pretrained()",
         lambda: Path("encoder/model.safetensors").unlink()),
    mine("a `config.json` that names code, of another kind",
         f"encoder cannot be opened: it needs its own code, which is never run; {WRAP}",
         set_to(auto_map=OWN_CODE, model_type="evil"), write(CODE, "encoder/evil.py")),
    mine("a model for several labels a text",
         "encoder was trained for texts with several labels (problem_type multi_label_classification); if one label is "
         "right for a text, wrap it: elsewise.wrap((model, tokenizer), kind='sigmoid')",
         set_to(problem_type="multi_label_classification")),
    mine("a regression", f"encoder gives one number for a text (regression), and no label; {HEAD}",
         set_to(problem_type="regression")),
    mine("a model with one output", f"encoder gives one number for a text (regression), and no label; {HEAD}",
         set_to(id2label={"0": "LABEL_0"})),
    mine("a model that labels tokens",
         f"encoder holds BertForTokenClassification, which gives no label for a text; {HEAD}",
         set_to(architectures=["BertForTokenClassification"])),
    mine("an encoder without a head", f"encoder holds BertModel, which gives no label for a text; {HEAD}",
         set_to(architectures=["BertModel"]), tensors(without_head)),
    mine("a head without weights", "encoder lacks trained weights (classifier.bias); train them: "
         "elsewise fit DATA --encoder encoder -o MODEL", tensors(without_head)),
    mine("weights that `transformers` does not open", "encoder has weights of something else (mine.weight), and "
         f"transformers opens it as BertForSequenceClassification; {WRAP}", tensors(with_more)),
    mine("a class that `transformers` does not know", "encoder has a model of its own class, "
         "MyOwnForSequenceClassification, and transformers opens it as BertForSequenceClassification; "
         f"{WRAP}", set_to(architectures=["MyOwnForSequenceClassification"])),
    mine("weights of other shapes", "encoder has weights of other shapes than its config.json says: {name}",
         set_to(intermediate_size=96)),
    mine("no tokenizer", "encoder has no tokenizer; save it there: tokenizer.save_pretrained('encoder')",
         lambda: Path("encoder/tokenizer.json").unlink()),
    mine("a tokenizer that cuts texts at their beginning",
         f"encoder: its tokenizer cuts long texts at their beginning (truncation_side); {WRAP}",
         set_to("tokenizer_config.json", truncation_side="left")),
    mine("a tokenizer that gives token types", f"encoder: its tokenizer gives token types (token_type_ids); {WRAP}",
         set_to("tokenizer_config.json", model_input_names=["input_ids", "token_type_ids", "attention_mask"]),
         typed_tokens),
    mine("codes of labels that do not begin at 0",
         "encoder/config.json: id2label numbers its labels 1, 2; the numbers must go from 0 to 1",
         tensors(of_two_labels),
         set_to(id2label={"1": "x", "2": "y"})),
    mine("a label twice", "encoder/config.json: labels must differ, got 'x' twice",
         set_to(id2label=dict.fromkeys(map(str, range(30)), "x"))),
    mine("words as labels, and a model whose labels nobody has named",
         "nobody has named the labels of the model (LABEL_0 to LABEL_29), and the rows have 'x', 'y'; say what they "
         "are called, in the order of its codes: --names"),
    mine("a label that the model does not have",
         "the rows have labels that the model does not have: 'Refund' (8 rows); it has 'refund', 'login'; "
         "mark those that belong to none by --out-of-scope-label, drop them, or rename them (--map Refund=refund)",
         tensors(of_two_labels),
         set_to(id2label={"0": "refund", "1": "login"}), labels=("Refund", "login")),
    mine("codes as labels, and a model that knows words",
         "the rows have labels that the model does not have: '0' (8 rows), '1' (8 rows); it has 'refund', 'login'; if "
         "they are its codes, pass whole numbers (--map 0=refund --map 1=login)",
         tensors(of_two_labels),
         set_to(id2label={"0": "refund", "1": "login"}), labels=("0", "1")),
    Case("options of logits", LABELLED, OWN + " --features features.npy",
         "--features is about logits, and encoder answers texts; leave it out"),
]  # fmt: skip
