"""The first hour of a new user: a Turkish file with faults, and only the commands that the README and `check` print.

It ends with a certified model, and with a refusal that is explained in Turkish.
"""

import csv
import json
import shlex

import pytest

from support import turkish_tickets
from support.running import run

SHORT = ("--quick", "--precision", "f32")  # fine-tuning would be better, and int8 faster: `make demo` does both
ROWS = 1000  # so would more of these
NEW = 200


def typed(place, *words):
    """Type a command in a folder; give its exit code and all that it wrote."""
    done = run(*words, folder=place)
    return done.returncode, done.stderr + done.stdout


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """Everything typed in that hour, with what was said: check, the command that it prints, predict, explain."""
    pytest.importorskip("torch")
    place = tmp_path_factory.mktemp("hour")
    planted = turkish_tickets.write(place / "talepler.csv", ROWS)
    with (place / "yeni.csv").open("w", encoding="cp1254", newline="") as file:
        new = [text for text, _ in turkish_tickets.rows(NEW, seed=1)]
        csv.writer(file, delimiter=";").writerows([("no", "mesaj"), *enumerate(new)])
    return place, planted


@pytest.fixture(scope="module")
def checked(hour):
    code, said = typed(hour[0], "check", "talepler.csv")
    assert code == 1  # the file cannot be read without being told how
    return said, shlex.split(said.splitlines()[-1])


@pytest.fixture(scope="module")
def fitted(hour, checked):
    words = checked[1]
    code, said = typed(hour[0], *words[words.index("fit") :], *SHORT)
    assert code == 0, said
    return said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("label with one row", "'wifi' (1)"),
        ("near-duplicate label", "one label in 2 spellings: 'fatura'"),
        ("blank text", "blank text"),
        ("blank label", "has an empty label in 'konu'"),
        ("ragged row", "has 5 fields, the header has 4"),
        ("conflicting text", "text with different labels"),
        ("NUL", "control characters such as NUL"),
    ],
)
def test_check_names_each_fault_and_where_it_stands(hour, checked, fault, words):
    said = checked[0]

    (line,) = [line for line in said.splitlines() if words in line]
    assert all(str(number) in line for number in hour[1][fault])


@pytest.mark.parametrize(
    "words",
    [
        "delimiter ';' (read from the header)",
        "assumed: cp1254",
        "assumed: 'mesaj'",
        "assumed: 'konu'",
        "column 'not' is empty",
        "label 'kapsam_dışı' (79 rows) seems to mark texts that belong to none of the labels",
        "was not made for their language",
        "could be promised at best",
        "with a text that came before",
    ],
)
def test_check_says_how_it_read_and_what_it_assumes(checked, words):
    assert words in checked[0]


def test_the_command_that_check_prints_makes_a_certified_model(fitted, hour):
    described = json.loads((hour[0] / "model" / "elsewise.json").read_text(encoding="utf-8"))
    certificate = described["engines"][described["engine"]]["rule"]["certificate"]

    assert certificate["certified"] is True
    assert "Fatura " not in described["labels"]
    assert "At least 95 % of what is answered is right" in fitted


def test_every_row_of_the_mended_file_is_accounted_for(fitted, hour):
    described = json.loads((hour[0] / "model" / "elsewise.json").read_text(encoding="utf-8"))
    record = described["record"]

    assert sum(record["splits"].values()) + sum(record["dropped"].values()) + 3 == ROWS  # blank text, label, ragged row


@pytest.fixture(scope="module")
def answers(hour, fitted):
    place = hour[0]
    words = ("predict", "model", "yeni.csv", "-o", "cevaplar.csv", "--text-column", "mesaj", "--encoding", "cp1254")
    code, said = typed(place, *words, "--sentences", "tr")
    assert code == 0, said
    with (place / "cevaplar.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_new_mail_is_answered_and_refused_with_sentences_in_turkish(answers):
    refused = [row for row in answers if row["abstained"] == "true"]

    assert len(answers) == NEW
    assert 0 < len(refused) < NEW / 2
    told = ("güven değeri", "bu kural böyle bir metne etiket vermez", "kuralın taban olasılığının altında")
    assert all(any(words in row["sentence"] for words in told) for row in refused)


def test_a_refusal_is_explained_in_turkish_and_confirmed_later(answers, hour):
    place = hour[0]
    text = next(row["mesaj"] for row in answers if row["abstained"] == "true")

    code, said = typed(place, "explain", "model", text, "--language", "tr", "--receipt-out", "makbuz.json")
    later, confirmed = typed(place, "explain", "model", text, "--receipt", "makbuz.json")

    assert (code, later) == (0, 0), said + confirmed
    assert "Other: " in said
    assert "Metni bir görevlimiz inceleyecektir." in said
    assert "the same, bit for bit" in confirmed
