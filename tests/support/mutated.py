"""Model folders with one random change each, sealed again, and what happens to who opens them.

    python tests/support/mutated.py FOLDERS WORK FIRST COUNT

opens COUNT changed folders, from number FIRST on, and prints two lines of JSON for each: what was changed, before it is
opened, and what came of it. A process that dies leaves the first line alone. Every second change is certified too.
"""

import json
import os
import random
import re
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path

CPU_SECONDS, MEMORY = 10, 8 << 30
TEXTS = ["where is my order", "please refund the invoice", "?"]
ODD = [
    None, True, False, 0, -1, 1, 2, 7, 2**31, 2**62, 2**64, -(2**63), 10**6, 10**30, 0.5, -0.5, 1e-300, 1e300,
    float("nan"), float("inf"), "", "x", "1", "inf", "nan", "../../etc/passwd", "/dev/zero", "\ud800", "a\nb",
    "x" * 5000, "<b>`|", [], [[]], {}, {"kind": "certified"}, {"array": "none"}, [0.5, 0.5], ["a", "b"], [None] * 3,
    list(range(50)), [[[[[[[[1]]]]]]]],
]  # fmt: skip
EVENTS = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pickle.find_class")


def nodes(value):
    """Every place in JSON: the list or object that holds it, and its index or key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from nodes(value[key])


def change_json(value, rng):
    """Change one place, and say how."""
    places = list(nodes(value))
    if not places:
        return "nothing"
    (holder, key), (other, there) = rng.choice(places), rng.choice(places)
    shallow = [place for place in places if place[0] is value]
    if shallow and rng.random() < 0.3:  # long lists would be hit all the time
        holder, key = rng.choice(shallow)
    how = rng.choice(["odd", "odd", "odd", "drop", "huge", "swap", "list", "again", "key"])
    old = holder[key]
    if how == "drop":
        del holder[key]
    elif how == "huge" and isinstance(old, int | float):
        holder[key] = old * rng.choice([-1, 10, 1000, 10**9, 10**18])
    elif how == "swap":
        holder[key] = json.loads(json.dumps(other[there]))
    elif how == "list":
        holder[key] = [old]
    elif how == "again" and isinstance(holder, list):
        holder.extend(holder[key : key + 1] * rng.choice([1, 3, 1000]))
    elif how == "key" and isinstance(holder, dict):
        holder[rng.choice(["kind", "array", "x", "auto_map", "transformers_weights", f"{key}_"])] = holder.pop(key)
    else:
        how, holder[key] = "odd", rng.choice(ODD)
    return f"{how} at {key!r}"


def change_bytes(data, rng, others):
    """Change a file whatever it holds."""
    how = rng.choice(["flip", "flip", "flip", "empty", "cut", "more", "twice", "zeros", "swap"])
    data = bytearray(data)
    if how == "flip":
        for _ in range(rng.choice([1, 3, 30])):
            if data:
                at = rng.randrange(min(len(data), rng.choice([64, 2048, len(data)])))
                data[at] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[rng.randrange(len(data) + 1) :]
    elif how == "more":
        data += rng.randbytes(50)
    elif how == "twice":
        data += bytes(data)
    elif how == "zeros":
        data[:] = bytes(len(data))
    elif how == "swap":
        data[:] = rng.choice(others).read_bytes()
    else:
        data.clear()
    return how, bytes(data)


def change_safetensors(data, rng):
    """Change the header, or put numbers that are none, or huge, into the arrays."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if rng.random() < 0.4:
        filled = rng.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\0\0\0\0", b"\xff\xff\xff\x7f"])
        first = rng.randrange(len(body) // 8 + 1) * 8
        return "numbers", data[: 8 + size] + body[:first] + (filled * (len(body) // 4 + 1))[: len(body) - first]
    how = change_json(header, rng)
    new = json.dumps(header).encode()
    return f"header: {how}", len(new).to_bytes(8, "little") + new + body


def change_onnx(data, rng):
    """Change a node, an attribute, a shape, or the opset."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    nodes, huge = model.graph.node, rng.choice([2**31, 2**40, 2**62, -1, 0, 10**5])
    node = rng.choice(nodes)
    how = rng.choice(["operation", "inputs", "no inputs", "ints", "shape", "opset", "constant", "drop", "again"])
    if how == "operation":
        node.op_type = rng.choice(
            ["Loop", "Pad", "Tile", "Expand", "Range", "Scan", "If", "Odd", rng.choice(nodes).op_type]
        )
    elif how == "inputs" and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(["", "input_ids", rng.choice(nodes).output[0], "none"])
    elif how == "no inputs":
        del node.input[:]
    elif how == "ints" and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i = huge
        attribute.ints[:] = [huge] * len(attribute.ints)
    elif how == "shape":
        tensor = rng.choice(model.graph.initializer)
        tensor.dims[:] = [huge] * len(tensor.dims) or [huge]
    elif how == "constant":
        constants = [one.attribute[0].t for one in nodes if one.op_type == "Constant" and one.attribute]
        tensor = rng.choice([one for one in constants if one.data_type == onnx.TensorProto.INT64])
        tensor.raw_data = (huge % 2**64).to_bytes(8, "little") * (len(tensor.raw_data) // 8)
    elif how == "drop":
        nodes.remove(node)
    elif how == "again":
        nodes.append(node)
    else:
        how, model.opset_import[0].version = "opset", huge
    return f"{how} of {node.op_type}", model.SerializeToString()


def change_xml(data, rng):
    """Put a huge or an odd value into one attribute."""
    found = list(re.finditer(rb'"[^"]*"', data))
    at = rng.choice(found)
    value = rng.choice(
        [b"4611686018427387904", b"-1", b"0", b"1000000", b"", b"Loop", b"Pad", rng.choice(found)[0][1:-1]]
    )
    return "value", data[: at.start() + 1] + value + data[at.end() - 1 :]


def change(file, rng, others):
    """Change one file, and say how."""
    data, how = file.read_bytes(), None
    own = {".safetensors": change_safetensors, ".onnx": change_onnx, ".xml": change_xml}.get(file.suffix)
    if own and rng.random() < 0.6:
        how, data = own(data, rng)
    elif file.suffix == ".json" and rng.random() < 0.8:
        value = json.loads(data)
        how = change_json(value, rng)
        data = json.dumps(value).encode()
    else:
        how, data = change_bytes(data, rng, others)
    file.unlink()  # it is a hard link
    file.write_bytes(data)
    return how


def mutated(folders, work, number):
    """Make folder `number`, and say what was changed."""
    from support.sealed_again import certify, seal

    rng = random.Random(number)
    kinds = sorted(path for path in folders.iterdir() if path.is_dir())
    source, place = kinds[number % len(kinds)], work / "model"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place, copy_function=os.link)
    files = sorted(path for path in place.rglob("*") if path.is_file())
    weights = [
        6 if path.name in ("elsewise.json", "canary.json") else 1 if path.name == "README.md" else 3 for path in files
    ]
    file = rng.choices(files, weights)[0]
    how = change(file, rng, files)
    certified = False
    if file.name != "manifest.json":
        certified = number // len(kinds) % 2 == 1
        try:
            (certify if certified else seal)(place)
        except BaseException:  # noqa: BLE001  what cannot be certified is only sealed
            certified = False
            seal(place)
    return {
        "number": number,
        "kind": source.name,
        "file": file.relative_to(place).as_posix(),
        "how": how,
        "certified": certified,
    }


def ask(place, *, whole=True):
    """Open and answer, and if `whole` save again and look at the threshold: what came of it, and the message."""
    import elsewise as ew
    from elsewise.errors import ElsewiseError
    from elsewise.fitting.threshold import open_threshold

    step = "load"
    try:
        opened = ew.load(place, threads=1)
        step = "decide"
        opened.decide([[0.5, 0.2, -1.0]] if opened.engine.name == "logits" else TEXTS)
        if whole:
            step = "save"
            opened.save(place.with_name("again"))
            step = "threshold"
            open_threshold(place, threads=1).overview()
    except ElsewiseError as error:
        words = str(error)
        rest = words.replace(str(place.with_name("again")), "").replace(str(place), "")
        fits = len(rest) <= 300 and "\n" not in rest and (str(place.parent) in words or step != "load")
        return ("refused" if fits else "badly worded"), step, words
    except BaseException as error:  # noqa: BLE001  this is what is looked for
        return "traceback", step, f"{type(error).__name__}: {error}"
    return "answered", step, ""


def main(folders, work, first, count):
    from elsewise.storage import sealed_folder

    sealed_folder.sync = lambda *_: None
    events = []
    warm(folders)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(lambda event, given: events.append(event) if watched(event, given, str(work)) else None)
    warnings.simplefilter("ignore")
    for number in range(first, first + count):
        say(mutated(folders, work, number))
        events.clear()
        began = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(began) + CPU_SECONDS + 1, resource.RLIM_INFINITY))
        outcome, step, words = ask(work / "model", whole=number % 5 == 0)
        spent = time.process_time() - began
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        say({"outcome": outcome, "step": step, "words": words[:2000], "seconds": spent, "events": list(events)})


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def watched(event, given, work):
    """Whether something is run or called that no model folder may run or call."""
    return event.startswith(EVENTS) or (event in ("exec", "import") and work in str(given))


def warm(folders):
    """Open each folder as it is: what libraries do when they are imported is not the folder's doing."""
    for folder in sorted(path for path in folders.iterdir() if path.is_dir()):
        outcome, step, words = ask(folder)
        assert outcome == "answered", (folder, step, words)
        shutil.rmtree(folder.with_name("again"), ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
