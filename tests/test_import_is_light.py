"""`import elsewise` and `elsewise --help` load nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "openvino", "sklearn", "pandas", "pyarrow", "scipy.stats", "scipy.optimize")


@pytest.mark.parametrize(
    "code",
    [
        "import elsewise",
        "import elsewise; elsewise.softmax([1.0, 2.0])",
        "from elsewise import Classifier, MemoryEngine, CertifiedThreshold, Temperature, evaluate, fit, load",
        "import sys; sys.argv = ['elsewise', '--help']\nfrom elsewise.cli import app\napp(standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_loaded(code):
    check = f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
