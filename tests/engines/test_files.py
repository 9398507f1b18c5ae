"""The files of a model: taken, copied, hashed; and no ONNX file that has its reader open another one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.engines import onnx_safety
from elsewise.engines.files import ModelFiles, TemporaryPlace
from elsewise.engines.onnx_safety import check_graph, check_ir, check_onnx
from elsewise.errors import ArtifactError, InputError
from elsewise.storage.sealed_folder import sha256_of

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
CONTENTS = {"model.onnx": b"abc", "openvino/int8.bin": b"", "openvino/deep/er.xml": b"<net/>", "tokenizer.json": b"{}"}


def write(folder, contents):
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return ModelFiles.of(folder)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "from").mkdir()
    return write(tmp_path / "from", CONTENTS)


# ModelFiles


def test_every_file_below_a_folder_is_taken(files):
    assert list(files.digests) == sorted(CONTENTS)
    assert files.digests["model.onnx"] == sha256_of(files.path / "model.onnx") == SHA256_OF_ABC
    assert "openvino/int8.bin" in files
    assert "openvino" not in files
    assert "int8.bin" not in files


def test_an_empty_folder_has_no_files(tmp_path):
    files = ModelFiles.of(tmp_path)

    assert files.digests == {}
    assert files.fingerprint(of=None) == files.fingerprint(of=None)


def test_a_file_that_is_needed_is_found_or_missed_by_name(files):
    assert files.need("openvino/int8.bin").read_bytes() == b""
    with pytest.raises(ArtifactError, match=r"from has no model\.safetensors; make the model again: elsewise fit"):
        files.need("model.safetensors")


def test_a_copy_has_the_same_files_with_their_folders(files, tmp_path):
    (tmp_path / "to").mkdir()
    (files.path / "later.txt").write_bytes(b"not one of them")

    files.copy_to(tmp_path / "to")

    assert ModelFiles.of(tmp_path / "to").digests == files.digests
    assert (tmp_path / "to/openvino/deep/er.xml").read_bytes() == b"<net/>"


def test_what_else_is_in_the_folder_stays(files, tmp_path):
    write(tmp_path / "to", {"openvino/other.bin": b"1", "model.onnx": b"old"})

    files.copy_to(tmp_path / "to")

    assert ModelFiles.of(tmp_path / "to").digests == {
        **files.digests,
        "openvino/other.bin": sha256_of(tmp_path / "to/openvino/other.bin"),
    }


@pytest.mark.parametrize("lost", [".", "openvino", "tokenizer.json"])
def test_files_that_are_gone_cannot_be_copied(files, tmp_path, lost):
    (tmp_path / "to").mkdir()
    gone = files.path / lost
    gone.unlink() if gone.is_file() else shutil.rmtree(gone)

    with pytest.raises(InputError, match=r"is gone; fit the model again") as caught:
        files.copy_to(tmp_path / "to")

    assert str(files.path) in str(caught.value)


@pytest.mark.parametrize("changed", sorted(CONTENTS))
def test_a_fingerprint_changes_with_every_file_that_it_names(files, tmp_path, changed):
    other = write(tmp_path / "other", {**CONTENTS, changed: CONTENTS[changed] + b"1"})
    rest = [name for name in CONTENTS if name != changed]

    assert files.fingerprint(*CONTENTS, of=1) != other.fingerprint(*CONTENTS, of=1)
    assert files.fingerprint(*rest, of=1) == other.fingerprint(*rest, of=1)


def test_a_fingerprint_does_not_depend_on_the_place(files, tmp_path):
    (tmp_path / "to").mkdir()
    files.copy_to(tmp_path / "to")

    fingerprint = ModelFiles.of(tmp_path / "to").fingerprint("model.onnx", of={"precision": "f32"})

    assert fingerprint == files.fingerprint("model.onnx", of={"precision": "f32"})
    assert len(fingerprint) == 16
    assert set(fingerprint) <= set("0123456789abcdef")


def test_a_fingerprint_changes_with_names_and_settings(files):
    names = ("model.onnx", "tokenizer.json")
    all_of_them = [
        files.fingerprint(*names, of=("torch", [("precision", "f32")], ("a", "b"))),
        files.fingerprint(*names, of=("torch", [("precision", "bf16")], ("a", "b"))),
        files.fingerprint(*names, of=("openvino", [("precision", "f32")], ("a", "b"))),
        files.fingerprint(*names, of=("torch", [("precision", "f32")], ("b", "a"))),
        files.fingerprint(*names, of=("torch", [("precision", "f32")], ("a, b",))),
        files.fingerprint(*names[:1], of=("torch", [("precision", "f32")], ("a", "b"))),
        files.fingerprint(*names[::-1], of=("torch", [("precision", "f32")], ("a", "b"))),
    ]

    assert len(set(all_of_them)) == len(all_of_them)


# TemporaryPlace


def test_a_temporary_folder_lives_as_long_as_somebody_holds_it():
    place = TemporaryPlace()
    path = place.path
    write(path, CONTENTS)
    files = ModelFiles.of(path, place)

    del place
    assert files.need("openvino/deep/er.xml").is_file()

    del files
    assert not path.exists()


def test_a_temporary_folder_that_is_gone_already_is_no_trouble():
    place = TemporaryPlace()

    place.path.rmdir()

    del place


def test_temporary_folders_are_private_and_not_shared():
    one, other = TemporaryPlace(), TemporaryPlace()

    assert one.path != other.path
    assert one.path.stat().st_mode & 0o077 == 0


# check_onnx

FLOATS = [0.5, 1.0, 2.0, 3.0]
OUTSIDE = "keeps data in other files"


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx")


@pytest.fixture
def saved(tmp_path):
    def save(model):
        file = tmp_path / "model.onnx"
        file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return file

    return save


def inside(onnx, name="w"):
    return onnx.numpy_helper.from_array(np.array(FLOATS, dtype=np.float32), name)


def outside(onnx, *, location=True, data=True):
    tensor = onnx.TensorProto(name="w", dims=[4], data_type=onnx.TensorProto.FLOAT)
    if data:
        tensor.external_data.add(key="location", value="other.bin")
    if location:
        tensor.data_location = onnx.TensorProto.EXTERNAL
    return tensor


def sparse(onnx, values, indices=None):
    found = indices or onnx.numpy_helper.from_array(np.arange(4), "at")
    return onnx.SparseTensorProto(values=values, indices=found, dims=[9])


def graph_of(onnx, *nodes, tensors=(), sparse_tensors=(), name="graph"):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    y = helper.make_tensor_value_info("y", kind, [4])
    x = helper.make_tensor_value_info("x", kind, [4])
    return helper.make_graph(nodes, name, [x], [y], tensors, sparse_initializer=sparse_tensors)


def model_of(onnx, *nodes, functions=(), **more):
    return onnx.helper.make_model(
        graph_of(onnx, *nodes, **more), functions=functions, opset_imports=[onnx.helper.make_opsetid("", 17)]
    )


def add(onnx):
    return onnx.helper.make_node("Add", ["x", "w"], ["y"])


def constant(onnx, tensor):
    return onnx.helper.make_node("Constant", [], ["w"], value=tensor)


def odd_node(onnx, **field):
    node = onnx.NodeProto(op_type="Odd", output=["w"])
    node.attribute.append(onnx.AttributeProto(name="it", **field))
    return node


def function_of(onnx, *nodes, attributes=()):
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_function("ours", "F", ["x"], ["y"], nodes, opset, [], attributes)


def branch(onnx, tensor, depth=1):
    """An If in an If in an If..., at whose bottom a tensor lies."""
    node = constant(onnx, tensor)
    for _ in range(depth):
        graph = onnx.helper.make_graph([node], "then", [], [])
        node = onnx.helper.make_node("If", ["x"], ["w"], then_branch=graph, else_branch=graph)
    return node


PLACES = {
    "initializer": lambda onnx, t: model_of(onnx, add(onnx), tensors=[inside(onnx, "v"), t]),
    "constant": lambda onnx, t: model_of(onnx, constant(onnx, t), add(onnx)),
    "list of tensors": lambda onnx, t: model_of(onnx, odd_node(onnx, tensors=[inside(onnx), t])),
    "branch": lambda onnx, t: model_of(onnx, branch(onnx, t), add(onnx)),
    "branch of a branch": lambda onnx, t: model_of(onnx, branch(onnx, t, 5)),
    "initializer of a branch": lambda onnx, t: model_of(onnx, odd_node(onnx, g=graph_of(onnx, tensors=[t]))),
    "list of graphs": lambda onnx, t: model_of(
        onnx, odd_node(onnx, graphs=[graph_of(onnx), graph_of(onnx, tensors=[t])])
    ),
    "sparse values": lambda onnx, t: model_of(onnx, add(onnx), sparse_tensors=[sparse(onnx, t)]),
    "sparse indices": lambda onnx, t: model_of(onnx, add(onnx), sparse_tensors=[sparse(onnx, inside(onnx), t)]),
    "sparse constant": lambda onnx, t: model_of(onnx, odd_node(onnx, sparse_tensor=sparse(onnx, t))),
    "list of sparse": lambda onnx, t: model_of(onnx, odd_node(onnx, sparse_tensors=[sparse(onnx, t)])),
    "function": lambda onnx, t: model_of(onnx, functions=[function_of(onnx, constant(onnx, t))]),
    "branch of a function": lambda onnx, t: model_of(onnx, functions=[function_of(onnx, branch(onnx, t))]),
    "default of a function": lambda onnx, t: model_of(
        onnx, functions=[function_of(onnx, attributes=[onnx.AttributeProto(name="it", t=t)])]
    ),
    "training": lambda onnx, t: onnx.ModelProto(
        training_info=[onnx.TrainingInfoProto(initialization=graph_of(onnx, tensors=[t]))]
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_data_in_the_file_itself_is_accepted(onnx, saved, place):
    check_onnx(saved(PLACES[place](onnx, inside(onnx))))


@pytest.mark.parametrize(
    "how", [{}, {"data": False}, {"location": False}], ids=["both", "location alone", "data alone"]
)
@pytest.mark.parametrize("place", PLACES)
def test_data_in_another_file_is_refused_wherever_it_is_said(onnx, saved, place, how):
    file = saved(PLACES[place](onnx, outside(onnx, **how)))

    with pytest.raises(ArtifactError, match=rf"model\.onnx {OUTSIDE} \(external data\), which is not allowed"):
        check_onnx(file)


@pytest.mark.parametrize("is_attribute", [True, False])
def test_what_onnx_saves_with_external_data_is_refused_and_without_accepted(onnx, tmp_path, is_attribute):
    kind = "constant" if is_attribute else "initializer"
    more = {"save_as_external_data": True, "size_threshold": 0, "convert_attribute": is_attribute}
    onnx.save_model(PLACES[kind](onnx, inside(onnx)), tmp_path / "whole.onnx")
    onnx.save_model(PLACES[kind](onnx, inside(onnx)), str(tmp_path / "parted.onnx"), location="w.bin", **more)

    check_onnx(tmp_path / "whole.onnx")
    assert (tmp_path / "w.bin").stat().st_size >= 16
    with pytest.raises(ArtifactError, match=rf"parted\.onnx {OUTSIDE}"):
        check_onnx(tmp_path / "parted.onnx")


def test_weights_are_not_taken_for_fields(onnx, saved):
    """Data that reads as a tensor with external data, in every field that holds bytes."""
    likely = outside(onnx).SerializeToString()
    tensor = onnx.TensorProto(name="w", dims=[len(likely)], data_type=onnx.TensorProto.UINT8, raw_data=likely)
    strings = onnx.TensorProto(name="s", dims=[1], data_type=onnx.TensorProto.STRING, string_data=[likely])
    model = model_of(onnx, odd_node(onnx, s=likely, strings=[likely]), tensors=[tensor, strings])

    check_onnx(saved(model))


def test_megabytes_of_weights_are_accepted(onnx, saved):
    weights = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)

    check_onnx(saved(model_of(onnx, add(onnx), tensors=[onnx.numpy_helper.from_array(weights, "w")])))


def test_every_path_to_a_tensor_that_onnx_knows_is_looked_at(onnx):
    """The table is that of onnx's own description of its messages."""
    names = {f"{name.capitalize()}Proto": name for name in onnx_safety._MESSAGES} | {
        "TensorProto": "tensor",
        "SparseTensorProto": "sparse",
        "TrainingInfoProto": "training",
    }
    described = dict(onnx.ModelProto.DESCRIPTOR.file.message_types_by_name)
    leads = {"TensorProto"}
    for _ in described:
        leads |= {
            name
            for name, kind in described.items()
            if any(f.message_type in map(described.get, leads) for f in kind.fields if f.message_type)
        }

    table = {
        names.get(name, name): {
            f.number: names.get(f.message_type.name, f.message_type.name)
            for f in described[name].fields
            if f.message_type and f.message_type.name in leads
        }
        for name in leads - {"TensorProto"}
    }

    assert table == onnx_safety._MESSAGES
    tensor = described["TensorProto"].fields_by_name
    assert tensor["external_data"].number == onnx_safety._EXTERNAL_DATA
    assert tensor["data_location"].number == onnx_safety._DATA_LOCATION


