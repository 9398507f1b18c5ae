"""The files in deploy/ say what the server does: paths that it has, options that it takes, times that fit."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from documents.test_docs import unknown_words
from elsewise.cli import app
from elsewise.server.app import ROUTES
from elsewise.server.lifecycle import LAST_SECONDS

yaml = pytest.importorskip("yaml")
DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
DEPLOYMENT, SERVICE = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
(SERVED,) = POD["containers"]
COMPOSED = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["elsewise"]


@pytest.mark.parametrize(
    "words",
    [SERVED["args"], shlex.split(re.search(r"CMD (\[\"/model.*\])", CONTAINER)[1].replace(",", " ").strip("[]"))],
)
def test_the_commands_are_ones_that_there_are(words):
    assert words[0] == "/model"
    assert list(unknown_words(typer.main.get_command(app), ["serve", *words])) == []


def test_probes_ask_paths_that_need_no_key():
    asked = {SERVED[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}

    assert asked == {"/health/ready", "/health/live"} <= ROUTES.keys()
    assert "/health/ready" in CONTAINER


def test_there_is_time_to_drain():
    drain = float(SERVED["args"][SERVED["args"].index("--drain") + 1])
    seconds = POD["terminationGracePeriodSeconds"]

    assert seconds >= drain + LAST_SECONDS
    assert int(COMPOSED["stop_grace_period"].rstrip("s")) >= 5 + LAST_SECONDS


def test_nothing_runs_as_root_or_writes_to_the_image():
    assert re.search(r"^USER 10001$", CONTAINER, re.MULTILINE)
    assert POD["securityContext"]["runAsNonRoot"]
    assert (SERVED["securityContext"]["readOnlyRootFilesystem"], COMPOSED["read_only"]) == (True, True)
    assert all(mount.get("readOnly") for mount in SERVED["volumeMounts"] if mount["name"] == "model")


def test_keys_are_not_in_the_files():
    text = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.iterdir())

    assert "ELSEWISE_API_KEYS: ${ELSEWISE_API_KEYS:?" in text
    assert re.findall(r"\b[0-9a-f]{32,}\b", text) == []
