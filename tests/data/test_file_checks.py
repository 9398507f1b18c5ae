"""A file of labelled texts as a stranger sees it, and the command that fits on it."""

import gzip
import io
import json
import shlex
import unicodedata
import zipfile
from random import Random

import pytest

import elsewise as ew
from elsewise.data.file_checks import check_file
from elsewise.data.labelled_texts import Reading
from elsewise.engines.encoders import DEFAULT_ENCODER, find_tokenizer
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from support.planted import write_faulty
from support.running import run

UNKNOWN = {"encoder": "nobody/nothing"}  # no tokenizer: quicker


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data.csv"


def of_kind(checked, kind):
    return [finding for finding in checked.findings.findings if finding.kind == kind]


def simple(header="text,label", rows=40):
    return header + "\n" + "".join(f"a long text of number {i},{'ab'[i % 2]}\n" for i in range(rows))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    path = tmp_path_factory.mktemp("müşteri verisi") / "müşteri talepleri.csv"
    return path, write_faulty(path, rows=900)


def test_every_planted_fault_is_named_with_its_lines(faulty):
    path, planted = faulty

    checked = check_file(str(path), **UNKNOWN)

    where = {}
    for finding in checked.findings.findings:
        where.setdefault(finding.kind, []).extend(finding.where)
    assert sorted(where["bad_rows"]) == [*planted["blank label"], *planted["ragged row"]]
    assert where["near_duplicate_labels"] == planted["spelling"]
    assert where["rare_labels"] == planted["one-row label"]
    assert where["blank_texts"] == planted["blank text"]
    assert where["contradicting_labels"] == planted["contradiction"]
    assert where["control_characters"] == planted["NUL"]
    assert planted["repeat"][1] in where["repeated_texts"]
    words = [finding.sentence for finding in checked.findings.findings]
    assert "column 'boş' is empty" in words
    assert any("label 'diğer' (31 rows) seems to mark texts that belong to none of the labels" in w for w in words)
    assert any("assumed: cp1254" in w for w in words)
    assert (checked.rows, checked.usable) == (900, 897)
    assert checked.notes[:2] == ("delimiter ';' (read from the header)", "encoding cp1254")


def test_what_is_printed_is_what_fit_needs_and_mends_what_was_found(faulty):
    path, _ = faulty
    checked = check_file(str(path), **UNKNOWN)

    assert shlex.join(checked.options) == (
        "--encoder nobody/nothing --encoding cp1254 --text-column metin --label-column kategori --skip-bad-rows "
        "--map FATURA=Fatura --map 'fatura =Fatura' --out-of-scope-label 'diğer'"
    )


def test_the_printed_commands_work_as_they_are_printed(faulty, tmp_path):
    """An encoder with random weights: what it learns does not matter here."""
    pytest.importorskip("torch")
    from support.small_models import model_of, tokenizer

    path, _ = faulty
    encoder = tmp_path / "a small encoder"
    model_of("bert").save_pretrained(encoder)
    tokenizer().save_pretrained(encoder)
    first = run("check", path, "--encoder", encoder)
    printed = first.stdout.splitlines()[-1].strip().removeprefix("Next: ")
    program, *words = shlex.split(printed)
    words[words.index("model")] = str(tmp_path / "model")

    again = [word for word in words if word not in ("-o", str(tmp_path / "model"))]
    again[again.index("fit")] = "check"
    second = run(*again)
    fitted = run(*words, "--epochs", 1, "--max-length", 16, "--precision", "f32", "--json")

    assert program == "elsewise"
    assert (first.returncode, second.returncode, fitted.returncode) == (1, 0, 0), second.stdout + fitted.stderr
    assert "Errors: fit would refuse" in first.stdout
    assert "Errors" not in second.stdout
    assert "Traceback" not in first.stderr + second.stderr + fitted.stderr
    record = json.loads(fitted.stdout)["record"]
    assert record["mended"] == {"data": {"bad": 5, "renamed": 2}}
    assert "warning: 1 label has fewer than 3 rows" in fitted.stderr


def test_a_clean_file_needs_no_option(data):
    data.write_text(simple(), encoding="utf-8")

    checked = check_file(str(data), **UNKNOWN)

    assert checked.findings.of_level("error") == ()
    assert checked.options == ("--encoder", "nobody/nothing")
    assert checked.usable == 40


def test_columns_are_guessed_by_name_and_by_what_they_hold(data):
    lines = [f"{i},short {i},{'x' * 30} {i},{'ab'[i % 2]},{i % 5}" for i in range(40)]
    data.write_text("\n".join(["id,title,notes,urgent,team", *lines]), encoding="utf-8")

    checked = check_file(str(data), **UNKNOWN)
    named = check_file(str(data), Reading(label_column="team"), **UNKNOWN)

    assert (checked.how.text_column, checked.how.label_column) == ("notes", "urgent")  # words before numbers
    assert [finding.level for finding in of_kind(checked, "text_column")] == ["error"]
    assert of_kind(named, "label_column") == []


