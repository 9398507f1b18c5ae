"""OpenVINO: float32, bfloat16 or int8, of architectures that the native engine does not compute too; needs no torch."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from elsewise.engines.batching import TOKEN_BUDGET, Batch, Result
from elsewise.engines.files import INT8, INT8_WEIGHTS, ONNX, TOKENIZER, ModelFiles, Opening
from elsewise.engines.machine import cores
from elsewise.engines.one_process import of_this_process, opened
from elsewise.engines.onnx_safety import check_graph, check_ir
from elsewise.engines.short_batches import ShortBatches
from elsewise.engines.text import TextEngine, check_precision, text_fingerprint
from elsewise.engines.tokenizer import TextTokenizer
from elsewise.errors import ArtifactError, need
from elsewise.storage.json_files import Json

# Before the import, which would start a thread that calls home; None makes it fall back to a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
openvino = need("openvino", extra="openvino")

OPENVINO: Final = "OpenVINO"
COMPILE_CACHE: Final = "ELSEWISE_COMPILE_CACHE"  # environment: a folder for compiled models, for a faster start


@dataclass(frozen=True, slots=True, eq=False)
class OpenVinoModel:
    """A compiled graph: model.onnx in f32 or bf16, or its int8 form.

    Attributes
    ----------
    precision, compiled : {"f32", "bf16", "int8"}, openvino.CompiledModel
        The graph, and the precision of its matrix products.
    streams : int
        Batches that run side by side, each on its own thread.
    short : ShortBatches
        What is known of batches with fewer rows.
    idle : deque
        Places for a batch on its way, to be used again: a new one takes longer than a short text.
    """

    precision: str
    compiled: Any
    streams: int
    short: ShortBatches = field(default_factory=ShortBatches, repr=False)
    idle: deque[Any] = field(default_factory=deque, repr=False)

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Name the precisions that this machine computes in: bf16 only where the processor has it."""
        able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("f32", "bf16", "int8") if "BF16" in able else ("f32", "int8")

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before anything is opened."""
        return text_fingerprint("openvino", opening, *_graph(opening))

    @classmethod
    def open(cls, opening: Opening) -> TextEngine:
        """Compile the graph of the precision in `settings`.

        InputError if this machine does not compute in that precision, ArtifactError if a file is missing or damaged.
        """
        files, precision = opening.files, opening.settings["precision"]
        check_precision(precision, "openvino", cls.precisions())
        graph = _graph(opening)
        path, *_ = (files.need(name) for name in graph)
        (check_ir if precision == "int8" else check_graph)(path)
        streams = opening.threads or cores()
        how = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",  # never OpenVINO's own choice
            "INFERENCE_NUM_THREADS": streams,
            "NUM_STREAMS": streams,
            **_cache(files, graph),
        }
        with ThreadPoolExecutor(1) as beside:  # a large vocabulary takes as long to read as a graph to compile
            compiled = beside.submit(compile_graph, path, how)
            tokenizer = TextTokenizer.open(files.need(TOKENIZER), opening.settings)
        model = cls(precision, compiled.result(), streams)
        return TextEngine.of(opening, "openvino", model, tokenizer, graph)

    @property
    def settings(self) -> Json:
        """The settings to open the model with again."""
        return {"precision": self.precision}

    @property
    def budget(self) -> int:
        """Tokens in a batch: more for the matrix units of bfloat16."""
        return 2 * TOKEN_BUDGET if self.precision == "bf16" else TOKEN_BUDGET

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""
        logits, features = (self.compiled.output(name).partial_shape[1] for name in ("logits", "features"))
        return logits.get_length(), features.get_length()

    def forward(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Run batches, one in each stream, and queue one more; ElsewiseError in a process that was forked since."""
        compiled = of_this_process(self.compiled, OPENVINO)
        idle = [self._request(compiled) for _ in range(self.streams + 1)]  # before any of them runs
        busy: deque[Any] = deque()
        for ids, mask in batches:
            if not idle:
                idle.append(busy.popleft())
                yield _results(idle[-1])
            request = idle.pop()
            request.start_async({"input_ids": ids, "attention_mask": mask})
            busy.append(request)
        for request in busy:
            yield _results(request)
        self.idle.extend((*idle, *busy))

    def _request(self, compiled: Any) -> Any:
        try:
            return self.idle.pop()
        except IndexError:  # several threads may ask at once
            return compiled.create_infer_request()


def save_graph(graph: Any, file: Path) -> None:
    """Write a graph as file.xml and file.bin, its numbers unchanged."""
    openvino.save_model(graph, file, compress_to_fp16=False)


def _graph(opening: Opening) -> tuple[str, ...]:
    return (INT8, INT8_WEIGHTS) if opening.settings["precision"] == "int8" else (ONNX,)


def _results(request: Any) -> Result:
    request.wait()
    logits, features = (request.get_tensor(name).data.copy() for name in ("logits", "features"))
    return logits, features


def core() -> Any:
    """Return the OpenVINO Core of this process; ElsewiseError if the process was forked since it was made."""
    return of_this_process(_core(), OPENVINO)


@cache
def _core() -> Any:
    return opened(openvino.Core())


def _cache(files: ModelFiles, graph: tuple[str, ...]) -> Mapping[str, str]:
    """Name the folder for compiled graphs, by content, since OpenVINO goes by a file's name and time."""
    if not (kept := os.environ.get(COMPILE_CACHE)) or files.place:
        return {}
    place = Path(kept) / files.fingerprint(*graph, of="graph")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        wrong = f"{COMPILE_CACHE}: {place} cannot be made: {error.strerror}"
        raise ArtifactError(f"{wrong}; name another folder") from error
    return {"CACHE_DIR": str(place)}


def compile_graph(graph: Path, how: Mapping[str, Any]) -> Any:
    """Compile a graph for the processor, with OpenVINO's properties; ArtifactError if it cannot be opened."""
    try:
        return opened(core().compile_model(str(graph), "CPU", how))
    except RuntimeError as error:
        raise ArtifactError(f"{graph} cannot be opened: {str(error).strip().splitlines()[-1][:200]}") from error
