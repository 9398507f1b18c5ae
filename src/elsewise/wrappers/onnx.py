"""Wrap ONNX files: run by ONNX Runtime where it is installed, else by OpenVINO. All data must be in the one file."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elsewise.engines.external import ExternalEngine
from elsewise.engines.one_process import of_this_process
from elsewise.engines.onnx_safety import check_onnx
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.storage.sealed_folder import sha256_of
from elsewise.storage.stand_ins import refuse_pointer
from elsewise.wrappers.request import WrapRequest, pick

Arrays = Mapping[str, Any]  # by the names of inputs or outputs
Run = Callable[[Arrays], Arrays]


def takes(model: Any) -> bool:
    """Tell whether the object is the path of an ONNX file."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ".onnx"


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine; `preprocess` returns an array, or a mapping where the graph has several inputs.

    InputError if the file does not exist or cannot be run; ArtifactError if it points to other files, or is no ONNX
    file.
    """
    file = Path(model)
    if not file.is_file():
        raise InputError(f"{file} does not exist")
    refuse_pointer(file)
    check_onnx(file)
    labels, kind = request.named(), request.stated()
    names, run = _session(file) if find_spec("onnxruntime") else _compiled(file)

    def answer(texts: list[str]) -> Outputs:
        inputs = request.inputs(texts)
        given = inputs if isinstance(inputs, Mapping) else {names[0]: inputs}
        if set(given) != set(names):
            raise InputError(f"{file} takes {', '.join(names)}; preprocess gave {', '.join(map(str, given))}")
        made = run(given)
        at = request.output
        return Outputs(pick(made, list(made)[at] if isinstance(at, int) and -len(made) <= at < len(made) else at))

    return request.engine(answer, labels, kind, file.name, request.fingerprint or sha256_of(file))


def _session(file: Path) -> tuple[list[str], Run]:
    from elsewise.engines.onnxruntime import open_session  # noqa: PLC0415  ONNX Runtime

    session = open_session(file)
    outputs = [output.name for output in session.get_outputs()]
    names = [given.name for given in session.get_inputs()]
    return names, lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def _compiled(file: Path) -> tuple[list[str], Run]:
    from elsewise.engines.openvino import OPENVINO, compile_graph  # noqa: PLC0415  OpenVINO

    model = compile_graph(file, {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = [output.get_any_name() for output in model.outputs]

    def run(inputs: Arrays) -> Arrays:
        made = of_this_process(model, OPENVINO)(dict(inputs))
        return {name: made[at].copy() for at, name in enumerate(outputs)}

    return [given.get_any_name() for given in model.inputs], run
