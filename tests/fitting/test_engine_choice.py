"""The gate: a faster engine serves only when it is clearly faster and its answers are as good as float32's."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.tokenizer import Tokens
from elsewise.fitting import engine_choice
from elsewise.fitting.engine_choice import GateRow, Rows, Serving, choose, gate_rows, measure, precisions_to_try
from elsewise.fitting.engines_to_try import Wanted
from elsewise.outputs import Outputs

EXACT = GateRow("openvino-f32", 0.9, 0.4, 0.02, 0.0, 0.0, 0.0, 90.0, 100.0, passed=True)


class Known:
    """An engine that gives known logits, whatever the texts."""

    name, size = "known", 1500

    def __init__(self, logits, precision="f32"):
        self.settings = {"precision": precision}
        self.logits = np.asarray(logits, dtype=np.float32)

    def run(self, tokens):
        return Outputs(self.logits[: len(tokens)])


def candidate(name, speed, *, passed=True):
    measured = replace(EXACT, engine=name, texts_per_second=float(speed), passed=passed)
    return Serving(None, ew.Identity(), None, measured)


def chosen(*candidates):
    return choose([candidate("f32", 100), *candidates]).measured.engine


def tokens(n):
    return Tokens.of([[1, 2, 3]] * n)


def nine_of_ten(n, margin):
    """Logits of two labels with one margin everywhere, and codes of which every tenth is the other one."""
    codes = np.arange(n) % 2
    logits = np.where(np.arange(2) == codes[:, None], margin, 0.0)
    return logits, np.where(np.arange(n) % 10 == 0, 1 - codes, codes)


def test_the_fastest_that_passed_is_chosen():
    assert chosen(candidate("bf16", 200), candidate("int8", 300)) == "int8"
    assert chosen(candidate("bf16", 300), candidate("int8", 200)) == "bf16"


def test_one_that_did_not_pass_is_never_chosen():
    assert chosen(candidate("bf16", 200), candidate("int8", 900, passed=False)) == "bf16"
    assert chosen(candidate("int8", 900, passed=False)) == "f32"


@pytest.mark.parametrize(("speed", "best"), [(90, "f32"), (100, "f32"), (109, "f32"), (111, "bf16")])
def test_one_that_is_hardly_faster_than_float32_is_not_worth_it(speed, best):
    assert chosen(candidate("bf16", speed)) == best


def test_one_that_is_hardly_faster_than_a_more_exact_one_is_not_worth_it():
    assert chosen(candidate("bf16", 200), candidate("int8", 219)) == "bf16"
    assert chosen(candidate("bf16", 200), candidate("int8", 221)) == "int8"


def test_float32_alone_is_chosen():
    assert chosen() == "f32"


@pytest.mark.parametrize(
    ("accuracy", "log_loss", "passed"),
    [
        (0.9, 0.4, True),
        (1.0, 0.1, True),
        (0.9 - 0.003, 0.4, True),
        (0.9 - 0.0031, 0.4, False),
        (0.9, 1.03 * 0.4, True),
        (0.9, 1.0301 * 0.4, False),
        (0.8, 0.1, False),
        (None, None, False),
        (0.9, math.nan, False),
    ],
)
def test_accuracy_may_be_three_thousandths_less_and_log_loss_three_percent_more(accuracy, log_loss, passed):
    assert engine_choice._passes((accuracy, log_loss, 0.0), EXACT) is passed


def test_nothing_passes_where_float32_could_not_be_measured():
    assert engine_choice._passes((0.9, 0.4, 0.0), replace(EXACT, accuracy=None, log_loss=None, ece=None)) is False


def test_float32_is_measured_as_it_is():
    """Nine of ten right with the margin ln 9 is calibrated: its log loss is the entropy of (0.9, 0.1)."""
    logits, codes = nine_of_ten(100, math.log(9))

    made = measure(Known(logits), tokens(100), codes)

    assert made.calibrator == ew.Identity()
    assert made.measured.engine == "known-f32"
    assert made.measured.accuracy == pytest.approx(0.9)
    assert made.measured.log_loss == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), rel=1e-6)
    assert made.measured.ece == pytest.approx(0, abs=1e-6)
    assert (made.measured.changed, made.measured.worst_change, made.measured.change_99) == (0, 0, 0)
    assert made.measured.megabytes == 0.0015
    assert made.measured.texts_per_second > 0
    assert made.measured.passed


def test_another_engine_is_calibrated_on_its_own_outputs():
    """Logits twice as large are the same answers at temperature 2."""
    logits, codes = nine_of_ten(100, math.log(9))
    exact = measure(Known(logits), tokens(100), codes)

    double = measure(Known(2 * logits, "int8"), tokens(100), codes, exact)

    assert double.calibrator.temperature == pytest.approx(2, rel=1e-3)
    assert double.measured.log_loss == pytest.approx(exact.measured.log_loss, rel=1e-6)
    assert double.measured.worst_change < 1e-3
    assert double.measured.passed


def test_changes_are_counted_by_text():
    """Three best labels of a hundred are others, and no other text moves (but for the re-fit temperature)."""
    logits, codes = nine_of_ten(100, math.log(9))
    exact = measure(Known(logits), tokens(100), codes)
    flipped = logits.copy()
    flipped[1:4] = flipped[1:4, ::-1]

    made = measure(Known(flipped, "int8"), tokens(100), codes, exact)

    p = 0.87  # of the best label, after its own re-fit: right in 87 of 100
    assert made.measured.changed == pytest.approx(0.03)
    assert made.measured.accuracy == pytest.approx(p)
    assert made.measured.worst_change == pytest.approx(0.9 - (1 - p), abs=1e-3)
    assert made.measured.change_99 == pytest.approx(0.9 - (1 - p), abs=1e-3)
    assert not made.measured.passed


def test_out_of_scope_and_unreadable_rows_do_not_count():
    logits, codes = nine_of_ten(200, math.log(9))
    plain = measure(Known(logits[:100]), tokens(100), codes[:100])
    codes[100:150] = -1
    logits[150:] = np.nan

    made = measure(Known(logits), tokens(200), codes)

    assert made.measured.accuracy == plain.measured.accuracy
    assert made.measured.log_loss == pytest.approx(plain.measured.log_loss)


def test_too_few_rows_show_nothing_of_another_engine():
    logits, codes = nine_of_ten(engine_choice.FEWEST_ROWS - 1, math.log(9))
    rows = tokens(len(codes))
    exact = measure(Known(logits), rows, codes)

    made = measure(Known(logits, "int8"), rows, codes, exact)

    assert (made.measured.accuracy, made.measured.log_loss, made.measured.ece) == (None, None, None)
    assert made.calibrator == ew.Identity()
    assert exact.measured.passed
    assert not made.measured.passed


def test_no_rows_at_all_leave_float32():
    made = measure(Known(np.zeros((0, 2))), tokens(0), np.zeros(0, dtype=np.int64))

    assert made.measured.passed
    assert made.measured.texts_per_second == 0


@pytest.mark.parametrize(("in_scope", "others"), [(49, False), (50, True)])
def test_with_few_rows_only_float32_is_tried(in_scope, others):
    codes = np.array([0] * in_scope + [-1] * 500)

    wanted = Wanted(("openvino",), "auto")
    first, *rest = precisions_to_try(wanted, "openvino", Rows(tokens(len(codes)), codes, tokens(3)))

    assert first == "f32"
    assert ("int8" in rest) == bool(rest) == others


def test_int8_is_not_tried_without_train_texts_to_calibrate_it_on():
    rows = Rows(tokens(60), np.zeros(60, dtype=np.int64), tokens(0))

    assert "int8" not in precisions_to_try(Wanted(("openvino",), "auto"), "openvino", rows)


def test_the_table_is_json():
    logits, codes = nine_of_ten(100, math.log(9))
    exact = measure(Known(logits), tokens(100), codes)
    codes[10:] = -1
    few = measure(Known(logits, "int8"), tokens(100), codes, exact)

    table = gate_rows([exact, few])

    assert json.loads(json.dumps(table, allow_nan=False)) == list(table)
    assert [row["engine"] for row in table] == ["known-f32", "known-int8"]
    assert table[1]["accuracy"] is None
