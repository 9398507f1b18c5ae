"""Models of MLflow: a classifier is logged as its folder with a few lines of code, and answers with columns.

    with mlflow.start_run():
        info = log_model(classifier, "tickets")
    mlflow.pyfunc.load_model(info.model_uri).predict(frame)  # label, abstained, reason, probability, confidence

Nothing is pickled. The rows that certified the classifier stay behind unless they are asked for.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from elsewise.classifier.classifier import Classifier
from elsewise.classifier.load import load
from elsewise.classifier.model_folder import ModelFolder
from elsewise.engines import reads_logits
from elsewise.engines.files import TemporaryPlace
from elsewise.errors import InputError, need
from elsewise.storage.paths import at_home

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before whoever imports MLflow: it calls home

COLUMNS: Final = {
    "label": "string", "abstained": "boolean", "reason": "string", "probability": "double", "confidence": "double",
}  # fmt: skip
FOLDER: Final = "elsewise"  # the artifact of a logged model
CODE: Final = '''"""A classifier of Elsewise, as MLflow loads it."""

from elsewise.mlflow import answering
from mlflow.models import set_model

set_model(answering())
'''


def log_model(
    classifier: Classifier | str | Path, name: str = "model", *, refit_rows: bool = False, **more: Any
) -> Any:
    """Log a classifier to the active run of MLflow, as a pyfunc model from code.

    It takes a column `text`, and gives the columns label, abstained, reason, probability and confidence. A text that
    cannot be read has no probability and no confidence: they are None.

    Parameters
    ----------
    classifier : Classifier or path
        A classifier, or its folder.
    name : str
        Name of the model in MLflow.
    refit_rows : bool
        Also log refit.safetensors, tokens of your texts, and the baseline, words of them.
    **more
        Passed on to `mlflow.pyfunc.log_model`, such as ``registered_model_name``. By default, ``pip_requirements``
        name this version of Elsewise.

    Returns
    -------
    mlflow.models.model.ModelInfo
        Its ``model_uri`` is what `mlflow.pyfunc.load_model` takes.

    Raises
    ------
    InputError
        If the classifier answers rows of logits.
    ArtifactError
        If the folder is damaged, or does not hold its model.
    MissingExtra
        If MLflow is not installed.
    """
    mlflow, pandas, place = _mlflow(), need("pandas", extra="mlflow"), TemporaryPlace()
    types = mlflow.types
    if isinstance(classifier, Classifier):
        classifier.save(place.path / "saved")
        classifier = place.path / "saved"
    folder = ModelFolder.read(Path(at_home(classifier)))
    (folder if refit_rows else folder.without_texts()).write(place.path / FOLDER)
    if reads_logits(load(place.path / FOLDER).engine):
        raise InputError("a model of MLflow takes texts, and this classifier takes rows of logits")
    (place.path / "answers.py").write_text(CODE, encoding="utf-8")
    given = {
        "input_example": pandas.DataFrame({"text": ["Where is my order?"]}),
        "pip_requirements": [f"elsewise[mlflow]=={version('elsewise')}", f"mlflow-skinny=={mlflow.__version__}"],
        **more,
    }
    return mlflow.pyfunc.log_model(
        name=name,
        python_model=str(place.path / "answers.py"),
        artifacts={FOLDER: str(place.path / FOLDER)},
        signature=mlflow.models.ModelSignature(
            types.Schema([types.ColSpec("string", "text")]),
            types.Schema([types.ColSpec(kind, column) for column, kind in COLUMNS.items()]),
        ),
        **given,
    )


def answering() -> Any:
    """Make what MLflow calls: a `PythonModel` that opens the folder once, and decides texts."""
    pandas = need("pandas", extra="mlflow")

    class Answering(_mlflow().pyfunc.PythonModel):  # type: ignore[misc]  # a class that is only known with MLflow
        def load_context(self, context: Any) -> None:
            self.classifier = load(context.artifacts[FOLDER])

        def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> Any:  # type: ignore[name-defined]  # noqa: ARG002
            answers = self.classifier.decide(model_input["text"]).to_frame()[[*COLUMNS]]
            numbers = answers[["probability", "confidence"]]
            answers[numbers.columns] = numbers.astype(object).where(numbers.notna(), None)  # JSON has no NaN
            return answers

    return Answering()


def _mlflow() -> Any:
    """Import MLflow with its models."""
    need("mlflow.pyfunc", extra="mlflow")
    return need("mlflow", extra="mlflow")
