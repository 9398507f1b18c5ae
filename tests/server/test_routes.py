"""What each route answers, on a real socket, around a model that knows four texts by heart."""

import json

import pytest

import elsewise as ew
from elsewise.server.problems import KINDS
from support.serving import LABELS, TEXTS, by_heart, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("served") / "by-heart"
    by_heart().save(place)
    return place


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder) as made:
        yield made


def problem_of(reply):
    """The code of a problem, which is well formed."""
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == reply.status_code == KINDS[body["code"]].status
    assert body["request"] == reply.headers["x-request-id"]
    return body["code"]


def lines_of(served, *lines, query=""):
    content = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    headers = {"content-type": "application/x-ndjson"}
    reply = served.client.post(f"/v1/decide{query}", content=content, headers=headers)
    return [json.loads(line) for line in reply.text.splitlines()]


def test_texts_get_the_decisions_that_python_gives(served, folder):
    decisions = ew.load(folder).decide([*TEXTS, "something else", ""])

    answers = served.decide(*TEXTS, "something else", "").json()["answers"]

    for name, cells in decisions.columns.items():
        shown = [None if cell != cell else cell for cell in cells]  # NaN is null  # noqa: PLR0124
        assert [answer[name] for answer in answers] == shown
    assert [answer["threshold"] for answer in answers] == decisions.threshold.tolist()


def test_one_text_is_asked_by_its_own_name(served):
    body = served.client.post("/v1/decide", json={"text": "send it back"}).json()

    assert [answer["label"] for answer in body["answers"]] == ["returns"]


def test_an_own_threshold_carries_no_promise(served):
    body = served.decide("parcel or invoice", threshold=0.2).json()

    assert body["certificate"] is None
    assert [(a["label"], a["threshold"]) for a in body["answers"]] == [("billing", 0.2)]


def test_best_labels_and_all_probabilities_are_given(served, folder):
    p = ew.load(folder).probabilities(["send it back"])[0].tolist()

    (answer,) = served.decide("send it back", top=2, probabilities=True).json()["answers"]

    assert answer["probabilities"] == dict(zip(LABELS, p, strict=True))
    assert answer["top"] == [{"label": "returns", "probability": p[2]}, {"label": "delivery", "probability": p[1]}]


def test_sentences_say_why_in_turkish(served, folder):
    decision = ew.load(folder).decide(["parcel or invoice"])[0]

    (answer,) = served.decide("parcel or invoice", sentences="tr").json()["answers"]

    assert answer["sentence"] == decision.sentence("tr")
    assert answer["customer_sentence"] == decision.customer_sentence("tr")


def test_a_bad_text_fails_alone(served):
    answers = served.decide("send it back", 3, None, "x" * 100_001, "where is my parcel").json()["answers"]

    codes = [answer.get("problem", {}).get("code") for answer in answers]
    assert codes == [None, "text_missing", "text_missing", "text_long", None]
    assert [answers[0]["label"], answers[4]["label"]] == ["returns", "delivery"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{}", "request_invalid"),
        ('{"text": "a", "texts": ["b"]}', "request_invalid"),
        ('{"texts": []}', "request_invalid"),
        ('{"text": "a", "speed": 9}', "request_invalid"),
        ('{"text": "a", "threshold": 2}', "request_invalid"),
        ('{"text": "a", "sentences": "xx"}', "request_invalid"),
        (json.dumps({"texts": ["a"] * 257}), "texts_many"),
        ('{"text": "a", "text": "b"}', "json_duplicate_key"),
        ('{"text": NaN}', "json_invalid"),
        ('{"text": "a", "threshold": 1e999}', "request_invalid"),
        (r'{"text": "\ud800"}', "json_invalid"),
        ("\ufeff{}", "json_invalid"),
        ('{"text": "a"} {}', "json_invalid"),
        ("[" * 100_000, "json_depth"),
        ("", "json_invalid"),
        (b'{"text": "\xff"}', "json_invalid"),
    ],
)
def test_a_bad_body_is_refused_by_a_code(served, body, code):
    reply = served.client.post("/v1/decide", content=body, headers={"content-type": "application/json"})

    assert problem_of(reply) == code


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/v1/decide", {}, "method_refused"),
        ("OPTIONS", "/v1/decide", {"origin": "http://evil.example"}, "method_refused"),
        ("POST", "/v1/nothing", {}, "path_unknown"),
        ("GET", "/../../etc/passwd", {}, "path_unknown"),
        ("POST", "/v1/decide", {"content-type": "text/plain"}, "media_type"),
        ("POST", "/v1/decide", {"content-type": "application/json", "content-encoding": "gzip"}, "media_type"),
        ("POST", "/v1/decide", {"content-type": "application/json", "origin": "http://evil.example"}, "origin_refused"),
        ("POST", "/v1/decide", {"host": "evil.example"}, "host_refused"),
    ],
)
def test_what_is_not_served_is_refused(served, method, path, headers, code):
    reply = served.client.request(method, path, headers=headers, content=b'{"text": "a"}' if method == "POST" else None)

    assert problem_of(reply) == code
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_body_is_counted_as_it_comes(served):
    def chunks():
        for _ in range(100):
            yield b" " * 65_536

    reply = served.client.post("/v1/decide", content=chunks(), headers={"content-type": "application/json"})

    assert problem_of(reply) == "body_large"
    assert served.decide("send it back").status_code == 200


