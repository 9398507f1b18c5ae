"""Endpoints that decide, on a real server on this machine: calibrated as any engine, and refused in one line."""

import json
import threading
import time
import urllib.request
from email.utils import formatdate

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import ArtifactError, ElsewiseError, ElsewiseWarning, InputError
from elsewise.wrappers import asking
from elsewise.wrappers.endpoint import SEEN, cost_of
from support.deciding import LABELS, WORDS, deciding, probabilities
from support.running import run

pytestmark = pytest.mark.slow

PATHS = {"systemone": "/v1/systemone", "openai": "/v1/chat/completions"}
QUICK = {"tries": 3, "timeout": 5.0}


@pytest.fixture
def server():
    with deciding() as running:
        yield running


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.01)


def wrapped(server, protocol="systemone", **more):
    return ew.wrap(f"{server.url}{PATHS[protocol]}", **{"labels": LABELS, **QUICK, **more})


def texts(n):
    rng = np.random.default_rng(0)
    said = [str(rng.choice(LABELS)) for _ in range(n)]
    mixed = [str(rng.choice(LABELS)) if rng.random() < 0.1 else label for label in said]
    return [f"{rng.choice(WORDS[label])} {rng.choice(WORDS[label])} no {i}" for i, label in enumerate(mixed)], said


@pytest.mark.parametrize("protocol", PATHS)
def test_the_numbers_of_an_endpoint_are_read_in_the_order_of_the_labels(server, protocol):
    engine = wrapped(server, protocol)

    p = ew.softmax(engine.run(["my refund", "hello hi, a late parcel"]).logits)

    for row, text in zip(p, ["my refund", "hello hi, a late parcel"], strict=True):
        assert row.tolist() == pytest.approx([probabilities(text)[label] for label in LABELS], abs=1e-6)
    again = wrapped(server, protocol, labels=LABELS[::-1])
    assert np.abs(ew.softmax(again.run(["my refund"]).logits)[0, ::-1] - p[0]).max() < 1e-6


@pytest.mark.parametrize("protocol", PATHS)
def test_it_is_calibrated_and_certified_as_any_engine(server, protocol, tmp_path):
    x, y = texts(600)
    engine = wrapped(server, protocol)

    classifier = ew.fit(x, y, engine=engine, target_accuracy=0.8)
    classifier.save(tmp_path / "model")
    again = ew.load(tmp_path / "model", engine=wrapped(server, protocol))

    assert classifier.certificate.certified
    assert again.decide(x[:50]).labels == classifier.decide(x[:50]).labels
    assert classifier.decide(["", None, "zzz"]).abstained.tolist() == [True, True, True]
    assert all(text.strip() for text in server.asked())


def test_the_question_is_asked_as_it_was_put(server):
    wrapped(server, instructions="What is it about?", criteria={"money": "Payments and refunds"})
    wrapped(server, "openai", instructions="What is it about?", criteria={"money": "Payments and refunds"})

    one, other = (next(body for body, _ in server.requests if key in body) for key in ("state", "messages"))
    asked = one["questions"]["label"]
    assert asked["criteria"] == {"money": "Payments and refunds", "parcel": None, "hello": None}
    assert asked["instructions"] == "What is it about?"
    assert "model" not in one
    assert other["messages"][0]["content"].splitlines()[1:] == [
        "", "What is it about?", "A. money: Payments and refunds", "B. parcel", "C. hello",
        "Answer with the letter of the option that fits best (A to C) only.",
    ]  # fmt: skip
    assert (other["max_tokens"], other["temperature"], other["top_logprobs"]) == (1, 0, 20)


def test_the_model_behind_the_hash_is_named_and_never_part_of_the_address(server):
    engine = ew.wrap(f"{server.url}/v1/systemone#small-one", labels=LABELS, **QUICK)

    assert server.requests[0][0]["model"] == "small-one"
    assert engine.described == "systemone endpoint small-one"
    assert engine.fingerprint != wrapped(server).fingerprint


