"""Models of MLflow: what was logged answers as the classifier did, as columns, also in MLflow's own server."""

import json
import os
import sys
import threading
from importlib import reload
from urllib.request import Request, urlopen

import pytest

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from support.serving import by_heart

pytest.importorskip("pandas")
pytest.importorskip("mlflow.pyfunc", reason="MLflow is not installed: pip install 'elsewise[mlflow]'")
import mlflow
import pandas as pd

from elsewise.mlflow import COLUMNS, log_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of MLflow's libraries
TEXTS = ["where is my parcel", "parcel or invoice", "", None]


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """A tracking store in files, and no bars."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield tmp_path / "runs"
    mlflow.set_tracking_uri(None)


@pytest.fixture
def logged():
    with mlflow.start_run():
        return log_model(by_heart(), "tickets")


def test_a_logged_model_answers_as_the_classifier(logged):
    frame = pd.DataFrame({"text": TEXTS}, index=[3, 1, 4, 2])

    answers = mlflow.pyfunc.load_model(logged.model_uri).predict(frame)

    expected = by_heart().decide(frame["text"]).to_frame()[[*COLUMNS]]
    pd.testing.assert_frame_equal(answers.astype(expected.dtypes), expected)
    assert answers["label"].tolist() == ["delivery", "Other", "Other", "Other"]
    assert answers["confidence"].tolist()[2:] == [None, None]
    assert answers["abstained"].dtype == bool


def test_nothing_is_pickled_and_the_requirements_are_named(logged, runs):
    files = {path.name: path for path in runs.rglob("*") if path.is_file()}

    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert "set_model(answering())" in files["answers.py"].read_text(encoding="utf-8")
    assert files["requirements.txt"].read_text(encoding="utf-8").split() == [
        f"elsewise[mlflow]=={ew.__version__}", f"mlflow-skinny=={mlflow.__version__}",
    ]  # fmt: skip


def test_it_answers_in_the_scoring_server_of_mlflow(logged):
    uvicorn = pytest.importorskip("uvicorn")
    from mlflow.pyfunc.scoring_server import init

    app = init(mlflow.pyfunc.load_model(logged.model_uri))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        body = json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}})
        request = Request(f"http://127.0.0.1:{port}/invocations", body.encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=10) as reply:  # noqa: S310
            said = json.loads(reply.read(), parse_constant=pytest.fail)["predictions"]
    finally:
        server.should_exit = True
        thread.join()

    decisions = by_heart().decide(TEXTS)
    assert [row["label"] for row in said] == decisions.labels
    assert [row["reason"] for row in said] == decisions.reasons.tolist()
    assert [row["abstained"] for row in said] == decisions.abstained.tolist()
    assert said[0]["probability"] == decisions.best_probability[0]
    assert said[2]["confidence"] is said[3]["probability"] is None


def test_what_holds_texts_stays_behind_unless_it_is_asked_for(runs):
    known = {f"text {i}": [0.0, 3.0] if (i + (i % 40 == 9)) % 2 else [3.0, 0.0] for i in range(600)}
    labels = [("even", "odd")[i % 2] for i in range(600)]
    classifier = ew.fit(list(known), labels, engine=MemoryEngine(("even", "odd"), known))

    with mlflow.start_run():
        less = mlflow.pyfunc.load_model(log_model(classifier, "less").model_uri)
        found = {path.name for path in runs.rglob("*")}
        log_model(classifier, "more", refit_rows=True)

    assert less.predict(pd.DataFrame({"text": ["text 1"]}))["label"].tolist() == ["odd"]
    assert "refit.safetensors" not in found
    assert "refit.safetensors" in {path.name for path in runs.rglob("*")}


def test_a_classifier_of_logits_is_refused():
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))

    with pytest.raises(InputError, match="takes texts, and this classifier takes rows of logits"):
        log_model(classifier)


@pytest.mark.parametrize(("before", "after"), [(None, "true"), ("false", "false")])
def test_mlflow_calls_home_only_if_its_user_says_so(before, after, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", before or "")
    if before is None:
        monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")

    reload(sys.modules["elsewise.mlflow"])

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == after
