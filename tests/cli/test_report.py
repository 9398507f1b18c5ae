"""Reports from the command line: written where they are asked for, refused where they would do harm."""

import csv
import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier.model_folder import ModelFolder
from elsewise.fitting import open_threshold
from elsewise.report import page
from support.reported import drawn, of_logits
from support.running import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model of logits with its report, and rows to evaluate it on."""
    folder = tmp_path_factory.mktemp("reported")
    z, codes = drawn(n=200, seed=9)
    np.save(folder / "z.npy", z)
    np.save(folder / "y.npy", codes)
    classifier = of_logits(labels=["a", "b", "c", "d"])
    html = page(classifier.provenance.judged, classifier).html
    classifier.with_provenance(report=html).save(folder / "model")
    of_logits(n=1500, labels=["a", "b", "c", "d"]).save(folder / "other")
    return folder


def evaluated(made, *words):
    return run("evaluate", made / "model", made / "z.npy", "--labels", made / "y.npy", *words)


def test_evaluate_writes_a_report_and_says_where(made, tmp_path):
    done = evaluated(made, "--report", tmp_path / "new.html", "--json")

    html = (tmp_path / "new.html").read_text(encoding="utf-8")
    judged = json.loads(done.stdout)
    assert f"written: {tmp_path / 'new.html'}" in done.stderr
    assert f"{judged['system']['accuracy_when_answered']['value']:.1%}".replace("%", "\u00a0%") in html
    assert f"elsewise evaluate {made / 'model'} LOGITS --labels LABELS --report report.html" in html


def test_a_report_is_replaced_by_overwrite_alone(made, tmp_path):
    report = tmp_path / "kept.html"
    report.write_text("mine", encoding="utf-8")

    refused = evaluated(made, "--report", report)
    kept = report.read_text(encoding="utf-8")
    replaced = evaluated(made, "--report", report, "--overwrite")

    assert (refused.returncode, kept) == (1, "mine")
    assert f"{report} exists already; to replace it, add --overwrite" in refused.stderr
    assert replaced.returncode == 0
    assert "<html" in report.read_text(encoding="utf-8")


def test_a_report_in_turkish(made, tmp_path):
    evaluated(made, "--report", tmp_path / "tr.html", "--language", "tr")

    assert '<html lang="tr">' in (tmp_path / "tr.html").read_text(encoding="utf-8")


def test_compare_writes_a_report(made, tmp_path):
    done = run("compare", made / "model", made / "other", "--logits", made / "z.npy", "--logits", made / "z.npy",
               "--labels", made / "y.npy", "--report", tmp_path / "compared.html")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "The verdict" in (tmp_path / "compared.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--report", "model/report.html"), "lies in the model folder, which must stay as it was written"),
        (("--report", "report.pdf"), "report.pdf cannot be a report: name a .html file with --report"),
        (("--report", "nowhere/report.html"), "cannot be written: there is no folder nowhere"),
        (("--report", "r.html", "--language", "de"), "unknown language 'de'; there are en, tr"),
    ],
)
def test_what_cannot_be_a_report_is_one_line_and_exit_1(made, monkeypatch, words, said):
    monkeypatch.chdir(made)

    done = evaluated(made, *words)

    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_keeps_its_report_and_marks_it_when_the_threshold_changes(made, tmp_path):
    ew.load(made / "model").save(tmp_path / "model")
    report = tmp_path / "model" / "report.html"
    assert 'id="outdated" hidden>' in report.read_text(encoding="utf-8")

    open_threshold(tmp_path / "model").change("fixed", threshold=0.9)
    assert 'id="outdated">' in report.read_text(encoding="utf-8")

    open_threshold(tmp_path / "model").undo()
    assert 'id="outdated" hidden>' in report.read_text(encoding="utf-8")
    assert ew.load(tmp_path / "model").provenance.report == report.read_text(encoding="utf-8")


def test_the_command_of_the_report_keeps_the_promise_that_it_shows(made, tmp_path):
    classifier = ew.load(made / "model")
    classifier.save(tmp_path / "model")
    from elsewise.report.contents import collect, promised_at

    band = collect(classifier, None).band
    point = promised_at(band, 0.7)

    done = run("threshold", tmp_path / "model", "--at", 0.7, "--band", "--json")

    certificate = json.loads(done.stdout)["after"]["certificate"]
    assert certificate["target_accuracy"] == pytest.approx(point.promised)
    assert certificate["threshold"] == pytest.approx(point.threshold)


def test_a_fit_leaves_a_report_in_its_folder(fitted_words, tmp_path):
    html = (fitted_words / "report.html").read_text(encoding="utf-8")

    assert "my secret" not in html
    assert "elsewise evaluate" in html
    assert ModelFolder.read(fitted_words).report == html


@pytest.fixture(scope="module")
def fitted_words(tmp_path_factory):
    """A folder by `elsewise fit` around a model that knows texts by heart."""
    folder = tmp_path_factory.mktemp("around")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows((f"my secret {i}", "ab"[i % 2]) for i in range(600))
    done = run("fit", "data.csv", "--engine", "mine:model", "-o", "model", "--target-accuracy", 0.8, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "to look at it, open" in done.stderr
    return folder / "model"


MINE = """
import numpy as np
from elsewise.outputs import Outputs


class Model:
    labels = ("a", "b")

    def run(self, texts):
        place = [int(text.split()[-1]) if text.startswith("my secret") else 0 for text in texts]
        return Outputs(np.array([[1.0 + i % 7, 0.0] if i % 2 == (i % 11 == 0) else [0.0, 1.0 + i % 5] for i in place]))


model = Model()
"""