def test_what_was_answered_once_is_not_asked_again_and_what_was_asked_is_counted(server):
    engine = wrapped(server)
    before = len(server.requests)

    engine.run(["my refund", "my refund", "hello there"])
    engine.run(["my refund"])

    assert len(server.requests) == before + 2
    cost = cost_of(engine)
    assert (cost.requests, cost.again, cost.known) == (len(SEEN) + 4 + 2, 0, 1)
    assert str(cost).startswith(f"{len(SEEN) + 6} requests, ")
    assert cost.read == sum(len(text.split()) for text in server.asked())
    assert cost_of(ew.load) is None


def test_answers_are_kept_for_the_next_fit_without_a_text(server, tmp_path):
    x, y = texts(600)
    first = wrapped(server, cache=tmp_path / "answers.jsonl")
    ew.fit(x, y, engine=first, target_accuracy=0.8)
    before = len(server.requests)

    second = wrapped(server, cache=tmp_path / "answers.jsonl")
    again = ew.fit(x, y, engine=second, target_accuracy=0.7)

    assert len(server.requests) == before + len(SEEN) + 4
    assert again.certificate.certified
    assert cost_of(second).known >= 600
    kept = (tmp_path / "answers.jsonl").read_text(encoding="utf-8")
    assert "refund" not in kept


def test_answers_are_kept_on_after_a_line_that_was_cut(server, tmp_path):
    file, x = tmp_path / "answers.jsonl", texts(5)[0]
    wrapped(server, cache=file).run(x[:2])
    file.write_bytes(file.read_bytes()[:-20])  # the process was killed while it wrote

    wrapped(server, cache=file).run(x)
    third = wrapped(server, cache=file)
    before = len(server.requests)

    assert third.run(x).logits.shape == (5, 3)
    assert len(server.requests) == before


@pytest.mark.parametrize(
    ("content", "change"),
    [("no answers", {}), ("", {}), ('{"elsewise answers": 1}\n', {}), (None, {"instructions": "Something else?"})],
)
def test_a_file_of_other_answers_is_refused(server, tmp_path, content, change):
    file = tmp_path / "answers.jsonl"
    wrapped(server, cache=file)
    if content is not None:
        file.write_text(content, encoding="utf-8")

    with pytest.raises(
        InputError, match=r"answers\.jsonl holds no answers of this endpoint to this question; remove it"
    ):
        wrapped(server, cache=file, **change)


def test_kept_answers_of_another_version_of_the_model_are_refused(server, tmp_path):
    wrapped(server, cache=tmp_path / "answers.jsonl")
    server.sure = 3.0

    words = r"was changed since its answers were kept; remove .*answers\.jsonl, and fit again$"
    with pytest.raises(InputError, match=words):
        wrapped(server, cache=tmp_path / "answers.jsonl")


def test_a_certificate_of_another_version_of_the_model_is_refused_with_the_remedy(server, tmp_path):
    x, y = texts(600)
    ew.fit(x, y, engine=wrapped(server), target_accuracy=0.8).save(tmp_path / "model")
    server.sure = 3.0

    words = rf"the model behind the endpoint was changed.*: elsewise fit DATA --engine systemone:{server.url}.* -o "
    with pytest.raises(ArtifactError, match=words):
        ew.load(tmp_path / "model", engine=wrapped(server))
    with pytest.raises(ArtifactError, match=r"wrap it again: engine=elsewise\.wrap\('http"):
        ew.load(tmp_path / "model")


@pytest.mark.parametrize("date", [False, True])
def test_a_busy_endpoint_is_asked_again_when_it_says_so(server, monkeypatch, date):
    waited = []

    class Noted(threading.Event):
        def wait(self, timeout):
            waited.append(timeout)

    monkeypatch.setattr(asking, "Event", Noted)
    after = formatdate(time.time() + 20, usegmt=True) if date else "7"
    server.refusals = [(429, {"retry-after": after}, "slow down"), (503, {}, "starting")]

    engine = wrapped(server, at_once=1)

    assert cost_of(engine).again == 2
    first, second = (wait for wait in waited if wait)
    assert first == 7 if not date else 17 < first <= 20
    assert second == pytest.approx(0.02)