def varint(value):
    return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])


def field(number, body, above=0):
    """A field of bytes as protobuf writes it; `above` goes to the bits of its key that are above 32."""
    return varint(number << 3 | 2 | above << 32) + varint(len(body)) + body


@pytest.mark.parametrize("above", [1, 2, 7])
@pytest.mark.parametrize("hidden", ["external data", "tensor", "graph"])
def test_a_key_of_more_than_32_bits_hides_nothing(onnx, saved, hidden, above):
    """Onnxruntime and OpenVINO drop the bits above 32, and read on."""
    bits = {name: above if name == hidden else 0 for name in ("external data", "tensor", "graph")}
    entry = onnx.StringStringEntryProto(key="location", value="other.bin").SerializeToString()
    tensor = field(13, entry, bits["external data"])
    graph = field(5, tensor, bits["tensor"])

    with pytest.raises(ArtifactError, match=r"a field of a number that protobuf does not have"):
        check_onnx(saved(field(7, graph, bits["graph"])))


def test_long_keys_and_lengths_hide_nothing(saved):
    """A varint may be longer than it need be."""
    entry = b"\xea\x80\x80\x80\x00" + b"\x80\x80\x80\x00"

    with pytest.raises(ArtifactError, match=OUTSIDE):
        check_onnx(saved(field(7, field(5, entry))))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an ONNX file",
        b'{"model": 1}',
        b"PK\x03\x04 an archive",
        b"<?xml version='1.0'?>",
        b"\x00" * 100,
        b"\xff" * 100,
        b"\x08",
        b"\x3a",
        b"\x3a\x05abc",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x09\x00",
        b"\x08" + b"\x80" * 11,
        b"\x3a\x02\x2a\x05abcde",
    ],
)
def test_what_is_no_onnx_file_is_refused_by_name(saved, content):
    with pytest.raises(ArtifactError, match=r"model\.onnx is no ONNX file that can be read: "):
        check_onnx(saved(content))