def test_the_request_id_of_a_client_comes_back(served):
    mine = served.client.get("/health/live", headers={"x-request-id": "abc-1"})
    forged = served.client.get("/health/live", headers={"x-request-id": 'a"b'})

    assert mine.headers["x-request-id"] == "abc-1"
    assert len(forged.headers["x-request-id"]) == 24


def test_a_stream_of_lines_is_answered_line_by_line(served):
    answers = lines_of(served, '"send it back"', {"text": "where is my parcel", "key": 7}, "", "no json", '{"a": 1}')

    assert [answer["line"] for answer in answers] == [1, 2, 4, 5]
    assert [answer.get("label") for answer in answers] == ["returns", "delivery", None, None]
    assert answers[1]["key"] == 7
    assert [answer["problem"]["code"] for answer in answers[2:]] == ["json_invalid", "request_invalid"]


def test_a_long_stream_keeps_its_order(served):
    texts = list(TEXTS) * 300

    answers = lines_of(served, *map(json.dumps, texts), query="?top=1&threshold=0.3")

    assert [answer["line"] for answer in answers] == list(range(1, len(texts) + 1))
    assert [answer["best_label"] for answer in answers[:4]] == ["delivery", "billing", "returns", "billing"]
    assert {(answer["threshold"], answer["certificate"]) for answer in answers} == {(0.3, None)}


@pytest.mark.parametrize("query", ["?top=-1", "?top=1&top=2", "?speed=1", "?sentences=xx"])
def test_options_of_a_stream_are_checked(served, query):
    reply = served.client.post(f"/v1/decide{query}", content="", headers={"content-type": "application/x-ndjson"})

    assert problem_of(reply) == "request_invalid"


def test_predict_answers_as_text_embeddings_inference(served, folder):
    p = ew.load(folder).probabilities(["send it back"])[0].tolist()
    single = [
        {"score": p[2], "label": "returns"},
        {"score": p[1], "label": "delivery"},
        {"score": p[0], "label": "billing"},
    ]

    one = served.client.post("/predict", json={"inputs": "send it back"})
    many = served.client.post("/predict", json={"inputs": [["send it back"], ["send it back"]]})

    assert one.json() == single
    assert many.json() == [single, single]


@pytest.mark.parametrize(
    ("inputs", "more"),
    [
        (["a", "b"], {}),
        ([["a", "b"]], {}),
        ([], {}),
        ([["a"], "b"], {}),
        ([[["a"]]], {}),
        ("", {}),
        ("a", {"raw_scores": True}),
    ],
)
def test_predict_refuses_in_the_words_of_its_form(served, inputs, more):
    reply = served.client.post("/predict", json={"inputs": inputs, **more})

    assert reply.status_code == 422
    assert reply.json().keys() == {"error", "error_type"}
    assert reply.json()["error_type"] == "Validation"


def test_a_choice_among_the_labels_is_answered_as_typed_decision(served, folder):
    p = ew.load(folder).probabilities(["parcel or invoice"])[0].tolist()
    question = {"type": "choice", "instructions": "Which team?", "criteria": dict.fromkeys(reversed(LABELS))}

    body = served.client.post(
        "/v1/systemone", json={"state": "parcel or invoice", "questions": {"team": question}}
    ).json()

    answer = body["answers"]["team"]
    assert answer["probabilities"] == dict(zip(LABELS, p, strict=True))
    assert list(answer["probabilities"]) == list(reversed(LABELS))
    assert (answer["type"], answer["choice"], answer["x_abstained"], answer["x_reason"]) == (
        "choice",
        "billing",
        True,
        "ambiguous",
    )
    assert answer["confidence"] == pytest.approx((max(p) - 1 / 3) / (2 / 3))
    assert body["model"] == served.client.get("/v1/models").json()["data"][0]["id"] == folder.name


CHOICE = {"type": "choice", "criteria": dict.fromkeys(LABELS)}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"state": "a", "questions": {"q": {"type": "noul"}}}, "choice questions"),
        ({"state": "a", "questions": {"q": {"type": "score", "criteria": ["a", "b"]}}}, "choice questions"),
        ({"state": "a", "questions": {"q": {"type": "choice", "criteria": {"spam": None}}}}, "no label 'spam'"),
        ({"state": "a", "questions": {"q": {"type": "choice", "criteria": {"billing": None}}}}, "lacks 'delivery'"),
        ({"state": "a", "questions": {"q": {"type": "choice"}}}, "criteria"),
        ({"state": "a", "questions": {"q": {**CHOICE, "speed": 1}}}, "unknown fields"),
        ({"state": "a", "questions": {}}, "length >= 1"),
        ({"state": "a", "model": "other", "questions": {"q": CHOICE}}, "'by-heart'"),
        ({"state": "a", "assets": {"i": {}}, "questions": {"q": CHOICE}}, "text alone"),
        ({"state": "", "questions": {"q": CHOICE}}, "nothing to read"),
    ],
)
def test_other_questions_are_refused_with_a_clear_word(served, body, word):
    reply = served.client.post("/v1/systemone", json=body)

    assert reply.status_code == 422
    (said,) = reply.json()["detail"]
    assert word in said["msg"]
    assert said.keys() == {"loc", "msg", "type"}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_no_other_site_for_anything(served, path):
    reply = served.client.get(path)

    assert reply.status_code == 200
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "http://" not in reply.text
    assert "https://" not in reply.text