def test_nothing_is_sent_again_after_one_request_failed_for_good(server):
    """A process that gives up, or is interrupted, must not wait for the tries of the other requests."""
    engine = wrapped(server, tries=6, at_once=2)
    server.refusals = [(503, {"retry-after": "5"}, ""), (404, {}, "")]
    before, began, others = len(server.requests), time.monotonic(), set(threading.enumerate())

    with pytest.raises(InputError, match="answered 404"):
        engine.run(["one text", "and another"])
    for thread in {one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")} - others:
        thread.join()

    assert time.monotonic() - began < 4
    assert len(server.requests) == before + 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"always": (429, {}, "slow down")}, r"answered 429 \(slow down\), 3 times; try later, or .* at_once=1$"),
        ({"always": (503, {"retry-after": "3600"}, "")}, r"answered 503 and says to wait 3,600 s; try later$"),
        ({"always": (401, {}, "who are you")}, r"answered 401 \(who are you\); say where the key is: api_key_from=$"),
        ({"always": (404, {}, "")}, r"answered 404; check the address$"),
        ({"always": (307, {"location": "http://127.0.0.1:9/"}, "")}, r"answered 307; check the address$"),
        ({"always": (422, {}, "unknown model")}, r"answered 422 \(unknown model\)$"),
        ({"always": (200, {}, "<html>")}, r"must answer in JSON, got b'<html>'; check the address$"),
        ({"always": (200, {}, "[" * 100_000)}, r"must answer in JSON, got b'\[{60}'; check the address$"),
        ({"delay": 0.6}, r"gave no answer in 0\.3 s, 3 times; allow more with timeout=$"),
    ],
)
def test_an_endpoint_that_does_not_work_is_refused_in_one_line(server, fault, words):
    for name, value in fault.items():
        setattr(server, name, value)

    with pytest.raises(ElsewiseError, match=rf"^{server.url}/v1/systemone {words}"):
        wrapped(server, timeout=0.3)


def test_an_endpoint_that_is_down_is_refused(server):
    with deciding() as gone:
        url = gone.url

    with pytest.raises(
        ElsewiseError, match=r"cannot be reached \(ConnectionRefusedError.*\), 3 times; check the address"
    ):
        ew.wrap(f"{url}/v1/systemone", labels=LABELS, **QUICK)


def dropped(*path):
    def change(answer):
        inner = answer
        for step in path[:-1]:
            inner = inner[step]
        inner.pop(path[-1])
        return answer

    return change


def put(value, *path):
    def change(answer):
        inner = answer
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return answer

    return change


SYSTEMONE = ("answers", "label", "probabilities")
OPENAI = ("choices", 0, "logprobs", "content", 0, "top_logprobs")


@pytest.mark.parametrize(
    ("protocol", "change", "words"),
    [
        ("systemone", dropped(*SYSTEMONE, "money"), r"other labels in it: it lacks 'money'$"),
        ("systemone", put(0.1, *SYSTEMONE, "spam"), r"other labels in it: it has 'spam'$"),
        ("systemone", put(None, *SYSTEMONE, "money"), r"None in it instead of a number$"),
        ("systemone", put(10**400, *SYSTEMONE, "money"), r"10{50,}\S* in it instead of a number$"),
        ("systemone", put(1.5, *SYSTEMONE, "money"), r"probabilities in it that do not lie in 0\.\.1$"),
        ("systemone", put(bool(1), *SYSTEMONE, "money"), r"True in it instead of a number$"),
        ("systemone", dropped(*SYSTEMONE), r"no probabilities of the options in it$"),
        ("systemone", lambda _: [1], r"no probabilities of the options in it$"),
        ("openai", dropped("choices", 0, "logprobs"), r"no log-probabilities in it; .* logprobs and top_logprobs$"),
        ("openai", put([{"token": "x", "logprob": -1}], *OPENAI), r"none of the letters that were asked for"),
        ("openai", put([{"token": "A", "logprob": "low"}], *OPENAI), r"'low' in it instead of a number$"),
        ("openai", put([], *OPENAI), r"no log-probabilities in it"),
    ],
)
def test_answers_of_another_shape_are_refused(server, protocol, change, words):
    server.change = change

    with pytest.raises(InputError, match=rf"^{server.url}{PATHS[protocol]} gave an answer with {words}"):
        wrapped(server, protocol)


