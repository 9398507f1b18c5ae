"""ONNX Runtime: float32, for machines that OpenVINO does not run on.

Its int8 (dynamic quantisation) is left out on purpose: there the answer for one text changes with its neighbours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from elsewise.engines.batching import TOKEN_BUDGET, Batch, Result
from elsewise.engines.files import ONNX, TOKENIZER, Opening
from elsewise.engines.machine import cores
from elsewise.engines.one_process import opened
from elsewise.engines.onnx_safety import check_graph
from elsewise.engines.short_batches import ShortBatches
from elsewise.engines.text import TextEngine, check_precision, text_fingerprint
from elsewise.engines.tokenizer import TextTokenizer
from elsewise.errors import ArtifactError, need
from elsewise.storage.json_files import Json

onnxruntime = need("onnxruntime", extra="onnxruntime")


@dataclass(frozen=True, slots=True, eq=False)
class OnnxRuntimeModel:
    """An inference session over model.onnx."""

    settings: ClassVar[Json] = {"precision": "f32"}
    budget: ClassVar[int] = TOKEN_BUDGET
    session: Any
    short: ShortBatches = field(default_factory=ShortBatches, repr=False)

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Name the precisions that it computes in, on every machine."""
        return ("f32",)

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before anything is opened."""
        return text_fingerprint("onnxruntime", opening, ONNX)

    @classmethod
    def open(cls, opening: Opening) -> TextEngine:
        """Open model.onnx; InputError for a precision other than f32, ArtifactError if a file is missing or damaged."""
        files, settings = opening.files, opening.settings
        check_precision(settings["precision"], "onnxruntime", cls.precisions())
        graph = files.need(ONNX)
        check_graph(graph)
        model = cls(open_session(graph, opening.threads or cores()))
        tokenizer = TextTokenizer.open(files.need(TOKENIZER), settings)
        return TextEngine.of(opening, "onnxruntime", model, tokenizer, (ONNX,))

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""
        logits, features = (output.shape[1] for output in self.session.get_outputs())
        return logits, features

    def forward(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Run batches one by one: (rows, tokens) in, logits and features out."""
        for ids, mask in batches:
            logits, features = self.session.run(["logits", "features"], {"input_ids": ids, "attention_mask": mask})
            yield logits, features


def open_session(graph: Path, threads: int = 0) -> Any:
    """Open an ONNX file on the processor; 0 threads leave their number to ONNX Runtime. ArtifactError if it cannot."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # shapes change from batch to batch
    options.log_severity_level = 3
    try:
        return opened(onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # its exceptions have no class in common
        raise ArtifactError(f"{graph} cannot be opened: {str(error).strip().splitlines()[-1][:200]}") from error
