"""Text in, a label you can trust out, or else Other.

import elsewise as ew

classifier = ew.fit(texts, labels)             # fine-tune, calibrate, certify
decisions = classifier.decide(["a new text"])  # .labels .confidence .reasons .abstained
classifier.save("model"); classifier = ew.load("model")

engine = ew.wrap(model, labels=names, kind="logits")  # or bring any model: Keras, scikit-learn, torch, a function

p = ew.softmax(logits)                          # or bring logits of any framework
calibrate = ew.Temperature.fit(tune_logits, tune_codes)
rule = ew.CertifiedThreshold.fit(calibrate(logits), codes, reference=calibrate(tune_logits))
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before whoever imports ONNX Runtime, NNCF too: it calls home

if TYPE_CHECKING:
    from elsewise.arrays import log_softmax, softmax
    from elsewise.calibrators import Identity, Temperature
    from elsewise.classifier.classifier import Classifier
    from elsewise.classifier.load import load
    from elsewise.errors import ElsewiseError, InputError
    from elsewise.evaluation.compare import compare
    from elsewise.evaluation.evaluate import evaluate
    from elsewise.fitting.calibrate import calibrate
    from elsewise.fitting.fit import fit
    from elsewise.outputs import Evidence, Outputs
    from elsewise.rules import Certificate, CertifiedThreshold, Decisions, FixedThreshold, TargetCoverage
    from elsewise.wrappers import wrap

_HOMES = {
    "arrays": ("log_softmax", "softmax"),
    "fitting.calibrate": ("calibrate",),
    "calibrators": ("Identity", "Temperature"),
    "classifier.classifier": ("Classifier",),
    "classifier.load": ("load",),
    "evaluation.compare": ("compare",),
    "errors": ("ElsewiseError", "InputError"),
    "evaluation.evaluate": ("evaluate",),
    "fitting.fit": ("fit",),
    "outputs": ("Evidence", "Outputs"),
    "rules": ("Certificate", "CertifiedThreshold", "Decisions", "FixedThreshold", "TargetCoverage"),
    "wrappers": ("wrap",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [
    "Certificate", "CertifiedThreshold", "Classifier", "Decisions", "ElsewiseError", "Evidence", "FixedThreshold",
    "Identity", "InputError", "Outputs", "TargetCoverage", "Temperature", "calibrate", "compare", "evaluate", "fit",
    "load", "log_softmax", "softmax", "wrap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import elsewise` itself stays light."""
    if name == "metrics":
        return import_module("elsewise.metrics")
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  0.03 s to import

        return version("elsewise")
    if name not in _HOME:
        raise AttributeError(f"module 'elsewise' has no attribute {name!r}")
    value = getattr(import_module(f"elsewise.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "metrics"])
