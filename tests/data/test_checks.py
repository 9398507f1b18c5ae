"""What is wrong with labelled texts, before any training."""

import json
import unicodedata

import numpy as np
import pytest
import tokenizers

from elsewise.data.checks import FEWEST_A_LABEL, check, size_findings
from elsewise.engines.encoders import DEFAULT_ENCODER, find_tokenizer
from elsewise.errors import InputError
from elsewise.rules.fixed_sequence import BinomialTest

NFD = unicodedata.normalize("NFD", "Ödeme")


def rows(*more, n=60):
    """Texts that differ, of two labels, and more rows."""
    texts = [f"a text of number {i}" for i in range(2 * n)]
    labels = ["Ödeme", "Kargo"] * n
    return [*texts, *(text for text, _ in more)], [*labels, *(label for _, label in more)]


def found(kind, *more, n=60, **asked):
    return [finding for finding in check(*rows(*more, n=n), **asked).findings if finding.kind == kind]


def test_nothing_is_wrong_with_many_rows_of_two_labels():
    findings = check(*rows(n=1500))

    assert findings.of_level("error") == findings.of_level("warning") == ()
    assert [(row.label, row.rows) for row in findings.labels] == [("Kargo", 1500), ("Ödeme", 1500)]
    assert sum(findings.parts.values()) == 3000


def test_what_fit_would_refuse_is_an_error():
    (finding,) = check(["x", "y"], ["a", "a"]).findings

    assert finding.level == "error"
    assert finding.sentence == "at least 2 labels are needed to tell texts apart, got only 'a'"


def test_an_impossible_promise_is_refused():
    with pytest.raises(InputError, match="target_accuracy must lie between 0 and 1, got 95"):
        check(["x", "y"], ["a", "b"], target_accuracy=95)


def test_spellings_of_one_label_are_named_with_the_option_that_merges_them():
    (finding,) = found("near_duplicate_labels", ("x", "kargo "), ("y", "KARGO"), ("z", "KARGO"))

    assert finding.sentence == "one label in 3 spellings: 'Kargo' (60 rows), 'KARGO' (2 rows), 'kargo ' (1 row)"
    assert finding.options == ("--map", "KARGO=Kargo", "--map", "kargo =Kargo")
    assert finding.remedy == "if they mean the same, keep one spelling"
    assert finding.typed == "--map KARGO=Kargo --map 'kargo =Kargo'"
    assert finding.where == (120, 121, 122)


def test_a_label_in_another_unicode_form_is_a_spelling():
    (finding,) = found("near_duplicate_labels", ("x", NFD))

    assert finding.options == ("--map", f"{NFD}=Ödeme")


def test_a_label_that_no_shell_can_pass_is_to_be_written_in_the_file():
    (finding,) = found("near_duplicate_labels", ("x", "Kargo\0"))

    assert finding.options == ()
    assert finding.remedy == "if they mean the same, keep one spelling"
    assert not finding.typed


def test_what_would_leave_fit_with_one_label_is_no_option():
    texts = [f"text {i}" for i in range(40)]

    spelt, outside = check(texts, ["İade", "iade"] * 20), check(texts, ["İade", "other"] * 20)
    blank = check(texts[:20] + [""] * 20, ["İade"] * 20 + ["Kargo"] * 20)

    assert [finding.options for found in (spelt, outside, blank) for finding in found.findings if finding.options] == []


def test_texts_and_labels_that_are_swapped_are_one_short_warning():
    texts, labels = ["refund", "delivery", "login"] * 30, [f"where is my order {i}" for i in range(90)]

    warned = [finding for finding in check(texts, labels).findings if finding.level == "warning"]

    assert str(warned[0]) == (
        "warning: texts and labels seem to be swapped: 90 labels and 3 texts in 90 rows; "
        "give the texts first, then their labels"
    )
    assert not {"rare_labels", "contradicting_labels"} & {finding.kind for finding in warned}
    assert not any(finding.kind == "swapped_columns" for finding in check(labels, texts).findings)