def test_a_number_that_runs_over_the_end_of_its_message_is_refused(saved):
    """The graph is 08 80, and its number ends with the next byte, which belongs to the message around it."""
    with pytest.raises(ArtifactError, match=r"it ends too early"):
        check_onnx(saved(field(7, b"\x08\x80") + b"\x08\x01"))


@pytest.mark.parametrize("depth", [40, 1000])
def test_graphs_that_lie_too_deep_are_refused(saved, depth):
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))

    with pytest.raises(ArtifactError, match=r"nested too deeply"):
        check_onnx(saved(field(7, graph)))


def looks_outside(message):
    """Whether any tensor, in a message that protobuf itself has read, has its data elsewhere."""
    if message.DESCRIPTOR.name == "TensorProto" and (message.external_data or message.data_location):
        return True
    for described, value in message.ListFields():
        if described.message_type:
            several = [value] if hasattr(value, "ListFields") else value
            if any(map(looks_outside, several)):
                return True
    return False


def accepted(file):
    try:
        check_onnx(file)
    except ArtifactError as error:
        said = str(error)
    else:
        return True
    assert str(file) in said
    return False


def agrees(onnx, content, file):
    """What is accepted, protobuf reads and finds nothing outside, or it does not read it at all."""
    file.write_bytes(content)
    if not accepted(file):
        return False
    message = pytest.importorskip("google.protobuf.message")
    try:
        read = onnx.ModelProto.FromString(content)
    except message.DecodeError:
        return True
    assert not looks_outside(read)
    return True


