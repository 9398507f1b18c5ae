"""A command ends with the command that goes on from there; pasted, it runs."""

import shlex

import numpy as np
import pytest

import elsewise as ew
from elsewise.cli.threshold import _another_target
from elsewise.engines.memory import MemoryEngine
from elsewise.rules import CertifiedThreshold
from support.running import run

TEXTS = [f"text {i}" for i in range(120)]


def promising():
    """A rule that answers from one half on, with a promise."""
    p = np.tile([[0.98, 0.02], [0.02, 0.98]], (300, 1))
    return CertifiedThreshold.fit(p, np.tile([0, 1], 300), reference=p.copy())


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Two models by heart, one of logits, and files to give them."""
    folder = tmp_path_factory.mktemp("here")
    table = {text: [4.0, 0.0] for text in TEXTS} | {"torn apart": [0.0, 0.0]}
    for name, rule in (("model", promising()), ("other", ew.FixedThreshold(0.7))):
        ew.Classifier(MemoryEngine(("yes", "no"), table), ew.Identity(), rule).save(folder / name)
    for name, label in (("right", "yes"), ("wrong", "no")):
        lines = "".join(f"{text};{label}\n" for text in [*TEXTS, "torn apart", "unheard of"])
        (folder / f"{name}.csv").write_text(f"body;topic\n{lines}", encoding="utf-8")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1200, 3)) * 4
    np.save(folder / "z.npy", z)
    np.save(folder / "y.npy", (z + rng.gumbel(size=z.shape)).argmax(axis=1))
    return folder


def pasted(done):
    """The words of the last line, without the program."""
    assert done.returncode == 0, done.stderr
    first, _, *words = shlex.split(done.stderr.splitlines()[-1])
    assert first == "Next:"
    return words


COLUMNS = ("--text-column", "body", "--label-column", "topic")
CALIBRATE = ("calibrate", "--logits", "z.npy", "--labels", "y.npy", "--target-accuracy", "0.9", "-o", "logits")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (CALIBRATE, ["predict", "logits", "z.npy", "-o", "answers.csv"]),
        (("predict", "model", "right.csv", *COLUMNS[:2], "-o", "out.csv"), ["explain", "model", "unheard of"]),
        (("evaluate", "model", "right.csv", *COLUMNS), ["threshold", "model"]),
        (("evaluate", "model", "wrong.csv", *COLUMNS), ["check", "wrong.csv", *COLUMNS]),
        (("compare", "other", "model", "right.csv", *COLUMNS), ["threshold", "other"]),
        (("explain", "model", "torn apart"), ["explain", "model", "--receipt-out", "receipt.json", "torn apart"]),
        (("explain", "model", "torn apart", "--receipt-out", "r.json"),
         ["explain", "model", "--receipt", "r.json", "torn apart"]),
        (("threshold", "logits"), ["threshold", "logits", "--target-accuracy", "0.95"]),
        (("threshold", "logits", "--target-accuracy", "0.95"), ["threshold", "logits"]),
        (("threshold", "logits", "--target-accuracy", "0.99999", "--strict"), ["threshold", "logits", "--undo"]),
    ],
    ids=lambda words: " ".join(words[:2]) if isinstance(words, tuple) else "",
)  # fmt: skip
def test_the_next_command_runs_as_it_is_printed(here, words, expected):
    printed = pasted(run(*words, folder=here))

    assert printed == expected
    gone_on = run(*printed, folder=here)
    assert gone_on.returncode in (0, 1 if printed[0] == "check" else 0), gone_on.stderr


def test_it_is_one_line_whatever_the_terminal(here):
    from support.terminal import on_terminal

    with on_terminal(40) as terminal:
        from elsewise.cli.next_step import say_next

        say_next("predict", "a model", "a file with a very long name.csv", "-o", "answers.csv")

    assert terminal.sent.count("\n") == 1


def test_json_has_no_next_line(here):
    done = run("evaluate", "model", "right.csv", *COLUMNS, "--json", folder=here)

    assert "Next:" not in done.stderr


@pytest.mark.parametrize(("asked", "wrong", "following"), [(0.95, 0, 0.96), (0.8, 20, 0.825), (0.995, 0, 0.995)])
def test_where_everything_is_answered_a_higher_target_comes_next(asked, wrong, following):
    p, codes = np.tile([0.9, 0.1], (800, 1)), np.repeat([0, 1], [800 - wrong, wrong])
    certificate = CertifiedThreshold.fit(p, codes, reference=p.copy(), target_accuracy=asked).certificate

    assert certificate.threshold == -np.inf
    assert _another_target(certificate) == following
