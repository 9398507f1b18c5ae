"""Labels of a trained model and of rows: in the model's order, and never guessed."""

import numpy as np
import pytest

from elsewise.data.model_labels import settle_labels
from elsewise.errors import InputError

OWN = ("refund", "login", "delivery")
UNNAMED = ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("own", "rows", "more", "known", "read"),
    [
        (OWN, ["login", "refund"], {}, OWN, ["login", "refund"]),
        (OWN, ["login", "oos"], {"outside": "oos"}, OWN, ["login", "oos"]),
        (OWN, [2, np.int64(0)], {}, OWN, ["delivery", "refund"]),
        (OWN, [2, -1], {"outside": "-1"}, OWN, ["delivery", "-1"]),
        (("5", "4", "3"), [5, 3], {}, ("5", "4", "3"), ["5", "3"]),  # stars, and no codes
        (OWN, ["geld", "post"], {"names": ["geld", "konto", "post"]}, ("geld", "konto", "post"), ["geld", "post"]),
        (OWN, [1], {"names": ["geld", "konto", "post"]}, ("geld", "konto", "post"), ["konto"]),
        (UNNAMED, ["LABEL_2", "LABEL_0"], {}, UNNAMED, ["LABEL_2", "LABEL_0"]),
        (UNNAMED, ["2", "0"], {}, ("0", "1", "2"), ["2", "0"]),
        (UNNAMED, [2, 0], {}, ("0", "1", "2"), ["2", "0"]),
        (UNNAMED, ["2", "oos"], {"outside": "oos"}, ("0", "1", "2"), ["2", "oos"]),
        (UNNAMED, ["login"], {"names": OWN}, OWN, ["login"]),
        (OWN, np.array([2.0, 0.0]), {}, OWN, ["delivery", "refund"]),
        (UNNAMED, ["2.0", "0.0"], {}, ("0", "1", "2"), ["2", "0"]),
        (("5", "4", "3"), ["5.0", "3,0"], {}, ("5", "4", "3"), ["5", "3"]),
        (
            ("u\N{COMBINING DIAERESIS}", "login"),
            ["ü"],
            {},
            ("u\N{COMBINING DIAERESIS}", "login"),
            ["u\N{COMBINING DIAERESIS}"],
        ),
    ],
)
def test_labels_are_settled_in_the_order_of_the_model(own, rows, more, known, read):
    assert settle_labels(own, [rows], **more) == (known, [read])


def test_all_files_are_looked_at_together():
    """One with codes alone would do for a model without names; beside one with words it does not."""
    with pytest.raises(InputError, match=r"the rows have '0', 'login'; say what they are called"):
        settle_labels(UNNAMED, [["0"], ["login"]])


def lacking(rows, remedy):
    """What is said of labels that OWN lacks."""
    has = "it has 'refund', 'login', 'delivery'"
    return f"the rows have labels that the model does not have: {rows}; {has}; {remedy}"


RENAME = "mark those that belong to none by out_of_scope_label=, drop them, or rename them"


def nameless(rows):
    has = "nobody has named the labels of the model (LABEL_0 to LABEL_2)"
    return f"{has}, and the rows have {rows}; say what they are called, in the order of its codes: names="


ARE_CODES = "if they are its codes, pass whole numbers"


@pytest.mark.parametrize(
    ("own", "rows", "more", "said", "typed"),
    [
        (OWN, ["login", "Refund", "Refund"], {}, lacking("'Refund' (2 rows)", RENAME), "--map Refund=refund"),
        (OWN, ["parcel"], {}, lacking("'parcel' (1 row)", RENAME), "--map OLD=NEW"),
        (OWN, ["0", "2"], {}, lacking("'0' (1 row), '2' (1 row)", ARE_CODES), "--map 0=refund --map 2=delivery"),
        (OWN, [3], {}, lacking("'3' (1 row)", RENAME), "--map OLD=NEW"),
        (UNNAMED, ["login", "0"], {}, nameless("'0', 'login'"), ""),
        (UNNAMED, ["1", "3"], {}, nameless("'1', '3'"), ""),
        (OWN, ["login"], {"names": ["login", "refund", "delivery"]},
         "names= has the model's labels in another order; leave it out, the model knows the order", ""),
        (OWN, ["login"], {"names": ["login", "refund"]},
         "names= must name each of the model's 3 labels, got 2 names", ""),
        (OWN, ["login", None], {}, "labels must be words or whole numbers, got None in row 1", ""),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused_with_both_lists(own, rows, more, said, typed):
    with pytest.raises(InputError) as error:
        settle_labels(own, [rows], **more)

    assert (str(error.value), error.value.typed) == (said, typed)


def test_many_labels_are_named_up_to_twenty():
    with pytest.raises(InputError, match=r"'x 19' and 5 more; "):
        settle_labels([f"x {i}" for i in range(25)], [["y"]])