def test_a_file_cut_anywhere_is_refused_but_between_its_parts(onnx, tmp_path):
    whole = PLACES["branch"](onnx, inside(onnx)).SerializeToString()

    good = [n for n in range(1, len(whole)) if agrees(onnx, whole[:n], tmp_path / "model.onnx")]

    assert len(good) <= 4
    assert all(onnx.ModelProto.FromString(whole[:n]) for n in good)


@pytest.mark.parametrize("place", ["initializer", "branch of a branch", "sparse values", "branch of a function"])
@pytest.mark.parametrize("tensor", [inside, outside])
def test_flipped_bytes_raise_no_other_error_and_hide_nothing(onnx, tmp_path, place, tensor):
    whole = PLACES[place](onnx, tensor(onnx)).SerializeToString()
    rng = np.random.default_rng(len(whole))
    good = 0
    for _ in range(150):
        content = np.frombuffer(whole, dtype=np.uint8).copy()
        at = rng.integers(0, len(content), size=rng.integers(1, 4))
        content[at] = rng.choice(
            [0, 1, 13 << 3 & 255, 0x6A, 0x7F, 0x80, 0xFF, *rng.integers(0, 256, size=7)], size=len(at)
        )
        good += agrees(onnx, content.tobytes(), tmp_path / "model.onnx")

    assert good or tensor is outside


