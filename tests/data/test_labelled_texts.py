"""Labelled texts from files: what is mended while reading, and what is refused."""

import io
import unicodedata
from importlib.util import find_spec
from zipfile import ZipFile

import numpy as np
import pytest

from elsewise.data import logits as logits_module
from elsewise.data.labelled_texts import Reading, read_files, read_labelled
from elsewise.data.labels import Relabelling, label_codes, label_form, near_duplicates, own_labels
from elsewise.data.logits import read_codes, read_logits, read_names
from elsewise.errors import InputError, MissingExtra


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)

    return write


def test_several_text_columns_are_joined_by_a_blank_without_blank_cells(write):
    path = write("subject,body,label\nRefund,Where is it?,a\n,Hello,b\nBye,  ,a\n")

    read = read_labelled(path, Reading("subject, body"), strict=True)

    assert read.texts == ["Refund Where is it?", "Hello", "Bye"]
    assert read.lines == [2, 3, 4]


def test_a_column_whose_name_holds_a_comma_wins(write):
    path = write('"a,b",a,b,label\nwhole,x,y,l\n')

    assert read_labelled(path, Reading("a,b"), strict=True).texts == ["whole"]


def test_a_text_column_that_is_not_there_is_named(write):
    path = write("subject,label\nx,a\n")

    with pytest.raises(InputError, match=r"has no column 'body'; it has 'subject', 'label'; name the right one with"):
        read_labelled(path, Reading("subject,body"), strict=True)


def test_json_rows_may_lack_one_of_several_text_columns_but_not_all(write):
    path = write(
        '{"a": "x", "b": null, "label": "l"}\n{"b": "y", "label": "l"}\n{"label": "l"}\n'
        '{"a": "x", "b": [1], "label": "l"}\n{"a": "null", "b": "z", "label": "l"}\n',
        "data.jsonl",
    )

    read = read_labelled(path, Reading("a,b"), strict=False)

    assert read.texts == ["x", "y", "null z"]
    assert [(row.line, row.problem) for row in read.bad] == [
        (3, "has no 'a'"),
        (4, "has a list in 'b', not text"),
    ]


def test_labels_are_renamed_and_left_out_while_reading(write):
    path = write("text,label\nx,Fatura\ny,fatura \nz,test\nw,Kargo\n")

    read = read_labelled(path, Reading(maps=("fatura =Fatura",), dropped=("test",)), strict=True)

    assert read.texts == ["x", "y", "w"]
    assert read.labels == ["Fatura", "Fatura", "Kargo"]
    assert read.lines == [2, 3, 5]
    assert read.record == {"renamed": 1, "dropped": 1}
    assert read.notes[-2:] == ("1 row renamed", "1 row left out by label")


def test_slices_lose_the_same_rows(write):
    path = write("text,label,city\nx,a,Wien\ny,b,Ankara\n")

    read = read_labelled(path, Reading(dropped=("a",)), strict=True, slices=("city",))

    assert read.columns == {"city": ["Ankara"]}


def test_a_label_that_only_a_held_out_file_has_can_be_renamed(write):
    data, held_out = write("text,label\nx,Fatura\n"), write("text,label\ny,fatura \n", "held-out.csv")

    first, second = read_files([data, held_out], Reading(maps=("fatura =Fatura",)), strict=True)

    assert (first.labels, second.labels) == (["Fatura"], ["Fatura"])


