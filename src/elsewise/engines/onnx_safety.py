"""Check a graph before a library opens it: it reads no other file, and holds no more than an encoder needs."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from elsewise.errors import ArtifactError, reading

# What of an ONNX file may hold a tensor: message -> {field number: message}. From onnx.proto.
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_GRAPH, _OPSET, _TRAINING, _FUNCTIONS = 7, 8, 20, 25  # fields of a model
_DIMS, _EXTERNAL_DATA, _DATA_LOCATION = 1, 13, 14  # fields of a tensor
_DEEPEST: Final = 64

# What a graph of a model folder may hold: no control flow, no randomness, no functions, and inputs for every node.
MOST_NODES: Final = 100_000
MOST_FIELDS: Final = 3_000_000
NEWEST_OPSET: Final = 30
_FEWEST_INPUTS: Final = {
    operation: count
    for count, operations in {
        0: "Constant",
        1: "Abs,Acos,ArgMax,ArgMin,Asin,Atan,AveragePool,Cast,Ceil,Clip,Concat,ConstantOfShape,Cos,Dropout,Einsum,"
        "Elu,Erf,Exp,EyeLike,Flatten,Floor,Gelu,GlobalAveragePool,HardSigmoid,HardSwish,Identity,IsInf,IsNaN,"
        "LeakyRelu,Log,LogSoftmax,Max,MaxPool,Mean,Min,Mish,Neg,NonZero,Not,Reciprocal,ReduceL1,ReduceL2,"
        "ReduceLogSumExp,ReduceMax,ReduceMean,ReduceMin,ReduceProd,ReduceSum,ReduceSumSquare,Relu,Round,Selu,"
        "Shape,Sigmoid,Sign,Sin,Size,Softmax,Softplus,Softsign,Split,SplitToSequence,Sqrt,Squeeze,Sum,Tan,Tanh,"
        "Transpose,Trilu",
        2: "Add,And,Compress,Conv,CumSum,Div,Equal,Expand,Gather,GatherElements,GatherND,Gemm,Greater,GreaterOrEqual,"
        "LayerNormalization,Less,LessOrEqual,MatMul,Mod,Mul,Or,Pad,PRelu,Pow,Reshape,SequenceAt,Sub,Tile,TopK,"
        "Unsqueeze,Xor",
        3: "GroupNormalization,InstanceNormalization,OneHot,Range,ScatterElements,ScatterND,Slice,Where",
        5: "BatchNormalization",
    }.items()
    for operation in operations.split(",")
}


def check_onnx(file: Path) -> None:
    """Raise ArtifactError for a file that is no ONNX file, or that would make its reader open a different file.

    External data of tensors: https://onnx.ai/onnx/repo-docs/ExternalData.html; the wire format is protobuf's.
    """
    with _opened(file) as data:
        _check_outside(data, file, itertools.count())


def check_graph(file: Path) -> None:
    """Raise ArtifactError as `check_onnx`, and for what no encoder needs: for the graphs of model folders."""
    with _opened(file, "cannot be opened") as data:
        _check_outside(data, file, count := iter(range(MOST_FIELDS)))
        nodes = 0
        for number, value in _fields(data, 0, len(data), count):
            if number in (_TRAINING, _FUNCTIONS):
                raise ValueError("functions or training, which are not run")
            if number == _OPSET and not 1 <= dict(_fields(data, value[0], value[1], count)).get(2, 0) <= NEWEST_OPSET:
                raise ValueError("an opset that there is not")
            for inner, node in _fields(data, value[0], value[1], count) if number == _GRAPH else ():
                if inner == 1:
                    nodes += 1
                    _check_node(data, node, count)
        if nodes > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} nodes")


def check_ir(file: Path) -> None:
    """Raise ArtifactError for a graph of OpenVINO with control flow, or with more than a model needs."""
    from xml.parsers import expat  # noqa: PLC0415  entities are refused

    count = iter(range(MOST_FIELDS))

    def begin(name: str, _: Any) -> None:
        if name in ("body", "then_body", "else_body") or next(count, None) is None:
            raise ValueError(f"<{name}>, which no model has")

    def refuse(*_: Any) -> None:
        raise ValueError("a document type, which no model has")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = begin, refuse
    with reading(file), file.open("rb") as opened:
        parser.ParseFile(opened)


@contextmanager
def _opened(file: Path, wrong: str = "is no ONNX file that can be read") -> Iterator[Any]:
    import mmap  # noqa: PLC0415

    with (
        reading(file, wrong),
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def _check_node(data: Any, node: tuple[int, int], count: Iterator[int]) -> None:
    """Refuse a node whose operation no encoder needs, or with fewer inputs than it needs."""
    fields = list(_fields(data, *node, count))
    operation, domain = (b"".join(data[slice(*at)] for n, at in fields if n == wanted) for wanted in (4, 7))
    fewest = None if domain else _FEWEST_INPUTS.get(operation.decode())
    if fewest is None:
        name = ".".join(part.decode()[:50] for part in (domain, operation) if part)
        raise ValueError(f"the operation {name} is not one that is run")
    inputs = [at for n, at in fields if n == 1]
    if any(start == end for start, end in inputs[:fewest]) or len(inputs) < fewest:
        raise ValueError(f"{operation.decode()} without its inputs")


def _check_outside(data: Any, file: Path, count: Iterator[int]) -> None:
    if _points_outside(data, 0, len(data), "model", 0, count):
        raise ArtifactError(f"{file} keeps data in other files (external data), which is not allowed; export it again")


def _points_outside(data: Any, start: int, end: int, message: str, depth: int, count: Iterator[int]) -> bool:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    size = 1
    for number, value in _fields(data, start, end, count):
        if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
            return True
        if message == "tensor" and number == _DIMS:
            for dim in [value] if isinstance(value, int) else _packed(data, value[0], value[1], count):
                size = min(size * dim, 1 << 64)
        inner = _MESSAGES.get(message, {}).get(number)
        if inner and isinstance(value, tuple) and _points_outside(data, value[0], value[1], inner, depth + 1, count):
            return True
    if message == "tensor" and size > 8 * (end - start):  # no number takes less than a bit
        raise ValueError("a tensor that says it is larger than its data")
    return False


def _packed(data: Any, at: int, end: int, count: Iterator[int]) -> Iterator[int]:
    while at < end and next(count, None) is not None:
        value, at = _varint(data, at)
        yield value


def _fields(data: Any, at: int, end: int, count: Iterator[int]) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a protobuf message: the number, and the value or the range of its bytes."""
    while at < end:
        if next(count, None) is None:
            raise ValueError("more than a model has")
        key, at = _varint(data, at)
        if key >> 32 or not key >> 3:  # readers drop what is above 32 bits: they would see a different number
            raise ValueError("a field of a number that protobuf does not have")
        kind, value, size = key & 7, 0, 0
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:  # noqa: PLR2004  bytes, a string or a message
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("a field of a kind that protobuf does not have")
        if at + size > end:
            raise ValueError("it ends too early")
        if kind in (0, 2):
            yield key >> 3, (at, at + size) if kind else value
        at += size


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, at
        if shift > 63:  # noqa: PLR2004
            raise ValueError("a number of more than 64 bits")
