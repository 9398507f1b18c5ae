"""Messages speak of Python's parameters in Python, and of options on the command line."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import elsewise as ew
from elsewise.classifier.classifier import Classifier
from elsewise.cli.parameters import CALLED, in_options, option_names
from elsewise.data.checks import Finding
from elsewise.errors import ElsewiseError, ElsewiseWarning, InputError
from support.running import run

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"(elsewise|pip) \w+")
OPTION = re.compile(r"(?<![\w-])--\w")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("M contains its own model; leave engine= out", "M contains its own model; leave --engine out"),
        ("choose one of ensemble=, mc_dropout= and laplace=", "choose one of --ensemble, --mc-dropout and --laplace"),
        ("certified on f32 (engine=, precision=)", "certified on f32 (--engine, --precision)"),
        ("try encoding='cp1254'", "try --encoding cp1254"),
        ('maps="it\'s=its": no row', "--map 'it'\"'\"'s=its': no row"),
        ("max_length=64 reads more", "--max-length 64 reads more"),
        ("wrap it with `batch_size=1`", "wrap it with `batch_size=1`"),
        ("keeps no rows (keep_refit_rows=False)", "keeps no rows (--no-refit-rows)"),
        ("start afresh with restart=True", "start afresh with --restart"),
        ("restart=False", "restart=False"),
        ("threshold=, groups= and times= are asked", "--at, --group-column and --time-column are asked"),
        ("is it encoding='utf-16-le'?", "is it --encoding utf-16-le?"),
        ("'engine=' or \"engine='x'\" as M's engine= isn't", "'engine=' or \"engine='x'\" as M's --engine isn't"),
        ("there is no column x= in the file", "there is no column x= in the file"),
        ("fit(texts, labels, engine=elsewise.wrap(it))", "fit(texts, labels, engine=elsewise.wrap(it))"),
    ],
)  # fmt: skip
def test_a_message_names_the_options_of_parameters(said, shown):
    assert in_options(said) == shown
    assert in_options(said, "--map a=b") == f"{shown} (--map a=b)"


def test_every_parameter_of_another_name_has_its_option():
    assert [name for name in CALLED.values() if name not in option_names()] == []


def test_no_message_outside_the_command_line_names_an_option_but_in_a_whole_command():
    """What begins with an option is no message: it is what is typed."""
    files = (ROOT / "src/elsewise").rglob("*.py")
    rooms = (path for path in files if path.parent.name != "cli")
    said = [text for path in rooms for text in strings(path)]
    found = {text for text in said if OPTION.search(COMMAND.split(text)[0])}

    assert len(said) > 3000
    assert [text for text in found if not text.lstrip().startswith("--")] == []


def strings(path):
    """The strings of a module, its docstrings apart, with what they are filled with as …."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    statements = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                getattr(part, "value", "…") if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside | statements:
            yield node.value


@pytest.mark.parametrize("kind", [InputError, ElsewiseError, ElsewiseWarning])
def test_what_is_typed_is_no_part_of_the_words_and_is_kept(kind):
    import pickle

    said = kind("no row has it", typed="--drop-label it")

    assert (str(said), said.typed, kind("no").typed) == ("no row has it", "--drop-label it", "")
    assert pickle.loads(pickle.dumps(said)).typed == "--drop-label it"  # noqa: S301


UNKNOWN = "the model has no label 'Yess', which row 1 has (counted from 0); "


def test_an_unknown_label_has_a_remedy_of_each_world(tmp_path):
    engine = ew.wrap(lambda texts: [[3.0, 0.0]] * len(texts), labels=["yes", "no"], kind="logits")
    classifier = Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6), out_of_scope_label="none")

    with pytest.raises(InputError) as caught:
        classifier.codes(["yes", "Yess"])

    assert str(caught.value) == f"{UNKNOWN}fit again with them, or leave such rows out"
    assert caught.value.typed == "--drop-label Yess"
    with pytest.raises(InputError, match=r"say so with out_of_scope_label='x', or leave such rows out$"):
        ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)).codes(["x"])
    with pytest.raises(InputError) as alike:
        classifier.codes(["YES"])
    assert alike.value.typed == "--map YES=yes"


def test_check_tells_of_options_and_json_holds_no_more_than_before(tmp_path):
    lines = ["text,label", *(f"where is parcel {i},{('Kargo', 'iade', 'kargo ')[i % 3]}" for i in range(60)), ",iade"]
    (tmp_path / "data.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")

    shown = run("check", "data.csv", folder=tmp_path).stdout
    told = run("check", "data.csv", "--json", folder=tmp_path).stdout

    assert f"keep one spelling ({shlex.join(['--map', 'kargo =Kargo'])})" in shown
    assert "leave them out (--skip-bad-rows)" in shown
    assert "keep them in one part with --group-column" in shown
    assert "unless --count-repeats" not in shown
    assert '"typed"' not in told
    assert "(--skip-bad-rows)" in told
    assert "skip_bad_rows=" not in shown + told


def test_a_finding_without_a_remedy_tells_what_to_type():
    from elsewise.cli.check import _in_options
    from elsewise.data.checks import Findings
    from elsewise.data.file_checks import CheckedFile
    from elsewise.data.labelled_texts import Reading

    found = Findings((Finding("error", "refused", "label 'x' is in none of them", typed="--drop-label x"),))
    checked = CheckedFile("data.csv", Reading(), (), (), 0, 0, found, ())

    (told,) = _in_options(checked).findings.findings

    assert (told.sentence, told.remedy) == ("label 'x' is in none of them (--drop-label x)", "")