@pytest.mark.parametrize(
    ("maps", "dropped", "words"),
    [
        (["fatura=x"], [], r"no row has the label 'fatura'; near it: 'Fatura'"),
        ([], ["Kargoo"], r"dropped='Kargoo': no row has the label 'Kargoo'; near it: 'Kargo'"),
        (["Fatura"], [], r'maps= takes "old=new", got \'Fatura\''),
        (["Fatura= "], [], r"has no new label after the =; dropped= leaves a label out"),
        (["Fatura=x", "Fatura=y"], [], r"maps= renames 'Fatura' twice, to 'x' and to 'y'; keep one of them"),
        (["Fatura=x"], ["Fatura"], r"label 'Fatura' is both renamed and dropped"),
        (["a=b=c"], [], r"can mean 'a' to 'b=c' or 'a=b' to 'c'; rename one of them in the file"),
    ],
)
def test_a_rule_that_fits_no_label_says_why(maps, dropped, words):
    with pytest.raises(InputError, match=words):
        Relabelling.of(maps, dropped, {"Fatura", "Kargo", "a", "a=b"})


def test_each_label_is_renamed_once():
    relabel = Relabelling.of(["a=b", "b=c"], [], {"a", "b"})

    assert [relabel(label) for label in ("a", "b", "c")] == ["b", "c", "c"]


def test_an_equals_sign_in_a_label_parts_nothing():
    assert Relabelling.of(["x=1=x is one"], [], {"x=1"}).new == {"x=1": "x is one"}


def test_labels_are_near_when_case_blanks_dots_or_unicode_forms_differ():
    same = ["İade Talebi", "iade talebi", "IADE  TALEBİ", "iade_talebi", unicodedata.normalize("NFD", "İade Talebi")]

    assert len(set(same)) == 5
    assert near_duplicates([*same, "Kargo"]) == [same]
    assert label_form("Ürün") != label_form("Urun")


def test_labels_of_signs_alone_are_no_duplicates():
    assert near_duplicates(["-", "_", "--"]) == []


def test_bad_rows_are_refused_with_their_number_and_the_first_lines(write):
    path = write("text,label\nx,a\ny\nz,\nw,b\n" + "q,\n" * 6)

    with pytest.raises(InputError) as error:
        read_labelled(path, Reading(), strict=True)

    assert str(error.value) == (
        f"{path} line 3: row 2 has 1 field, the header has 2\n"
        "8 rows cannot be used (lines 3, 4, 6, 7, 8, ...): elsewise check shows them all, "
        "skip_bad_rows=True leaves them out"
    )


def test_bad_rows_and_blank_texts_are_skipped_when_asked_and_counted(write):
    path = write("text,label\nx,a\ny\n  ,a\nw,b\n")

    read = read_labelled(path, Reading(skip_bad_rows=True), strict=True)

    assert read.texts == ["x", "w"]
    assert [row.line for row in read.bad] == [3, 4]
    assert read.record == {"bad": 2}
    assert "2 rows left out: lines 3, 4" in read.notes


def test_a_blank_text_is_a_text_when_rows_are_not_skipped(write):
    assert read_labelled(write("text,label\n ,a\n"), Reading(), strict=True).texts == [" "]


def test_logits_and_codes_come_from_one_npz(tmp_path):
    z, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])
    np.savez(tmp_path / "both.npz", logits=z, codes=y)
    np.savez(tmp_path / "one.npz", z)
    both = str(tmp_path / "both.npz")

    assert np.array_equal(read_logits(both, Reading())[0], z)
    assert np.array_equal(read_codes(both, Reading(), int), y)
    assert np.array_equal(read_logits(str(tmp_path / "one.npz"), Reading())[0], z)


def test_an_npz_without_logits_names_what_it_has(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(2), b=np.zeros(2))

    with pytest.raises(InputError, match=r"x.npz holds 'a', 'b'; save one array as 'logits'"):
        read_logits(str(tmp_path / "x.npz"), Reading())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_npz_is_refused(content, tmp_path):
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(InputError, match=r"x.npz (cannot be read as a .npz array|holds no array; save one array as)"):
        read_logits(str(tmp_path / "x.npz"), Reading())