def test_probabilities_that_do_not_sum_to_one_are_refused(server):
    server.change = put(0.9, *SYSTEMONE, "money")

    with pytest.raises(InputError, match="if they are a sigmoid for each label"):
        wrapped(server)


def test_letters_that_are_not_among_the_tokens_share_what_is_left(server):
    server.change = put([{"token": "A", "logprob": np.log(0.7)}, {"token": "x", "logprob": np.log(0.1)}], *OPENAI)

    p = ew.softmax(wrapped(server, "openai").run(["anything"]).logits)[0]

    assert p.tolist() == pytest.approx([7 / 9, 1 / 9, 1 / 9])


def test_one_text_that_is_refused_is_other_and_the_rest_is_answered(server):
    engine = wrapped(server)
    server.refusals = [(413, {}, "too long")]

    with pytest.warns(ElsewiseWarning, match="NaN or infinity for 1 of 2 texts: these are never answered"):
        logits = engine.run(["refund " * 9, "hello"]).logits

    assert np.isnan(logits).any(axis=1).sum() == 1


def test_a_key_comes_from_the_environment_and_goes_nowhere_else(server, monkeypatch, tmp_path):
    server.key = "s3cret"
    monkeypatch.setenv("THEIR_KEY", " s3cret\n")
    x, y = texts(600)

    engine = wrapped(server, api_key_from="THEIR_KEY", cache=tmp_path / "answers.jsonl")
    ew.fit(x, y, engine=engine, target_accuracy=0.8).save(tmp_path / "model")

    assert "s3cret" not in repr(engine) + repr(engine.answer)
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"s3cret" not in file.read_bytes()
    monkeypatch.setenv("THEIR_KEY", "wrong")
    with pytest.raises(InputError, match=r'answered 401 \({"detail": "no such key"}\); check the key in THEIR_KEY$'):
        wrapped(server, api_key_from="THEIR_KEY")
    server.always = (400, {}, "wrong is no key")
    with pytest.raises(InputError, match=r"answered 400 \(\*\*\* is no key\)$"):
        wrapped(server, api_key_from="THEIR_KEY")


