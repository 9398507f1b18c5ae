"""Built-in strange texts: what arrives at a classifier besides what it was made for.

Every text in ``strangers.json`` was written for Elsewise. They are only counted, once a model is made: no fit reads
them.
"""

import json
from functools import cache
from importlib.resources import files
from itertools import chain


@cache
def strange_texts() -> tuple[str, ...]:
    """Return the 200 built-in strange texts.

    Weather, sports, greetings, world knowledge, cooking, everyday life, other languages, random letters, single words,
    numbers, lines of code, and two long paragraphs. Some of them may belong to a label of a model, such as `greeting`.

    Examples
    --------
    >>> len(strange_texts()), strange_texts()[0]
    (200, 'will it rain tomorrow afternoon')
    """
    kinds = json.loads(files(__package__).joinpath("strangers.json").read_text(encoding="utf-8"))
    return tuple(chain.from_iterable(kinds.values()))