def test_labels_with_too_few_rows_are_named_once():
    (finding,) = found("rare_labels", ("x", "Hibe"), ("y", "kargo"))

    assert finding.sentence.startswith(f"1 label has fewer than {FEWEST_A_LABEL} rows, which stay in train: 'Hibe' (1)")
    assert finding.where == (120,)


def test_labels_without_certify_rows_are_told():
    """Three rows are divided 1.8, 0.3, 0.45 and 0.45."""
    (finding,) = found("no_tune_rows", *((f"x {i}", "Hibe") for i in range(3)))

    assert finding.sentence == "1 label has no tune row: 'Hibe' (3)"


@pytest.mark.parametrize("label", ["diğer", "KAPSAM_DIŞI", "out_of_scope", "Other", "None of the above"])
def test_a_label_that_seems_out_of_scope_is_suggested(label):
    (finding,) = found("likely_out_of_scope", *((f"x {i}", label) for i in range(9)))

    assert finding.options == ("--out-of-scope-label", label)


def test_nothing_is_suggested_where_it_was_said():
    more = [(f"x {i}", label) for i, label in enumerate(["oos", "other"] * 9)]

    assert found("likely_out_of_scope", *more, out_of_scope_label="oos") == []


def test_texts_with_different_labels_are_named_with_their_rows():
    (finding,) = found("contradicting_labels", ("Param nerede", "Ödeme"), ("param  NEREDE", "Kargo"))

    assert finding.sentence == "1 text with different labels (2 rows), such as 'Param nerede': 'Kargo', 'Ödeme'"
    assert finding.where == (120, 121)


def test_spellings_of_one_label_are_no_contradiction():
    more = (("x", "Kargo"), ("x", "kargo"))

    assert found("contradicting_labels", *more) == []
    assert found("repeated_texts", *more)[0].where == (121,)


def test_blank_texts_and_odd_characters_are_named_by_line():
    more = ((" \u200b", "Kargo"), ("a\0b", "Kargo"), ("caf\ufffd", "Kargo"))
    findings = {finding.kind: finding for finding in check(*rows(*more), lines=[2 * i for i in range(123)]).findings}

    assert findings["blank_texts"].where == (240,)
    assert findings["blank_texts"].options == ("--skip-bad-rows",)
    assert findings["control_characters"].where == (242,)
    assert findings["lost_characters"].where == (244,)


def test_certify_rows_are_told_with_what_they_can_promise():
    """0.05 ** (1 / 450) = 0.99337; of 450 rows 14 may be wrong for 95 % (a one-sided Clopper-Pearson bound)."""
    (finding,) = found("certify_rows", n=1500)

    assert finding.sentence == (
        "450 certify rows: 99.3% could be promised at best, without an error; "
        "95 % with at most 14 errors, if all are answered"
    )


def test_a_promise_out_of_reach_says_how_many_rows_it_takes():
    (finding,) = found("promise_out_of_reach", n=60)

    assert finding.sentence == "95 % at confidence level 95 % needs at least 59 certify rows, all of them right"
    assert finding.remedy == "about 394 rows of data in all would do, with no error among those"


def test_enough_rows_are_no_finding():
    assert size_findings(50, 300, 500, BinomialTest.of(0.95, 0.95)) == []


def test_held_out_rows_are_the_ones_that_certify():
    pairs = ([f"b {i}" for i in range(30)], ["Kargo", "Ödeme"] * 15)

    assert check(*rows(), held_out=pairs).parts["certify"] == 20


def test_an_encoder_that_is_not_here_leaves_lengths_unknown():
    findings = check(*rows(), encoder="nobody/nothing")

    assert findings.lengths is None
    assert [finding.kind for finding in findings.findings][-1] == "unknown_lengths"


def test_a_tokenizer_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")

    (finding,) = check(*rows(), encoder=str(tmp_path)).findings

    assert (finding.level, finding.kind) == ("error", "refused")
    assert finding.sentence.startswith(f"{tmp_path / 'tokenizer.json'} cannot be read: ")