def test_a_key_for_this_machine_is_sent_to_no_proxy(server, monkeypatch):
    server.key = "s3cret"
    monkeypatch.setenv("THEIR_KEY", "s3cret")
    with deciding() as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(asking, "OPENER", urllib.request.build_opener())  # the environment is read when it is made

        wrapped(server, api_key_from="THEIR_KEY")

    assert proxy.requests == []


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("http://127.0.0.1:1/v2/decide", {}, r"must end in /systemone or /chat/completions, got .*/v2/decide$"),
        ("http:///v1/systemone", {}, r"names no host$"),
        ("http://[::1/v1/systemone", {}, r"is no address: "),
        ("https://host/bücher/v1/systemone", {}, r"^'https://host/bücher/v1/systemone' is no address: .* as %XX$"),
        ("https://host/a b/v1/systemone", {}, r"is no address: .* as %XX$"),
        ("https://host/a\n/v1/systemone", {}, r"is no address: .* as %XX$"),
        ("https://me:pw@host/v1/systemone", {}, r"^an address must not hold a key or a password; .*api_key_from=$"),
        ("https://host/v1/systemone", {"labels": None}, r"pass them in the order of its columns: labels="),
        ("https://host/v1/systemone", {"api_key_from": "NO_SUCH"}, r"NO_SUCH holds no key; set it, or leave"),
        ("http://example.com/v1/systemone", {"api_key_from": "A_KEY"}, r"is not encrypted, .* A_KEY openly; use"),
        ("https://host/v1/systemone", {"api_key_from": "NO_ASCII"}, r"holds what is no key"),
        ("https://host/v1/systemone", {"kind": "logits"}, r"leave kind and preprocess out$"),
        ("https://host/v1/systemone", {"criteria": {"spam": "x"}}, r"^criteria has 'spam', which is none of"),
        ("https://host/v1/systemone", {"tries": 0}, r"^tries must be at least 1, got 0$"),
        ("https://host/v1/systemone", {"timeout": 0}, r"^timeout must be above 0 and finite, got 0$"),
        ("https://host/v1/chat/completions", {"labels": [*"abcdefghijklmnopqrstu"]}, r"20 labels apart, got 21$"),
        ("not/a/url", {"cache": "x"}, r"^cache= is for endpoints, and this model is none; leave it out$"),
        ("not/a/url", {"api_key_from": "A_KEY"}, r"^api_key_from= is for endpoints, and this model is none"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_sent(url, more, words, monkeypatch):
    monkeypatch.setenv("A_KEY", "k")
    monkeypatch.setenv("NO_ASCII", "schlüssel")

    with pytest.raises(InputError, match=words):
        ew.wrap(url, **{"labels": LABELS, **more})


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'time_out'; did you mean timeout\?$"):
        ew.wrap("https://host/v1/systemone", labels=LABELS, time_out=3)


def test_a_model_that_answers_by_chance_is_warned_of(server):
    by_chance = iter(np.random.default_rng(0).random(1000))

    def change(answer):
        p = next(by_chance)
        return put({"money": p, "parcel": 1 - p, "hello": 0.0}, *SYSTEMONE)(answer)

    server.change = change
    with pytest.warns(ElsewiseWarning, match="gives the same text different probabilities .* temperature 0"):
        wrapped(server)


def test_several_texts_are_asked_at_once_but_no_more_than_was_said(server):
    server.delay = 0.02

    wrapped(server, at_once=3)

    assert server.most_at_once == 3


def test_commands_take_an_endpoint(server, tmp_path, monkeypatch):
    server.key = "s3cret"
    monkeypatch.setenv("THEIR_KEY", "s3cret")
    x, y = texts(300)
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(x, y, strict=True)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "new.jsonl").write_text("\n".join(lines[:20]), encoding="utf-8")
    how = ["--engine", f"systemone:{server.url}/v1/systemone", "--api-key-from", "THEIR_KEY"]

    fitted = run("fit", "data.jsonl", "-o", "model", *how, "--target-accuracy", "0.8", folder=tmp_path)
    asked = len(server.requests)
    again = run("fit", "data.jsonl", "-o", "again", *how, "--target-accuracy", "0.8", folder=tmp_path)
    answered = run("predict", "model", "new.jsonl", "-o", "answers.csv", *how, folder=tmp_path)
    lowered = run("threshold", "model", "--target-accuracy", "0.7", folder=tmp_path)
    without = run("predict", "model", "new.jsonl", "-o", "more.csv", folder=tmp_path)

    assert (fitted.returncode, again.returncode, answered.returncode) == (0, 0, 0), fitted.stderr + answered.stderr
    assert lowered.returncode == 0, lowered.stderr
    assert f"asked {server.url}/v1/systemone: {asked} requests, " in fitted.stderr
    assert "its answers are kept in model.answers.jsonl for the next fit, without texts" in fitted.stderr
    assert without.returncode == 1
    assert f"--engine systemone:{server.url}/v1/systemone" in without.stderr
    assert len((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()) == 21


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("openai:http://127.0.0.1:1/v1/systemone", "this address is of systemone; write systemone:http://127.0.0.1:1/v1"),
        ("other:http://127.0.0.1:1/v1/systemone", "an endpoint is written systemone:URL or openai:URL"),
    ],
)  # fmt: skip
def test_an_engine_that_is_no_endpoint_is_refused(engine, words, tmp_path):
    (tmp_path / "data.csv").write_text("text,label\n" + "a,x\nb,y\n" * 9, encoding="utf-8")

    done = run("fit", "data.csv", "-o", "model", "--engine", engine, folder=tmp_path)

    assert done.returncode == 1
    assert words in done.stderr


def test_the_server_of_another_classifier_is_an_endpoint(tmp_path):
    """Its calibrated probabilities come back, and a text that it cannot read is never answered."""
    serving = pytest.importorskip("support.serving")
    inside = serving.by_heart()
    inside.save(tmp_path / "model")

    with serving.serving(tmp_path / "model") as served:
        engine = ew.wrap(f"{served.url}/v1/systemone", labels=inside.labels[::-1])
        p = ew.softmax(engine.run(list(serving.TEXTS)).logits)

    assert np.abs(p[:, ::-1] - inside.probabilities([*serving.TEXTS])).max() < 1e-6
