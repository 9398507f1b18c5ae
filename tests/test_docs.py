"""What the documents say of the command line and of one another is true. Their Python blocks run through conftest.py."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<language>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"!?\[[^\]]*\]\(<?(?P<target>[^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
BETWEEN_COMMANDS = {"|", "||", "&&", ";", "&"}


def invocations(text):
    """Argument lists of every `elsewise ...` in the shell blocks of a document."""
    for block in BLOCK.finditer(text):
        language = block["language"].strip()
        lines = block["body"].replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")] or [
                x for x in lines if x.startswith("elsewise ")
            ]
        elif language not in {"sh", "bash", "shell"}:
            continue
        for line in lines:
            yield from _elsewise_parts(line)


def _elsewise_parts(line):
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    part = []
    for word in [*words, ";"]:
        if word in BETWEEN_COMMANDS:
            if part and Path(part[0]).name == "elsewise":
                yield part[1:]
            part = []
        elif part or "=" not in word:  # NAME=value before a command sets a variable
            part.append(word)


def in_documents(find):
    """Each thing that `find` gives for a document's text, as a test parameter named after the document."""
    return [
        pytest.param(
            document, found, id=f"{document.relative_to(ROOT)}: {found if isinstance(found, str) else ' '.join(found)}"
        )
        for document in DOCUMENTS
        for found in find(document.read_text(encoding="utf-8"))
    ]


def links(text):
    """Targets of the links of a document to files and headings here, not those in its code."""
    targets = [link["target"] for link in LINK.finditer(re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text)))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text):
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?)[ \t]*$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def command():
    """The command line, as a tree of commands with options."""
    if find_spec("elsewise.cli") is None:
        pytest.skip("there is no command line yet")
    import typer.main

    from elsewise.cli import app

    return typer.main.get_command(app)


def unknown_words(command, arguments):
    """Commands and options among `arguments` that `command` does not have."""
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    for i, word in enumerate(arguments):
        if word == "--":
            return
        if re.match(r"--?[A-Za-z]", word):
            if word.split("=")[0] not in options:
                yield word.split("=")[0]
        elif hasattr(command, "commands"):
            if word in command.commands:
                yield from unknown_words(command.commands[word], arguments[i + 1 :])
            else:
                yield word
            return


def test_shell_blocks_are_read_as_a_shell_would():
    text = """
```console
$ elsewise fit "my data.csv" \\
    -o model  # a note
fitting: elsewise says this
$ cat texts.txt | LANG=C elsewise predict model - > out.csv && ls
```

```python
elsewise = "not a command"
```
"""
    found = list(invocations(text))

    assert found == [["fit", "my data.csv", "-o", "model"], ["predict", "model", "-", ">", "out.csv"]]


def test_unknown_commands_and_options_are_found():
    import typer

    app = typer.Typer()
    app.command("fit")(lambda data, seed=0: None)
    app.command("predict")(lambda data: None)
    command = typer.main.get_command(app)

    assert list(unknown_words(command, ["fit", "x.csv", "--seed=3", "--speed", "9"])) == ["--speed"]
    assert list(unknown_words(command, ["fly", "x.csv"])) == ["fly"]
    assert list(unknown_words(command, ["predict", "--help"])) == []


@pytest.mark.parametrize(("document", "arguments"), in_documents(invocations))
def test_the_command_line_has_what_the_documents_name(command, document, arguments):
    assert list(unknown_words(command, arguments)) == []


def test_every_command_appears_in_the_documents(command):
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    shown = {name for name, each in command.commands.items() if not each.hidden}

    assert {name for name in shown if not re.search(rf"\belsewise {re.escape(name)}\b", text)} == set()


@pytest.mark.parametrize(("document", "target"), in_documents(links))
def test_links_between_documents_lead_somewhere(document, target):
    path, _, anchor = target.partition("#")
    file = (document.parent / path) if path else document

    assert file.exists()
    assert not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8"))