def test_parquet_needs_its_extra_or_reads_the_columns_of_the_labels(tmp_path):
    path = str(tmp_path / "z.parquet")
    if find_spec("pyarrow") is None:
        with pytest.raises(MissingExtra, match=r"pip install 'elsewise\[parquet\]'"):
            read_logits(path, Reading())
        return
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": ["a", "b"]}), path)
    assert read_logits(path, Reading(), ("b", "a"))[0].tolist() == [[3.0, 1.0], [4.0, 2.0]]
    assert read_logits(path, Reading())[1] == ("a", "b")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_that_says_it_is_larger_than_any_memory_is_refused(tmp_path, suffix):
    header, path = io.BytesIO(), tmp_path / f"x{suffix}"
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 2)})
    if suffix == ".npy":
        path.write_bytes(header.getvalue())
    else:
        with ZipFile(path, "w") as archive:
            archive.writestr("logits.npy", header.getvalue())

    with pytest.raises(InputError, match=rf"x{suffix} cannot be read as a {suffix} array of numbers"):
        read_logits(str(path), Reading())


def test_what_unpacks_to_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", logits=np.zeros((1000, 2)))
    monkeypatch.setattr(logits_module, "memory", lambda: 4 * 16_128)
    assert len(read_logits(str(tmp_path / "x.npz"), Reading())[0]) == 1000

    monkeypatch.setattr(logits_module, "memory", lambda: 4 * 16_128 - 1)
    with pytest.raises(InputError, match=r"x.npz unpacks to 0 GB, too much for 0 GB of memory; save it as .npy"):
        read_logits(str(tmp_path / "x.npz"), Reading())


@pytest.mark.parametrize(
    ("names", "columns", "room", "message"),
    [
        ("ab", [[1.0], ["x"]], None, r"z.parquet: column 'b' holds string, not numbers"),
        ("aa", [[1.0], [2.0]], None, r"z.parquet has more than one column named 'a'; rename all but one"),
        ("ab", [[1.0] * 1000, [2.0] * 1000], 63_999, r"z.parquet unpacks to 0 GB, too much for 0 GB of memory"),
    ],
)
def test_parquet_is_refused_before_it_is_read(tmp_path, monkeypatch, names, columns, room, message):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(logits_module, "memory", lambda: room)
    table = pa.Table.from_arrays([pa.array(column) for column in columns], names=list(names))
    parquet.write_table(table, tmp_path / "z.parquet")

    with pytest.raises(InputError, match=message):
        read_logits(str(tmp_path / "z.parquet"), Reading())


# Names in another Unicode form

NFD = unicodedata.normalize("NFD", "açıklama,ürün,müşteri")


def test_columns_are_found_in_another_unicode_form(write):
    path = write(f"{NFD}\nwhere is it,delivery,ann\n")

    read = read_labelled(path, Reading("açıklama", "ürün"), strict=True, slices=["müşteri"])

    assert (read.texts, read.labels, read.columns) == (["where is it"], ["delivery"], {"müşteri": ["ann"]})


def test_a_column_that_two_others_could_be_is_not_chosen(write):
    forms = ["\N{ANGSTROM SIGN}", "A\N{COMBINING RING ABOVE}"]
    path = write(f"{','.join(forms)},label\nx,y,l\n")

    assert read_labelled(path, Reading(forms[1]), strict=True).texts == ["y"]
    with pytest.raises(InputError, match="has no column"):
        read_labelled(path, Reading("Å"), strict=True)


def test_logits_and_their_labels_are_found_in_another_unicode_form(write):
    path = write(f"{NFD}\n1,2,3\n")

    read = read_logits(path, Reading(), ("müşteri", "ürün", "açıklama"))

    assert read[0].tolist() == [[3, 2, 1]]
    assert read_codes(path, Reading(label_column="ürün"), int).tolist() == [2]


# Labels that are written otherwise


