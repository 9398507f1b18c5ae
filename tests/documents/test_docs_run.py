"""Every command in the shell blocks of README.md and docs/ runs, document by document, in the order of the page.

The files that the pages speak of are there: small ones, so that training takes seconds. `fit` gets one epoch, float32
and an encoder with random weights where the page leaves these open, and an ensemble fewer members. A block below
``<!-- not run: WHY -->`` is left out.
"""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from documents.test_docs import BLOCK, DOCUMENTS, SHELLS
from elsewise.data.formats import open_writer
from elsewise.data.sample import OUT_OF_SCOPE, support_texts
from support.native import is_compiled
from support.running import run
from support.small_models import model_of, tokenizer
from support.workshop import linked

NOT_RUN = re.compile(r"<!-- not run: [^>]+ -->\s*\Z")
SHORT = {"--epochs": "1", "--batch-size": "32", "--precision": "f32", "--encoder": "small-encoder"}
SHORT_OF = {"fit": SHORT, "calibrate": {"--precision": "f32"}}
FEWER = {"--ensemble": "2", "--mc-dropout": "2"}
SHIM = """#!{python}
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from documents.test_docs_run import shortened
from elsewise.cli import main
from elsewise.engines import encoders
encoders._cached = lambda name, *files: Path("small-encoder", files[0])
sys.argv[1:] = shortened(sys.argv[1:])
main()
"""

MY_MODEL = """
import elsewise as ew
trained = ew.load("model").engine
class Mine:
    labels = trained.labels
    def run(self, texts):
        return ew.Outputs(trained.run(texts).logits)
model = Mine()
"""


def shortened(words):
    """The words of a command, so that training is short where they leave its length open."""
    if {"my_model:model", "--logits"} & set(words):  # nothing is trained around a model, nor written for logits
        return words
    short = SHORT_OF.get(words[0] if words else "", {})
    words = [FEWER.get(option, word) for option, word in zip(["", *words], words, strict=False)]
    return words + [word for option, value in short.items() if option not in words for word in (option, value)]


def clear_for_output(words, made):
    """Remove what a command is to write, as a reader does not have it; no block writes anything twice."""
    out = next((after for word, after in pairwise(words) if word in ("-o", "--receipt-out")), None)
    if out and out not in made:
        shutil.rmtree(out, ignore_errors=True) if Path(out).is_dir() else Path(out).unlink(missing_ok=True)
        made.add(out)


def plain_words(line):
    """The words of a line that only calls elsewise; None where a shell has more to do.

    `run` keeps the hub offline, as the test does: what says so before a command is no more to do.
    """
    lexer = shlex.shlex(line.removeprefix("HF_HUB_OFFLINE=1 "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    return words[1:] if words[0] == "elsewise" and not {"|", ">", "<", ">>", "&&", ";"}.intersection(words) else None


def blocks(text):
    """The lines of each shell block of a document that call elsewise, as they are typed."""
    for block in BLOCK.finditer(text):
        if block["language"].strip() not in SHELLS or NOT_RUN.search(text[: block.start()]):
            continue
        lines = block["body"].replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        yield [line for line in prompted or lines if re.search(r"\belsewise ", line.split("#")[0])]


def test_commands_are_found_and_blocks_that_are_not_run_are_not():
    text = "```sh\nelsewise doctor  # a note\nmake x\n```\n\n<!-- not run: needs a GPU -->\n```sh\nelsewise demo\n```\n"

    assert list(blocks(text)) == [["elsewise doctor  # a note"]]


@pytest.fixture(scope="module")
def furnished(model, my_bert, tmp_path_factory):
    """A folder with what the pages speak of, and a program `elsewise` that trains briefly."""
    folder = tmp_path_factory.mktemp("documents")
    rows = support_texts(rows=540)
    for name, part in (("tickets", rows[:240]), ("labelled", rows[240:340]), ("new", rows[340:390]),
                       ("val", rows[390:490]), ("test", rows[490:])):  # fmt: skip
        columns = ("text", "label", "channel", "subject", "body", "customer", "created")
        with open_writer(folder / f"{name}.csv", columns) as writer:
            writer.write(
                {"text": row.text, "label": row.label, "channel": "mail" if i % 2 else "chat",
                 "subject": row.text[:20], "body": row.text, "customer": f"c{i // 2}", "created": i}
                for i, row in enumerate(part)
            )  # fmt: skip
    with (folder / "talepler.csv").open("w", encoding="cp1254", errors="replace", newline="") as file:  # as Excel does
        csv.writer(file, delimiter=";").writerows([("metin", "etiket"), *((row.text, row.label) for row in rows[:240])])
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(900, 4)) * 4
    codes = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    for name, part in (("", slice(0, 600)), ("test_", slice(600, 800)), ("new_", slice(800, 900))):
        np.save(folder / f"{name}logits.npy", logits[part])
        np.save(folder / f"{name}other_logits.npy", logits[part] + rng.normal(size=logits[part].shape))
        np.save(folder / f"{name}labels.npy", codes[part])
        np.save(folder / f"{name}features.npy", np.tanh(logits[part] + rng.normal(size=logits[part].shape)))
    np.save(folder / "outside.npy", rng.normal(size=(60, 4)))
    (folder / "my_model.py").write_text(MY_MODEL, encoding="utf-8")
    with open_writer(folder / "labels.csv", ("label",)) as writer:
        writer.write({"label": f"name {code}"} for code in codes[:600])
    (folder / "names.txt").write_text("".join(f"name {code}\n" for code in range(4)), encoding="utf-8")
    (folder / "mail.txt").write_text("where is my parcel, it is two weeks late\n", encoding="utf-8")
    for name, source in (("model", model), ("other-model", model), ("my-bert", my_bert)):
        linked(source, folder / name)
    with open_writer(folder / "held_out.csv", ("text", "label")) as writer:
        in_scope = (row for row in support_texts(3, 400) if row.label != OUT_OF_SCOPE)
        writer.write({"text": row.text, "label": row.label} for row in in_scope)
    model_of("bert").save_pretrained(folder / "small-encoder")
    tokenizer().save_pretrained(folder / "small-encoder")
    (folder / "bin").mkdir()
    program = folder / "bin" / "elsewise"
    shim = SHIM.format(python=sys.executable, tests=str(Path(__file__).parents[1]))
    program.write_text(shim, encoding="utf-8")
    program.chmod(0o755)
    return folder


def documents_with_commands():
    return [
        pytest.param(document, id=document.name)
        for document in DOCUMENTS
        if any(blocks(document.read_text(encoding="utf-8")))
    ]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder for models, each under the words that made it: the next page that types them takes it from here."""
    return tmp_path_factory.mktemp("fitted")


@pytest.mark.parametrize("document", documents_with_commands())
def test_every_command_of_a_document_runs(document, furnished, fitted, tiny_default, tmp_path, monkeypatch):
    place = tmp_path / "place"
    linked(furnished, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PATH", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}")

    for lines in blocks(Path(document).read_text(encoding="utf-8")):
        made = set()
        for line in dict.fromkeys(lines):  # a stopped command that is repeated was not stopped here
            if " --engine native" in line and not is_compiled():
                continue
            words = plain_words(line)
            clear_for_output(words or [], made)
            known = fitted / " ".join(word for word in words or ["-"] if word != "--overwrite")  # it is cleared anyway
            if known.exists():
                linked(known, Path("model"))
                continue
            if words is None:
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
            else:
                done = run(*shortened(words))
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            if words and words[0] == "fit" and Path("model") == Path(words[words.index("-o") + 1]):
                linked(Path("model"), known)
