"""Schemathesis on the document of the interface: no server error, and every answer is as the document says."""

import re
import subprocess
import sys

import pytest

from support.serving import by_heart, serving

pytest.importorskip("schemathesis")
# A blank text, a label that the model lacks and a model of another name are refused, which no schema can say.
LEFT_OUT = ["--exclude-checks", "positive_data_acceptance"]
PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"


def cases_of(served, examples, seed, folder):
    """Run it; how many cases it made."""
    words = ["run", f"{served.url}/openapi.json", "--max-examples", str(examples), "--seed", str(seed), "--no-color"]
    command = [sys.executable, "-c", PROGRAM, *words, *LEFT_OUT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout[-5000:]
    return int(re.search(r"(\d+) generated", done.stdout)[1])


@pytest.mark.parametrize(
    ("examples", "seeds", "least"), [(10, [1], 250), pytest.param(100, [1, 2, 3, 4], 2000, marks=pytest.mark.load)]
)
def test_every_answer_is_as_the_document_says(tmp_path, examples, seeds, least):
    by_heart().save(tmp_path / "m")
    with serving(tmp_path / "m", log_requests=False) as served:
        cases = sum(cases_of(served, examples, seed, tmp_path) for seed in seeds)

    sys.stdout.write(f"\n{cases} cases\n")
    assert cases >= least
    assert served.events("failed") == []
