"""Less than was asked for, everything or nothing: each is said in one line, in bold on a terminal."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import elsewise as ew
from elsewise.cli.output import to_stderr, to_stdout
from elsewise.errors import PromiseWarning
from elsewise.fitting import open_threshold
from support.running import run

pytestmark = pytest.mark.slow

LESS = "Less is promised than was asked for: "
ALL = "Every text that can be read is answered"


def drawn(n=1500, seed=0, right=1.0):
    """Logits of 4 labels, and codes that are drawn from them; `right` of these are kept."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4)) * 2
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return z.astype(np.float32), np.where(rng.random(n) < right, codes, rng.integers(4, size=n))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Logits of a model that can promise 95 % of some texts, of none, and one whose labels are drawn by chance."""
    folder = tmp_path_factory.mktemp("files")
    for name, right in (("good", 1.0), ("noisy", 0.85), ("chance", 0.0)):
        z, codes = drawn(right=right)
        np.save(folder / f"{name}.npy", z)
        np.save(folder / f"{name}-codes.npy", codes)
    z = np.random.default_rng(1).normal(size=(1500, 2)).astype(np.float32)
    np.save(folder / "sure.npy", z)
    np.save(folder / "sure-codes.npy", z.argmax(axis=1))
    return folder


def calibrate(files, name, *words):
    out = files / f"{name}{''.join(map(str, words))}"
    given = ("calibrate", "--logits", files / f"{name}.npy", "--labels", files / f"{name}-codes.npy")
    done = run(*given, "-o", out, "--floor", 0, *words)
    assert done.returncode == 0, done.stderr
    return out, done


def lines(done):
    return [line for line in done.stdout.splitlines() if line.startswith((LESS, ALL, "Nothing is promised, and"))]


def test_calibrate_says_which_lower_target_holds(files):
    model, done = calibrate(files, "noisy")

    certificate = ew.load(model).certificate
    held = f"{100 * certificate.target_accuracy:g} %"
    assert certificate.certified
    assert 0.5 <= certificate.target_accuracy < certificate.asked_for == 0.95
    assert done.stdout.startswith(f"{LESS}{held}, because 95 % could not be certified.\nAt least {held} of what is")
    assert "warning: Less" not in done.stderr
    assert certificate.looks == 1
    assert "This promise is less than the 95 % that was asked for" in (model / "README.md").read_text(encoding="utf-8")
    judged = run("evaluate", model, files / "noisy.npy", "--labels", files / "noisy-codes.npy")
    assert judged.stdout.startswith(LESS)


def test_strict_promises_that_or_nothing(files):
    model, done = calibrate(files, "noisy", "--strict")

    nothing = "Nothing is promised, and every text becomes Other: 95 %"
    assert done.stdout.startswith(f"{nothing} could not be certified.\n{nothing} right")
    assert not ew.load(model).certificate.certified
    out = run("predict", model, files / "noisy.npy", "-o", files / "out.csv")
    assert "this model promises nothing, so that every row is Other" in out.stderr


def test_what_is_certified_as_asked_has_no_such_line(files):
    _, done = calibrate(files, "good", "--target-accuracy", 0.9)

    assert lines(done) == []
    assert done.stdout.startswith("At least 90 % of what is answered is right")


def test_a_model_by_chance_promises_nothing(files):
    _, done = calibrate(files, "chance")

    assert len(lines(done)) == 2  # the line, and the sentence
    assert "No lower target, down to 50 %, could be certified either." in done.stdout


def test_everything_is_said_with_a_promise_and_without(files):
    model, done = calibrate(files, "sure")

    assert lines(done) == ["Every text that can be read is answered: 95 % holds without a threshold."]
    assert "Every text that can be read is answered." in run("threshold", model, "--at=-inf").stdout
    assert "Every text becomes Other." in run("threshold", model, "--at", "inf").stdout


def test_threshold_tries_lower_targets_unless_it_is_strict_and_remembers_which(files):
    model, _ = calibrate(files, "noisy", "--confidence-level", 0.9)

    strict = run("threshold", model, "--target-accuracy", 0.99, "--strict")
    still = open_threshold(model).change("certified").after
    lower = run("threshold", model, "--no-strict")
    shown = json.loads(run("threshold", model, "--json").stdout)["present"]

    assert "Nothing is promised, and every text becomes Other: 99 % could not be certified." in strict.stdout
    assert not still.certificate.certified
    assert still.as_dict()["asked"]["strict"] is True
    assert LESS in lower.stdout
    assert "instead of 0.99" in lower.stdout
    assert (shown["asked"]["target_accuracy"], shown["asked"]["strict"]) == (0.99, False)
    assert shown["certificate"]["target_accuracy"] < shown["certificate"]["asked_accuracy"] == 0.99
    assert shown["certificate"]["looks"] == 4


def test_from_python_a_warning_says_it():
    z, codes = drawn(right=0.85)

    with pytest.warns(PromiseWarning, match=rf"^{LESS}.* because 95 % could not be certified\.$"):
        lower = ew.calibrate(z, codes)
    with pytest.warns(PromiseWarning, match=r"^Nothing is promised, and every text becomes Other: 95 % could not"):
        strict = ew.calibrate(z, codes, strict=True)

    assert lower.certificate.certified
    assert not strict.certificate.certified
    assert lower.certificate.rows_needed == strict.certificate.rows_needed


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("say", "redirect"), [(to_stdout, redirect_stdout), (to_stderr, redirect_stderr)])
def test_bold_is_for_a_terminal_alone(say, redirect):
    terminal, file = Terminal(), io.StringIO()

    for stream in (terminal, file):
        with redirect(stream):
            say("less \x1b[2J", bold=True)
            say("usual")

    assert terminal.getvalue() == "\x1b[1mless \\x1b[2J\x1b[0m\nusual\n"
    assert file.getvalue() == "less \\x1b[2J\nusual\n"
