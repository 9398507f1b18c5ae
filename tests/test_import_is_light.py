"""`import elsewise` and `elsewise --help` load nothing heavy."""

import os
import subprocess
import sys

import pytest

from support.native import is_compiled

HEAVY = ("torch", "transformers", "openvino", "sklearn", "pandas", "pyarrow", "keras", "scipy.stats", "scipy.optimize")
UNUSED = ("torch", "transformers", "nncf", "onnx", "onnxruntime", "openvino_telemetry", *["openvino"] * is_compiled())


@pytest.mark.parametrize(
    "code",
    [
        "import elsewise",
        "import elsewise; elsewise.softmax([1.0, 2.0])",
        "from elsewise import Classifier, CertifiedThreshold, Temperature, evaluate, fit, load, wrap",
        "import sys; sys.argv = ['elsewise', '--help']\nfrom elsewise.cli import app\napp(standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_loaded(code):
    check = f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


def alone(program, home):
    """Run a program without torch and transformers, in a home of its own."""
    blocked = "import sys; sys.modules.update({'torch': None, 'transformers': None})"
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, "-c", f"{blocked}\n{program}"], capture_output=True, text=True, check=False, env=environment
    )


def test_predicting_needs_neither_torch_nor_transformers_and_calls_nobody(model, tmp_path):
    """Nor OpenVINO, where our own engine is compiled; its telemetry would leave its name tag in ~/intel."""
    (tmp_path / "home").mkdir()
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text("text\nwhere is my parcel\ni want my money back\n", encoding="utf-8")
    program = f"""
from elsewise.cli import app
app(["predict", {str(model)!r}, {str(data)!r}, "-o", {str(out)!r}], standalone_mode=False)
print(sorted(name for name, module in sys.modules.items() if module and name.split(".")[0] in {UNUSED}))
"""

    done = alone(program, tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3
    assert "intel" not in {path.name for path in (tmp_path / "home").rglob("*")}