@pytest.mark.skipif(find_tokenizer(DEFAULT_ENCODER) is None, reason="the default encoder is not on this machine")
def test_texts_that_are_cut_are_counted_in_tokens():
    """A word a token, [CLS] and [SEP]."""
    texts, labels = rows(*((f"{'word ' * 40}{i}", "Kargo") for i in range(30)))

    findings = check(texts, labels, max_length=32)

    assert findings.lengths.truncated == pytest.approx(30 / 150)
    assert findings.lengths.longest == 43
    (finding,) = (finding for finding in findings.findings if finding.kind == "truncated_texts")
    assert finding.level == "warning"
    assert finding.remedy.startswith("max_length=64, or windows=2, reads more of them")


@pytest.fixture
def of_few_positions(tmp_path):
    """The tokenizer and the settings of an encoder that reads 24 tokens."""
    words = {"[PAD]": 0, "[UNK]": 1, "word": 2}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.save(str(tmp_path / "tokenizer.json"))
    settings = {"model_type": "mpnet", "max_position_embeddings": 26, "pad_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("max_length", [24, 128, 256])
def test_no_more_tokens_are_advised_than_the_encoder_has_positions_for(of_few_positions, max_length):
    long = rows(*((f"{'word ' * 40}{i}", "Kargo") for i in range(30)))

    findings = check(*long, encoder=str(of_few_positions), max_length=max_length)

    (finding,) = (finding for finding in findings.findings if finding.kind == "truncated_texts")
    assert finding.level == "warning"
    assert finding.sentence == (
        "20.00% of the texts are longer than the 24 tokens that the encoder reads at most; the rest of each is not read"
    )
    assert finding.remedy == ("an encoder with more positions, or windows=3, reads more of them, and takes more time")


def test_as_many_tokens_are_advised_as_the_encoder_has_positions_for(of_few_positions):
    long = rows(*((f"{'word ' * 40}{i}", "Kargo") for i in range(30)))

    findings = check(*long, encoder=str(of_few_positions), max_length=16)

    (finding,) = (finding for finding in findings.findings if finding.kind == "truncated_texts")
    assert finding.remedy.startswith("max_length=24, or windows=4, reads more of them")


@pytest.mark.parametrize(
    "config", ["[]", "{", '{"max_position_embeddings": -1}', '{"max_position_embeddings": "many"}']
)
def test_settings_that_say_no_positions_limit_nothing(of_few_positions, config):
    (of_few_positions / "config.json").write_text(config, encoding="utf-8")

    assert check(*rows(), encoder=str(of_few_positions)).lengths.truncated == 0


def test_a_folder_without_a_tokenizer_json_is_not_said_to_be_elsewhere(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")

    finding = check(*rows(), encoder=str(tmp_path)).findings[-1]

    assert finding.sentence.startswith(f"encoder {tmp_path} has no tokenizer.json: ")
    assert finding.remedy == "fit makes it of the encoder's vocabulary, and says how it fits the language"


def test_ten_thousand_labels_are_no_trouble():
    texts = [f"text {i}" for i in range(20_000)]

    findings = check(texts, [f"label {i % 10_000}" for i in range(20_000)], encoder="nobody/nothing")

    assert len(findings.labels) == 10_000
    assert {finding.kind for finding in findings.of_level("warning")} >= {"rare_labels"}


def test_findings_do_not_hang_on_the_order_of_the_labels():
    texts, labels = rows(("x", "kargo "))
    order = np.random.default_rng(0).permutation(len(texts))

    again = check([texts[i] for i in order], [labels[i] for i in order])

    assert {finding.kind for finding in again.findings} == {finding.kind for finding in check(texts, labels).findings}


def test_repeated_texts_are_told_with_their_share():
    (finding,) = found("repeated_texts", *[("A text of  number 7", "Kargo")] * 30)

    assert finding.sentence.startswith("30 rows (20 %) with a text that came before")
    assert "count_repeats=True" in finding.remedy
    (counted,) = found("repeated_texts", *[("A text of  number 7", "Kargo")] * 30, count_repeats=True)
    assert counted.remedy == "each part counts them as often as they come"


def mails(differing):
    """240 texts in words that are all different, of which the last ones differ in numbers only."""
    letters = "abcdefghijklmnop"
    texts = [f"hello {letters[i % 16]} from {letters[i // 16]}" for i in range(240 - differing)]
    return [*texts, *(f"order {1000 + i}, 3.{i:02d} euro" for i in range(differing))], ["a", "b"] * 120


@pytest.mark.parametrize(("differing", "told"), [(4, 3), (3, 0), (0, 0)])
def test_texts_that_differ_in_numbers_only_are_told_above_a_hundredth(differing, told):
    findings = [one for one in check(*mails(differing)).findings if one.kind == "near_duplicate_texts"]

    assert [len(one.where) for one in findings] == [told] * bool(told)
    for one in findings:
        assert one.sentence == "3 rows that differ from an earlier row in numbers only, such as 'order 1001, 3.01 euro'"
        assert "groups=" in one.remedy


def test_groups_are_counted_and_each_later_part_has_one_row_of_each():
    checked = check(*mails(9), groups=[f"c{i // 4}" for i in range(240)])

    (finding,) = (one for one in checked.findings if one.kind == "groups")
    assert finding.sentence == "240 rows in 60 groups, the largest with 4 rows"
    assert checked.parts["grouped"] == 3 * (checked.parts["certify"] + checked.parts["tune"] + checked.parts["test"])
    assert not any(one.kind == "near_duplicate_texts" for one in checked.findings)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"groups": ["one"] * 240}, "rows of 1 group cannot be divided into 4 parts"),
        ({"times": ["never"] * 240}, "the data: the time 'never' in row 0 cannot be read"),
        ({"groups": ["one"]}, "the data: texts and groups must have equal lengths, got 240 and 1"),
    ],
)
def test_groups_and_times_that_fit_would_refuse_are_errors(marks, said):
    (finding,) = check(*mails(0), **marks).findings

    assert finding.level == "error"
    assert finding.sentence.startswith(said)


