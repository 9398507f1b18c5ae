"""The commands, each parsing, calling one function that Python users can call too, and printing.

A new one is a file here and a line in COMMANDS. Heavy imports stay inside the functions: ``elsewise --help`` is quick.
"""

from collections.abc import Callable
from typing import Final

from elsewise.commands.calibrate import calibrate
from elsewise.commands.check import check
from elsewise.commands.compare import compare
from elsewise.commands.demo import demo
from elsewise.commands.doctor import doctor
from elsewise.commands.evaluate import evaluate
from elsewise.commands.explain import explain
from elsewise.commands.export import export
from elsewise.commands.fit import fit
from elsewise.commands.predict import predict
from elsewise.commands.threshold import threshold

COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo,
    "check": check,
    "fit": fit,
    "predict": predict,
    "evaluate": evaluate,
    "compare": compare,
    "explain": explain,
    "calibrate": calibrate,
    "export": export,
    "threshold": threshold,
    "doctor": doctor,
}