def test_the_measures_count_what_was_decided(served):
    def decided():
        lines = served.client.get("/metrics").text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    before = decided()
    served.decide("send it back", "parcel or invoice", "")
    after = decided()

    def more(name):
        return after[name] - before.get(name, 0)

    assert more('elsewise_decisions_total{reason="answered"}') == 1
    assert more('elsewise_decisions_total{reason="ambiguous"}') == 1
    assert more('elsewise_decisions_total{reason="unreadable"}') == 1
    assert more('elsewise_requests_total{route="/v1/decide",status="200"}') == 1
    assert after["elsewise_ready"] == 1


def test_a_request_is_one_line_of_the_log_without_its_text(served):
    before = len(served.events("request"))
    text = 'secret\n{"event": "forged"}'

    served.decide(text)
    served.client.get("/a%0apath", headers={"x-request-id": "a"})

    lines = served.events("request")[before:]
    assert [(line["route"], line["status"]) for line in lines] == [("/v1/decide", 200), ("unknown", 404)]
    assert "secret" not in json.dumps(served.log)
    assert "path" not in json.dumps(lines[1]["route"])


def test_a_failure_is_told_without_a_text(folder):
    def load(path):
        class Failing:
            labels = LABELS

            def run(self, texts):
                if "boom" in texts:
                    raise RuntimeError(texts[0])
                return by_heart().engine.run(texts)

        return ew.Classifier(Failing(), ew.Identity(), ew.FixedThreshold(0.6))

    with serving(folder, load) as made:
        reply = made.decide("boom")

        assert problem_of(reply) == "internal"
        assert made.decide("send it back").status_code == 200
    assert "boom" not in json.dumps(made.log)


def test_keys_are_needed_but_for_health(folder):
    keys = ("k" * 32, "l" * 32)
    with serving(folder, keys=keys) as made:
        said = {}
        for name, headers in {
            "none": {"authorization": ""},
            "wrong": {"authorization": "Bearer " + "x" * 32},
            "first": {"authorization": f"Bearer {keys[0]}"},
            "second": {"authorization": "", "x-api-key": keys[1]},
        }.items():
            said[name] = made.client.post("/v1/decide", json={"text": "send it back"}, headers=headers).status_code
        health = made.client.get("/health/live", headers={"authorization": ""}).status_code
        metrics = made.client.get("/metrics", headers={"authorization": ""}).status_code

    assert said == {"none": 401, "wrong": 401, "first": 200, "second": 200}
    assert (health, metrics) == (200, 401)
    assert "kkkk" not in json.dumps(made.log)


def test_other_host_names_are_allowed_by_name(folder):
    with serving(folder, hosts=("models.example",)) as made:
        allowed = made.client.get("/v1/models", headers={"host": "models.example:80"})
        refused = made.client.get("/v1/models", headers={"host": "localhost"})

    assert (allowed.status_code, refused.status_code) == (200, 403)


def test_an_answer_that_was_drawn_is_kept_and_its_label_counts(folder, tmp_path):
    file = tmp_path / "audit.jsonl"
    with serving(folder, audit_share=1.0, audit_file=file) as made:
        answers = made.decide("send it back", "parcel or invoice").json()["answers"]
        post = made.client.post
        right = post("/v1/feedback", json={"id": answers[0]["id"], "label": "returns"}).json()
        again = post("/v1/feedback", json={"id": answers[0]["id"], "label": "billing"}).json()
        other = post("/v1/feedback", json={"id": answers[1]["id"], "label": "billing"}).json()
        unknown = post("/v1/feedback", json={"id": "nobody", "label": "billing"})
        forged = post("/v1/feedback", json={"id": answers[0]["id"].replace("-2-", "-1-"), "label": "billing"})
        strange = post("/v1/feedback", json={"id": answers[0]["id"], "label": "spam"})
        watch = made.client.get("/v1/certificate").json()["watch"]

    assert right == {"id": answers[0]["id"], "right": True, "counted": True}
    assert (again["right"], again["counted"]) == (False, False)
    assert (other["right"], other["counted"]) == (None, False)
    assert [problem_of(one) for one in (unknown, forged, strange)] == [
        "receipt_unknown", "receipt_unknown", "label_unknown",
    ]  # fmt: skip
    assert watch["labelled"] == {"right": 1, "wrong": 0}
    kept = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line.get("text"), line["label"]) for line in kept] == [
        ("answer", "send it back", "returns"),
        ("label", None, "returns"),
        ("label", None, "billing"),
        ("label", None, "billing"),
    ]
    assert kept[0]["share"] == 1.0
    assert file.stat().st_mode & 0o077 == 0
