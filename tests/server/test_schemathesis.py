"""Schemathesis on the document of the interface: no server error, and every answer is as the document says."""

import re
import subprocess
import sys

import pytest

from support.serving import by_heart, serving

pytest.importorskip("schemathesis")
# A blank text, a label that the model lacks and a model of another name are refused, which no schema can say.
LEFT_OUT = ["--exclude-checks", "positive_data_acceptance"]


@pytest.mark.parametrize(("examples", "least"), [(10, 250), pytest.param(600, 2000, marks=pytest.mark.load)])
def test_every_answer_is_as_the_document_says(tmp_path, examples, least):
    by_heart().save(tmp_path / "m")
    with serving(tmp_path / "m", log_requests=False) as served:
        words = ["run", f"{served.url}/openapi.json", "--max-examples", str(examples), "--seed", "1", "--no-color"]
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *words, *LEFT_OUT]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) >= least
    assert served.events("failed") == []
