"""From the weights of a text model to a certified classifier, whoever trained them: steps of `fit` and `calibrate`.

tune -> calibrator, engine, score, grid    certify -> threshold + certificate
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats
from elsewise.calibrators.choice import CalibratorChoice, choose_calibrator
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import refit_rows
from elsewise.classifier.provenance import Provenance
from elsewise.data.splits import Splits
from elsewise.engines.cascade import every_text_read
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.fitting.certify import CertifiedParts, Indices, Promise, Words, certified_parts, of_splits, sampled
from elsewise.fitting.engine_choice import Rows, Serving
from elsewise.fitting.opinions import Opinions
from elsewise.outputs import Evidence, References
from elsewise.progress import Progress
from elsewise.scores.distances import references
from elsewise.storage.json_files import Json

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.training.encoder import Learner


@dataclass(frozen=True, slots=True, eq=False)
class TextModel:
    """A trained model with its calibrator folded in, and the rows that its engine is chosen and certified on.

    Attributes
    ----------
    files, reading : ModelFiles, JSON
        Its files, and the settings of its tokenizer.
    choice : CalibratorChoice
        The calibrator that is folded in.
    rows : Rows
        Tune rows, and texts for int8.
    known : (Tokens, Codes)
        Texts that distances of features are measured from: train rows, or, where these are unknown, some tune rows.
    judging : (m,), optional
        Indices of the tune rows that are none of `known`. Default: all.
    certify : Tokens
        Certify rows.
    opinions : Opinions
        What may be asked beside it.
    features : (m, d), optional
        Features of `sampled` known texts, where they have been computed already. Default: the engine computes them.
    """

    files: ModelFiles
    reading: Json
    choice: CalibratorChoice
    rows: Rows
    known: tuple[Tokens, Codes]
    certify: Tokens
    judging: Indices | None = None
    opinions: Opinions = Opinions()  # noqa: RUF009  frozen
    features: Floats | None = None


def folded(
    model: "TorchModel", learner: "Learner", logits: Floats, codes: Codes, labels: tuple[str, ...]
) -> tuple[ModelFiles, CalibratorChoice]:
    """Choose the calibrator on logits (n, k) of tune rows with codes (n,), fold it into the model, and write that."""
    from elsewise.engines.torch import last_linear  # noqa: PLC0415  torch

    has_no_bias = last_linear(model.model).bias is None
    choice = choose_calibrator(logits, codes, preserve_argmax=has_no_bias)
    return learner.write(model.folded(choice.calibrator), labels), choice


def certified_text_model(
    model: TextModel, best: Serving, gate: tuple[Json, ...], parts: Splits, promise: Promise, words: Words,
    record: Json, seed: int, progress: Progress | None = None, *, keep_refit_rows: bool,
) -> Classifier:  # fmt: skip
    """Certify the chosen engine, and make the classifier.

    Parameters
    ----------
    model, best, gate
        The model, its chosen engine, and how the engines compared.
    parts, promise, words, seed, progress, keep_refit_rows
        As in `fit`.
    record : JSON
        How the model was made.
    """
    if progress:
        progress("certifying", 0, 0)
    certify = Evidence.of(best.engine.run(model.certify), best.calibrator)
    judging = np.arange(len(parts.tune)) if model.judging is None else model.judging
    certified = _certified(best, certify, model, judging, parts, seed, promise).about(parts.population)
    splits, seen = of_splits(parts)
    provenance = Provenance(
        folded=model.choice.calibrator,
        record={**record, "calibrator": model.choice.record, "score": certified.compared, **splits},
        arrays={**seen, **(_refit_rows(model, best, certify, judging, parts) if keep_refit_rows else {})},
        gate=gate,
    )
    return certified.classifier(best.engine, best.calibrator, words, provenance)


def _certified(
    best: Serving, certify: Evidence, model: TextModel, judging: Indices, parts: Splits, seed: int, promise: Promise
) -> CertifiedParts:
    """Certify the chosen engine's outputs of tune, certify and known rows."""
    tuned = Evidence.of(best.outputs.take(judging), best.calibrator), parts.tune.codes[judging]
    if not len(parts.tune):  # train texts: overconfident, but still ranked correctly
        tokens, codes = model.known
        tuned = Evidence.of(best.engine.run(tokens), best.calibrator), codes
        promise = replace(promise, unfamiliar=0)  # train texts are more familiar than any other
    known = _references(best, model, seed)
    return certified_parts(tuned, (certify, parts.certify.codes), known, promise, labels=best.engine.labels)


def _refit_rows(
    model: TextModel, best: Serving, certify: Evidence, judging: Indices, parts: Splits
) -> dict[str, NDArray[Any]]:
    tune, logits = model.rows.tune.take(judging), best.outputs.logits[judging]
    return {
        **refit_rows("train", model.rows.train),
        **refit_rows("tune", tune, codes=parts.tune.codes[judging], logits=logits),
        **refit_rows("certify", model.certify, codes=parts.certify.codes, logits=certify.logits),
    }


def _references(best: Serving, model: TextModel, seed: int) -> References | None:
    """Take features of known texts of every label; None without such texts, or from an engine without features."""
    tokens, codes = model.known
    if not len(codes):
        return None
    rows, features, as_it_came = sampled(codes, seed), model.features, model.opinions.as_it_came
    if features is None:
        features = every_text_read(best.engine).run(tokens.take(rows)).features
    if features is None:
        return None
    return references(features, codes[rows], None if as_it_came is None else as_it_came.embedding)