@pytest.mark.parametrize(("rare", "target", "is_told"), [(20, 0.95, True), (20, 0.99, False), (200, 0.95, False)])
def test_a_label_that_keeps_the_promise_alone_is_a_warning(rare, target, is_told):
    labels = ["fraud"] * rare + ["ok"] * (2000 - rare)

    findings = check([f"text {i}" for i in range(2000)], labels, target_accuracy=target, encoder="nobody/nothing")

    told = [finding for finding in findings.of_level("warning") if finding.kind == "majority_label"]
    assert bool(told) == is_told
    if told:
        assert told[0].sentence == (
            "label 'ok' alone would keep the promise: 297 of 300 certify rows have it; the promise says little of the "
            "other labels"
        )


def test_out_of_scope_rows_are_errors_of_a_label_that_answers_all():
    texts, labels = [f"text {i}" for i in range(2000)], ["oos"] * 150 + ["fraud"] * 10 + ["ok"] * 1840

    findings = check(texts, labels, out_of_scope_label="oos", encoder="nobody/nothing")

    assert "majority_label" not in {finding.kind for finding in findings.findings}


def test_letters_that_were_read_in_another_encoding_are_told_with_what_they_stand_for():
    (finding,) = found("misread_characters", ("ÅŸikayetim var", "Kargo"), ("Ã§ok geÃ§", "Kargo"))

    assert finding.level == "warning"
    assert finding.where == (120, 121)
    assert finding.sentence == (
        "2 rows with 'ÅŸ' in the place of 'ş' and the like: UTF-8 that was read in another encoding and saved again"
    )


def test_labels_that_were_read_in_another_encoding_are_told():
    (finding,) = found("misread_characters", *((f"new {i}", "Ä°ade") for i in range(5)))

    assert finding.where == (120, 121, 122, 123, 124)
    assert "'Ä°' in the place of 'İ'" in finding.sentence