def test_a_column_named_for_it_wins(data):
    lines = [f"{i % 8},{'ab'[i % 2]},some text {i}" for i in range(40)]
    data.write_text("\n".join(["city,Kategori,Mesaj", *lines]), encoding="utf-8")

    checked = check_file(str(data), **UNKNOWN)

    assert (checked.how.text_column, checked.how.label_column) == ("Mesaj", "Kategori")


def test_without_a_column_that_could_hold_labels_the_columns_are_named(data):
    data.write_text("a,b\n" + "".join(f"text {i},other text {i}\n" for i in range(9)), encoding="utf-8")

    checked = check_file(str(data), **UNKNOWN)

    (finding,) = of_kind(checked, "refused")
    assert finding.sentence.endswith("has no column 'label'; it has 'a', 'b'; name the right one with label_column=")


def test_skipped_rows_are_a_warning_and_no_error(data):
    data.write_text(simple() + "ragged\n", encoding="utf-8")

    checked = check_file(str(data), Reading(skip_bad_rows=True), **UNKNOWN)

    assert [finding.level for finding in of_kind(checked, "bad_rows")] == ["warning"]
    assert checked.options.count("--skip-bad-rows") == 1


def test_a_bar_between_columns_is_assumed_and_said(data):
    data.write_text(simple().replace(",", "|"), encoding="utf-8")

    checked = check_file(str(data), **UNKNOWN)

    assert checked.usable == 40
    assert of_kind(checked, "delimiter")[0].options == ("--delimiter", "|")


def test_a_first_line_that_is_a_row_is_noticed(data):
    data.write_text(simple(header="my text,a"), encoding="utf-8")

    assert of_kind(check_file(str(data), **UNKNOWN), "no_header")


def test_a_file_of_two_encodings_is_told_by_its_lines_and_nothing_else_is(data):
    data.write_bytes(simple().encode() + "ğüşıöç çok güzel,a\n".encode() + "ğü,a\n".encode("cp1254"))

    checked = check_file(str(data), **UNKNOWN)

    encoding, refused = checked.findings.findings
    assert encoding.where == (43,)
    assert "the rest of the file is UTF-8" in encoding.sentence
    assert refused.sentence.endswith("could not be read to the end; fix these lines and check again")


def test_a_held_out_file_is_looked_at_too(data, tmp_path):
    data.write_text(simple(), encoding="utf-8")
    held_out = tmp_path / "held out.csv"
    held_out.write_text(simple(rows=30) + "ragged\n", encoding="utf-8")

    checked = check_file(str(data), held_out=str(held_out), **UNKNOWN)

    assert f"1 row of {held_out} cannot be used: has 1 field, the header has 2" in {
        finding.sentence for finding in checked.findings.of_level("error")
    }
    assert ("--held-out", str(held_out)) == checked.options[2:4]


@pytest.mark.parametrize(("path", "words"), [("-", "not a file that can be read more"), ("/no/file", "does not exist")])
def test_what_is_no_file_is_refused(path, words):
    with pytest.raises(InputError, match=words):
        check_file(path)


def test_check_prints_json_and_says_by_its_exit_code_whether_fit_would_refuse(data):
    data.write_text(simple(header="body,label"), encoding="utf-8")

    done = run("check", data, "--json")

    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["command"].endswith("-o model --text-column body")
    assert {"level", "kind", "sentence", "remedy", "options", "where"} == set(said["findings"]["findings"][0])


