"""JSON of requests, read strictly: no key twice, no NaN, no lone surrogates, and few brackets inside brackets."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from elsewise.server.problems import Problem

STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
BRACKETS: Final = re.compile(rb"[\[\]{}]")
OPENING: Final = b"[{"

T = TypeVar("T")


class _KeyTwiceError(ValueError):
    pass


def decode(body: bytes, decoder: "msgspec.json.Decoder[T]", depth: int) -> T:
    r"""Decode a body by a decoder of a type.

    Raises
    ------
    Problem
        json_invalid, json_depth, json_duplicate_key, or request_invalid for JSON of a different form.

    Examples
    --------
    >>> decode(b'{"a": 1}', msgspec.json.Decoder(), 16)
    {'a': 1}
    >>> decode(b'{"a": 1, "a": 2}', msgspec.json.Decoder(), 16)
    Traceback (most recent call last):
    elsewise.server.problems.Problem: the key 'a' stands twice in an object
    """
    refuse_depth(body, depth)
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem("request_invalid", _words(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("json_invalid", _words(error)) from None
    _refuse_keys_twice(body)
    return value


def refuse_depth(body: bytes, depth: int) -> None:
    """Raise Problem if brackets lie deeper inside brackets than `depth`; brackets inside strings do not count.

    Examples
    --------
    >>> refuse_depth(b'["[[[[", [[]]]', 3)
    >>> refuse_depth(b'[[[[]]]]', 3)
    Traceback (most recent call last):
    elsewise.server.problems.Problem: at most 3 brackets may lie inside each other
    """
    if body.count(b"[") + body.count(b"{") <= depth:
        return
    at = 0
    for bracket in BRACKETS.findall(STRING.sub(b"", body)):
        at += 1 if bracket in OPENING else -1
        if at > depth:
            raise Problem("json_depth", f"at most {depth} brackets may lie inside each other")


def _refuse_keys_twice(body: bytes) -> None:
    """Raise Problem for a key twice in one object, which decoders take in silence."""
    try:
        json.loads(body, object_pairs_hook=_pairs)
    except _KeyTwiceError as error:
        raise Problem("json_duplicate_key", f"the key {str(error)[:100]!r} stands twice in an object") from None
    except ValueError as error:  # a number of thousands of digits, which the decoder took for a float
        raise Problem("json_invalid", _words(error)) from None


def _pairs(pairs: Sequence[tuple[str, Any]]) -> None:
    if len(pairs) > 1:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _KeyTwiceError(key)
            seen.add(key)


def _words(error: Exception) -> str:
    return str(error)[:300]
