"""What the documents say of the command line and of one another is true; conftest.py runs their Python blocks."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer.main

from elsewise.cli import app

ROOT = Path(__file__).resolve().parents[2]
OPENING = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
DOCUMENTS = [*OPENING, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/how-to").glob("*.md"))]
BLOCK = re.compile(r"(?ms)^(?P<fence>`{3,}|~{3,})(?P<language>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$")
LINK = re.compile(r"!?\[[^\]]*\]\(<?(?P<target>[^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
SHELLS = {"console", "sh", "bash", "shell"}
BETWEEN_COMMANDS = {"|", "||", "&&", ";", "&"}


def invocations(text):
    """Words after `elsewise` of every call in the shell blocks of a document."""
    for block in BLOCK.finditer(text):
        lines = block["body"].replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]  # the other lines are then output
        if block["language"].strip() in SHELLS:
            for line in prompted or lines:
                yield from calls_in(line)


def calls_in(line):
    """Words after `elsewise` of every call in a line of shell, as the shell would part them."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    call = []
    for word in [*words, ";"]:
        if word in BETWEEN_COMMANDS:
            if call and Path(call[0]).name == "elsewise":
                yield call[1:]
            call = []
        elif call or "=" not in word:  # NAME=value before a command sets a variable
            call.append(word)


def links(text):
    """Targets of the links of a document to files and headings here, not those in its code."""
    targets = [link["target"] for link in LINK.finditer(re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text)))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text):
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?)[ \t]*$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_words(command, words):
    """Commands and options among `words` that `command` does not have."""
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    for i, word in enumerate(words):
        name = word.split("=")[0]
        if re.match(r"--?[A-Za-z]", word):
            if name not in options:
                yield name
        elif hasattr(command, "commands"):
            if word in command.commands:
                yield from unknown_words(command.commands[word], words[i + 1 :])
            else:
                yield word
            return


def in_documents(find):
    """Each thing that `find` finds in a document, as a test parameter."""
    return [
        pytest.param(document, found, id=f"{document.name}: {found}")
        for document in DOCUMENTS
        for found in find(document.read_text(encoding="utf-8"))
    ]


def test_shell_blocks_are_read_as_a_shell_would():
    text = """
```console
$ elsewise fit "my data.csv" \\
    -o model  # a note
elsewise: this is output
$ cat texts.txt | LANG=C elsewise predict model - > out.csv && ls
```

```python
elsewise = "not a command"
```
"""

    found = list(invocations(text))

    assert found == [["fit", "my data.csv", "-o", "model"], ["predict", "model", "-", ">", "out.csv"]]


def test_unknown_commands_and_options_are_found():
    small = typer.Typer()
    small.command("fit")(lambda data, seed=0: None)
    small.command("predict")(lambda data: None)
    command = typer.main.get_command(small)

    assert list(unknown_words(command, ["fit", "x.csv", "--seed=3", "--speed", "9"])) == ["--speed"]
    assert list(unknown_words(command, ["fly", "x.csv"])) == ["fly"]
    assert list(unknown_words(command, ["predict", "--help"])) == []


def test_anchors_are_made_as_github_makes_them():
    assert anchors("# Two labels, one sigmoid, and 0.5\n") == {"two-labels-one-sigmoid-and-05"}


@pytest.mark.parametrize(("document", "words"), in_documents(invocations))
def test_the_command_line_has_what_the_documents_name(document, words):
    assert list(unknown_words(typer.main.get_command(app), words)) == []


def test_every_command_appears_in_the_documents():
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    commands = typer.main.get_command(app).commands
    shown = {name for name, command in commands.items() if not command.hidden}

    missing = {name for name in shown if not re.search(rf"\belsewise {re.escape(name)}\b", text)}

    assert missing == set()


@pytest.mark.parametrize(("document", "target"), in_documents(links))
def test_links_between_documents_lead_somewhere(document, target):
    path, _, anchor = target.partition("#")
    file = document.parent / path if path else document

    assert file.exists()
    assert not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8"))


def rows_of_options():
    """The rows of the table in options.md: what is wanted, the options, and the commands that have them."""
    text = (ROOT / "docs/options.md").read_text(encoding="utf-8")
    for wanted, options, having in re.findall(r"^\| ([^|]+) \| ([^|]*--[^|]*) \| ([^|]+) \|$", text, re.MULTILINE):
        yield pytest.param(re.findall(r"--[a-z][\w-]+", options), having, id=wanted)


@pytest.mark.parametrize(("options", "having"), [*rows_of_options()])
def test_the_commands_have_the_options_that_the_table_gives_them(options, having):
    has = {
        name: {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in typer.main.get_command(app).commands.items()
    }
    named = re.findall(r"`(\w+)`", having)

    assert {option for option in options if not any(option in there for there in has.values())} == set()
    assert [(option, name) for option in options for name in named if option not in has[name]] == []


def wrapped(text):
    """Lines that go on with the paragraph or list item of the line above them."""
    prose = re.sub(r"(?ms)^ *(`{3,}).*?^ *\1 *$|<!--.*?-->", "", text).splitlines()
    return [
        line
        for above, line in pairwise(prose)
        if above.strip() and not re.match(r"[|#]", above) and not re.match(r" *([|#>*+-]|\d+\.|$)", line)
    ]


def test_wrapped_lines_are_found():
    assert wrapped("# One\n\n- an item\n  goes on\n- another\n\n```sh\na\nb\n```\n| a |\n| b |\n") == ["  goes on"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_paragraph_is_one_line(document):
    assert wrapped(document.read_text(encoding="utf-8")) == []
