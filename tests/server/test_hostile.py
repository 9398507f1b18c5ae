"""Hostile bodies: each gets a 4xx in the form of a problem, the memory stays flat, and the next client is answered."""

import json
import random
import threading
import zlib
from itertools import islice
from pathlib import Path

import pytest

from support.serving import by_heart, serving_process

FEW, MANY = 40, 300
RISE = 30 << 20  # bytes of memory that all of them together may cost
HEAD = "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{more}\r\n"
PATHS = ("/v1/decide", "/predict", "/v1/systemone", "/v1/feedback")


def deep(rng):
    depth = rng.choice([17, 100, 1000, 100_000, 1_000_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('["[",', "]")])
    return (opening * depth + "1" + closing * depth).encode()[: 4 << 20]


def no_number(rng):
    number = rng.choice(
        ["NaN", "Infinity", "-Infinity", "1e999", "01", "1.", "+1", "0x10", "9" * 5000, "1" + "0" * 400]
    )
    return b'{"text": "a", "threshold": %s}' % number.encode()


def twice(rng):
    key = rng.choice(["text", "t\\u0065xt", "top"])
    return f'{{"text": "a", "{key}": "b", "top": 1, "top": 2}}'.encode()


def no_letters(rng):
    bad = rng.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", rb"\ud800", rb"\udc00\ud800", rb"\u12", b"\x00", b"\n"])
    return b'{"text": "a' + bad + b'"}'


def cut(rng):
    whole = b'{"texts": ["where is my parcel", "send it back"], "top": 2}'
    return whole[: rng.randrange(len(whole))]


def noise(rng):
    return rng.randbytes(rng.choice([1, 100, 10_000, 1_000_000]))


def trailing(rng):
    return b'{"text": "a"}' + rng.choice([b"{}", b"\x00", b"//", b",", b"]", b"\xef\xbb\xbf"])


def other_types(rng):
    value = rng.choice(["null", "1", '"a"', "[]", "true", '{"text": 1}', '{"texts": {}}', '{"text": "a", "top": "1"}'])
    return value.encode()


def many_keys(rng):
    return json.dumps({f"k{rng.random()}": i for i in range(20_000)}).encode()


def many_texts(rng):
    return b'{"texts": [' + b'"",' * rng.choice([257, 100_000, 1_000_000]) + b'""]}'


MAKERS = (deep, no_number, twice, no_letters, cut, noise, trailing, other_types, many_keys, many_texts)


def bodies(n):
    """n requests: path, headers besides the type, and pieces of a body; the kinds take turns."""
    rng = random.Random(0)
    for i in range(n):
        path, kind = rng.choice(PATHS), i % (len(MAKERS) + 3)
        if kind < len(MAKERS):
            body = MAKERS[kind](rng)
            yield path, f"content-length: {len(body)}\r\n", [body]
        elif kind == len(MAKERS):  # a bomb: a few bytes that would be a gigabyte
            body = zlib.compress(b" " * (20 << 20), wbits=31)
            yield path, f"content-encoding: gzip\r\ncontent-length: {len(body)}\r\n", [body]
        elif kind == len(MAKERS) + 1:  # declared, and sent: far more than is taken
            yield path, f"content-length: {300 << 20}\r\n", [b" " * (1 << 20)] * 300
        else:  # a flood of chunks whose end never comes
            yield path, "transfer-encoding: chunked\r\n", [b"10000\r\n" + b" " * 0x10000 + b"\r\n"] * 4800


def answered(served, path, more, pieces):
    """Send a body while reading, as a careful client does; the status and the body of the answer."""
    said = bytearray()
    with served.socket(30) as connection:

        def read():
            while b"\r\n\r\n" not in said or len(said) < _whole(said):
                if not (more := connection.recv(65_536)):
                    return
                said.extend(more)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            connection.sendall(HEAD.format(path=path, kind="application/json", more=more).encode())
            for piece in pieces:
                if not reader.is_alive():
                    break
                connection.sendall(piece)
        except OSError:
            pass  # cut off: what it said is read all the same
        reader.join(30)
    head, _, body = bytes(said).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def _whole(said):
    head, _, _ = bytes(said).partition(b"\r\n\r\n")
    (length,) = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return len(head) + 4 + int(length)


def memory(process):
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.load)])
def test_hostile_bodies_are_refused_and_cost_nothing(tmp_path, n):
    by_heart().save(tmp_path / "m")
    with serving_process(tmp_path / "m", "--drain", "0") as served:
        for request in islice(bodies(n), 26):
            answered(served, *request)  # what the parsers keep for themselves
        before, found = memory(served.process), []
        for path, more, pieces in bodies(n):
            status, body = answered(served, path, more, pieces)
            found.append((status, path, pieces[0][:60], body[:200]))
        rise = memory(served.process) - before
        after = served.decide("send it back").status_code
        alive = served.process.poll() is None

    assert [one for one in found if not 400 <= one[0] < 500] == []
    assert [one for one in found if not one[3].startswith(b"{")] == []
    assert rise < RISE
    assert (after, alive) == (200, True)
    assert [line for line in served.log if line.get("level") == "error"] == []