@settings(derandomize=True, max_examples=200, deadline=None, database=None)
@given(
    st.recursive(
        st.binary(max_size=12),
        lambda inner: st.lists(
            st.tuples(st.sampled_from([1, 2, 5, 6, 7, 10, 11, 13, 14, 15, 20, 22, 23, 25]), inner), max_size=4
        ).map(lambda parts: b"".join(field(number, body) for number, body in parts)),
        max_leaves=12,
    )
)
def test_any_fields_in_any_order_raise_no_other_error_and_hide_nothing(tmp_path_factory, content):
    onnx = pytest.importorskip("onnx")

    agrees(onnx, content, Path(tmp_path_factory.getbasetemp()) / "any.onnx")


# check_graph and check_ir


def test_the_least_inputs_of_every_operation_are_those_of_onnx(onnx):
    table = onnx_safety._FEWEST_INPUTS

    assert {name: onnx.defs.get_schema(name, 24).min_input for name in table} == table
    assert not {"Loop", "Scan", "If", "SequenceMap", "RandomNormal", "Bernoulli"} & set(table)


def with_opset(onnx, version):
    return onnx.helper.make_model(graph_of(onnx, add(onnx)), opset_imports=[onnx.helper.make_opsetid("", version)])


def test_a_graph_of_tensor_operations_is_opened(onnx, saved):
    check_graph(saved(model_of(onnx, constant(onnx, inside(onnx)), add(onnx))))
    check_graph(saved(with_opset(onnx, 30)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda onnx: PLACES["branch"](onnx, inside(onnx)), r"the operation If is not one that is run"),
        (lambda onnx: model_of(onnx, onnx.helper.make_node("Loop", ["", ""], ["w"])), "the operation Loop is not"),
        (lambda onnx: model_of(onnx, onnx.helper.make_node("Add", ["x", "x"], ["w"], domain="evil")), "evil.Add"),
        (lambda onnx: model_of(onnx, onnx.helper.make_node("Pad", [], ["w"])), "Pad without its inputs"),
        (lambda onnx: model_of(onnx, onnx.helper.make_node("Add", ["x", ""], ["w"])), "Add without its inputs"),
        (lambda onnx: PLACES["function"](onnx, inside(onnx)), "functions or training"),
        (lambda onnx: PLACES["training"](onnx, inside(onnx)), "functions or training"),
        (lambda onnx: with_opset(onnx, 2**40), "an opset that there is not"),
        (lambda onnx: with_opset(onnx, 31), "an opset that there is not"),
        (lambda onnx: with_opset(onnx, -1), "an opset that there is not"),
        (
            lambda onnx: model_of(onnx, tensors=[onnx.TensorProto(name="w", dims=[2**40], data_type=1)]),
            "a tensor that says it is larger than its data",
        ),
    ],
)
def test_what_no_encoder_needs_is_refused(onnx, saved, make, said):
    with pytest.raises(ArtifactError, match=rf"model\.onnx cannot be opened: .*{said}"):
        check_graph(saved(make(onnx)))


@pytest.mark.parametrize(("limit", "said"), [("MOST_NODES", "more than 3 nodes"), ("MOST_FIELDS", "more than a model")])
def test_a_graph_without_end_is_refused(onnx, saved, monkeypatch, limit, said):
    file = saved(model_of(onnx, *[add(onnx)] * 4))
    check_graph(file)
    monkeypatch.setattr(onnx_safety, limit, 3)

    with pytest.raises(ArtifactError, match=said):
        check_graph(file)


LAYER = b"<layer id='0' name='x' type='Parameter'/>"


def test_an_ir_of_layers_is_opened(tmp_path):
    (tmp_path / "int8.xml").write_bytes(b"<net><layers>" + LAYER * 100 + b"</layers></net>")

    check_ir(tmp_path / "int8.xml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<net><layer type='Loop'><body/></layer></net>", "<body>, which no model has"),
        (b"<net><layer type='If'><else_body/></layer></net>", "<else_body>, which no model has"),
        (b"<!DOCTYPE net [<!ENTITY a 'aa'>]><net>&a;</net>", "a document type, which no model has"),
        (b"<net>", "no element found"),
        (b"", "no element found"),
    ],
)
def test_an_ir_with_control_flow_or_entities_is_refused(tmp_path, content, said):
    (tmp_path / "int8.xml").write_bytes(content)

    with pytest.raises(ArtifactError, match=rf"int8\.xml cannot be read: {said}"):
        check_ir(tmp_path / "int8.xml")
