"""Sentences that users read are short: messages, help texts, and the first lines of docstrings."""

import ast
import re
from pathlib import Path

import pytest

import elsewise

SRC = Path(elsewise.__file__).parent
MOST_WORDS = 25
SENTENCE_ENDS = re.compile(r"(?<=[.!?;:])\s+|\n")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def texts_of(source):
    """The line and the text of each string that is no docstring, and of the first line of each docstring.

    A value in an f-string counts as one word.
    """
    tree = ast.parse(source)
    docstrings = {
        node.body[0].value for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and ast.get_docstring(node)
    }
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.lineno, node.value.strip().partition("\n")[0] if node in docstrings else node.value


def long_sentences(source):
    return [
        (line, sentence)
        for line, text in texts_of(source)
        for sentence in SENTENCE_ENDS.split(text)
        if len(sentence.split()) > MOST_WORDS
    ]


@pytest.mark.parametrize(
    "source",
    [
        'raise InputError("{words}")',
        'raise InputError("{words} " "of two literals")',
        'raise InputError(f"{{name}}: no. {words}")',
        '"""{words}"""',
        'class A:\n    """{words}\n\n    More."""',
        'def f(x: Annotated[str, Option(help="{words}")]): ...',
    ],
)
def test_a_long_sentence_is_found_wherever_users_read_it(source):
    assert long_sentences(source.format(words="word " * 25 + "end"))
    assert not long_sentences(source.format(words="word " * 20 + "end. More of them."))


def test_only_the_first_line_of_a_docstring_counts():
    assert long_sentences('"""Short.\n\n' + "word " * 30 + '"""') == []


@pytest.mark.parametrize("room", sorted({path.relative_to(SRC).parts[0] for path in SRC.rglob("*.py")}))
def test_no_sentence_has_more_than_25_words(room):
    place = SRC / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    long = {
        f"{file.relative_to(SRC)}:{line}": sentence
        for file in files
        for line, sentence in long_sentences(file.read_text(encoding="utf-8"))
    }

    assert long == {}