def tickets(path, **columns):
    """240 rows; labels come in runs of 4."""
    rows = [f"a long text of number {i},{'abc'[i // 4 % 3]}," + ",".join(cell(i) for cell in columns.values())
            for i in range(240)]  # fmt: skip
    path.write_text(",".join(("text", "label", *columns)) + "\n" + "\n".join(rows) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("name", "cell", "is_told"),
    [
        ("writer", lambda i: f"w{i // 4}", True),
        ("writer", lambda i: f"w{i // 4}" if i % 4 else "", True),
        ("customer id", lambda i: f"c{i * 7 % 61}", True),
        ("writer", lambda i: f"w{Random(i).randrange(60)}", False),
        ("customer id", lambda i: str(max(i, 98)), False),
        ("customer id", lambda i: str(max(i, 100)), True),
        ("customer id", lambda i: "xyz"[i // 4 % 3], False),
    ],
    ids=[
        "shares labels",
        "some without",
        "is named so",
        "tells nothing",
        "nearly all different",
        "100 share",
        "a few values",
    ],
)
def test_a_column_that_looks_like_groups_is_suggested(data, name, cell, is_told):
    checked = check_file(tickets(data, **{name: cell}), **UNKNOWN)

    found = of_kind(checked, "likely_groups")
    assert [finding.remedy.endswith(f"group_column={name!r}") for finding in found] == [True] * is_told
    assert checked.options == ("--encoder", "nobody/nothing")


def test_columns_that_are_given_are_in_the_command_and_suggested_no_more(data):
    path = tickets(data, customer=lambda i: f"c{i // 4}", when=str)

    checked = check_file(path, group_column="customer", time_column="when", count_repeats=True, **UNKNOWN)

    assert checked.findings.parts["grouped"] > 0
    assert of_kind(checked, "likely_groups") == []
    command = "--group-column customer --time-column when --count-repeats"
    assert command in shlex.join(checked.options)


def test_a_group_column_that_is_not_there_is_an_error(data):
    checked = check_file(tickets(data, when=str), group_column="customer", **UNKNOWN)

    (finding,) = checked.findings.of_level("error")
    assert finding.sentence.endswith("name the right one with group_column=")


# Files that no option makes readable


def _zipped():
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("xl/workbook.xml", simple())
    return whole.getvalue()


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by heart") / "model"
    ew.Classifier(MemoryEngine(("a", "b"), {"hm": [4.0, 0.0]}), ew.Identity(), ew.FixedThreshold(0.7)).save(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.xlsx", _zipped()),
        ("data.csv", _zipped()),
        ("data.csv", gzip.compress(simple().encode(), mtime=0)),
        ("data.parquet", b"PAR1\x15\x04" + bytes(range(256)) + b"PAR1"),
        ("data.docx", b"text,label\n"),
        ("data.csv", bytes(range(256)) * 4),
    ],
)
def test_check_says_what_predict_says_of_a_file_that_no_option_makes_readable(by_heart, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)

    checked = run("check", name, folder=tmp_path)

    predicted = run("predict", by_heart, name, "-o", "out.csv", folder=tmp_path)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == predicted.stderr
    assert name in checked.stderr
    assert "--encoding" not in checked.stderr


@pytest.mark.parametrize("indent", [None, 2])
def test_check_and_predict_show_how_to_make_rows_of_a_json_list(by_heart, tmp_path, indent):
    rows = [{"text": f"a text of number {i}", "label": "ab"[i % 2]} for i in range(40)]
    (tmp_path / "data.json").write_text(json.dumps(rows, indent=indent), encoding="utf-8")

    checked = run("check", "data.json", folder=tmp_path)

    predicted = run("predict", by_heart, "data.json", "-o", "out.csv", folder=tmp_path)
    said = predicted.stderr.removeprefix("elsewise: ").strip()
    assert said in checked.stdout
    assert said.endswith("make them of a list: jq -c '.[]' data.json > new.jsonl")


def test_json_lines_in_a_json_file_are_read(tmp_path):
    rows = [{"text": f"a text of number {i}", "label": "ab"[i % 2]} for i in range(40)]
    (tmp_path / "data.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    assert check_file(str(tmp_path / "data.json"), **UNKNOWN).usable == 40


def test_rows_that_a_quote_has_merged_are_a_warning_with_the_option(tmp_path):
    rows = [f"a long text of number {i}\t{'ab'[i % 2]}" for i in range(40)]
    rows[10], rows[14] = f'"{rows[10]}', rows[14].replace("\t", '"\t')
    (tmp_path / "data.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")

    checked = check_file(str(tmp_path / "data.tsv"), **UNKNOWN)

    (found,) = of_kind(checked, "merged_rows")
    assert (found.level, found.where, found.options) == ("warning", (12,), ("--literal-quotes",))
    assert checked.options[-1] == "--literal-quotes"
    mended = check_file(str(tmp_path / "data.tsv"), Reading(literal_quotes=True), **UNKNOWN)
    assert (checked.usable, mended.usable) == (36, 40)
    assert "--literal-quotes" in mended.options
    assert of_kind(mended, "merged_rows") == []


def test_columns_are_found_in_another_unicode_form(tmp_path):
    header = unicodedata.normalize("NFD", "açıklama,ürün")
    (tmp_path / "data.csv").write_text(simple(header), encoding="utf-8")

    checked = check_file(str(tmp_path / "data.csv"), Reading("açıklama", "ürün"), **UNKNOWN)

    assert checked.usable == 40
    assert checked.findings.of_level("error") == ()
    assert (checked.how.text_column, checked.how.label_column) == tuple(header.split(","))


def test_an_unknown_keyword_names_the_nearest(tmp_path):
    with pytest.raises(TypeError, match=r"^check_file\(\) got .* 'max_lenght'; did you mean max_length\?$"):
        check_file(str(tmp_path / "data.csv"), max_lenght=64)


@pytest.mark.skipif(find_tokenizer(DEFAULT_ENCODER) is None, reason="the default encoder is not on this machine")
def test_turkish_lowercasing_is_proposed_where_an_uncased_encoder_meets_turkish_and_no_more_once_it_is_asked_for(data):
    data.write_text(
        "text,label\n" + "".join(f"kargo ŞUBESİ {i} açık mı,{'ab'[i % 2]}\n" for i in range(90)), encoding="utf-8"
    )

    first = check_file(str(data))
    (found,) = (finding for finding in first.findings.findings if finding.kind == "turkish_lowercase")
    again = check_file(str(data), lowercase="tr")

    assert found.level == "warning"
    assert found.remedy == "lowercase='tr' reads them as one"
    assert first.options[-2:] == again.options == ("--lowercase", "tr")
    assert "turkish_lowercase" not in [finding.kind for finding in again.findings.findings]