@pytest.mark.parametrize(
    ("label", "known", "own"),
    [
        ("2.0", ["1", "2"], "2"),
        ("2", ["1.0", "2.0"], "2.0"),
        ("2,0", ["1", "2"], "2"),
        ("-1.0", ["-1", "1"], "-1"),
        ("true", ["True", "False"], "True"),
        ("TRUE", ["true", "false"], "true"),
        (unicodedata.normalize("NFD", "ürün"), ["ürün"], "ürün"),
        ("2.0", ["2", "2.0"], "2.0"),
        ("2.0", ["2", "2,0"], None),
        ("2.5", ["2"], None),
        ("02", ["2"], None),
        ("2.000", ["2"], None),
        ("1,000", ["1"], None),
        ("Refund", ["refund"], None),
    ],
)
def test_a_label_is_found_where_only_one_is_the_same_written_otherwise(label, known, own):
    assert own_labels([label], known) == [own]


def test_codes_and_labels_that_pandas_wrote_as_floats_are_read():
    names = label_codes(["billing", "login", "refund"])
    numbers = label_codes(["0", "1", "2"])

    assert [names(cell) for cell in ("2.0", "0.0", "-1.0", " 1.0 ", "2,0", "login")] == [2, 0, -1, 1, 2, 1]
    assert [numbers(cell) for cell in ("2.0", "0", "1,0")] == [2, 0, 1]
    with pytest.raises(InputError, match=r"label '3.0' is neither one of the 3 names nor a code"):
        names("3.0")


def test_labels_are_dropped_and_renamed_in_another_unicode_form(write):
    path = write(f"text,label\na,{unicodedata.normalize('NFD', 'Ödeme')}\nb,{unicodedata.normalize('NFD', 'İade')}\n")

    read = read_labelled(path, Reading(maps=("Ödeme=payment",), dropped=("İade",)), strict=True)

    assert read.labels == ["payment"]


def test_a_label_with_and_without_a_decimal_is_one_in_two_spellings():
    assert near_duplicates(["1", "2", "1.0"]) == [["1", "1.0"]]


# Numbers with a decimal comma, and names of labels in JSON


def test_a_number_with_a_decimal_comma_names_the_option_that_reads_it(write):
    path = write("a;b\n-0,5;1\n,25;-1,5e-3\n")

    with pytest.raises(InputError, match=r"line 2: row 1 has '-0,5' in column 'a', .*; read it with decimal=','$"):
        read_logits(path, Reading())
    assert read_logits(path, Reading(decimal=","))[0].tolist() == [[-0.5, 1], [0.25, -0.0015]]


@pytest.mark.parametrize("cell", ["1,234,5", "1.234,5", "a,b", ","])
def test_what_has_a_comma_and_is_no_number_names_no_option(write, cell):
    with pytest.raises(InputError, match=r"not a number$"):
        read_logits(write(f"a;b\n{cell};1\n"), Reading())


def test_a_first_line_of_numbers_with_decimal_commas_is_no_header(write):
    with pytest.raises(InputError, match=r"^the first line of .* holds numbers, not names"):
        read_logits(write("0,5;1,25\n0,1;0,2\n"), Reading(decimal=",", delimiter=";"))


@pytest.mark.parametrize("decimal", ["", ";", ".,"])
def test_a_decimal_sign_that_is_none_is_refused(decimal):
    with pytest.raises(InputError, match="the decimal sign must be"):
        Reading(decimal=decimal)


@pytest.mark.parametrize(
    "content",
    ['["billing", "login"]', '{"0": "billing", "1": "login"}', '{"id2label": {"1": "login", "0": "billing"}, "x": 1}'],
)
def test_names_in_json_are_a_list_or_those_of_transformers(write, content):
    assert read_names(write(content, "names.json")) == ("billing", "login")


@pytest.mark.parametrize("content", ["", "[]", "[1, 2]", '["a", ""]', '{"1": "a", "2": "b"}', '"a"', "[" * 100_000])
def test_json_without_names_is_refused(write, content):
    with pytest.raises(
        InputError, match=r'names.json holds no label names; write a list of them, as in \["yes", "no"\]'
    ):
        read_names(write(content, "names.json"))
