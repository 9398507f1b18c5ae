"""The conformance suite of typed decisions: what a classifier of fixed labels can keep of it, it keeps."""

import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from support.serving import serving

checks = pytest.importorskip("jevcompat.checks")
LABELS = ("Billing", "Technical", "Sales")  # those of the suite's own choice
KEPT = {
    "choice.answer", "choice.argmax", "choice.distribution", "choice.null-description", "choice.probability-keys",
    "confidence.formula", "confidence.range", "errors.json", "errors.no-5xx", "errors.reject-invalid",
    "errors.validation-shape", "http.content-type", "http.json", "http.models", "request.model-alias",
    "request.structured-text", "response.answer-ids", "response.answer-type", "response.envelope",
    "response.extensions", "response.finite", "response.usage", "score.map-rejected",
}  # fmt: skip
REFUSED = {  # by questions of type noul or score, or about other labels
    "choice.options", "http.endpoint", "noul.criteria", "noul.no-instructions", "request.question-ids",
    "request.state", "request.unicode", "request.unknown-fields", "score.levels",
}  # fmt: skip
WHY = ("this model answers choice questions", "the model has no label", "must have all labels of the model")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    place = tmp_path_factory.mktemp("jev") / "m"
    engine = MemoryEngine(LABELS, {"refund": (3.0, 0.0, 0.0)}, default=(2.0, 0.5, 0.1))
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.5)).save(place)
    with serving(place) as made:
        yield made


def test_what_applies_passes_and_the_rest_is_refused_with_a_word(served):
    suite = checks.Ctx(checks.Client(served.url), key_given=False, sdk=False)
    suite.info["types_ok"] = {"choice"}
    for case in checks.CASES:
        case.fn(suite, case.name)

    violated = {finding.req for finding in suite.findings}
    assert suite.exercised.keys() - violated == KEPT
    assert violated == REFUSED
    assert [finding.message for finding in suite.findings if not any(why in finding.message for why in WHY)] == []
    assert {exchange.status for exchange in suite.exchanges} <= {200, 422}


@pytest.mark.parametrize("state", ["refund", {"message": "refund"}, ["refund", 1]])
def test_a_state_may_be_any_json_and_unknown_fields_are_ignored(served, state):
    """What the suite asks by other types of questions."""
    questions = {name: {"type": "choice", "criteria": dict.fromkeys(LABELS)} for name in ("q.2", "with space", "sorü")}
    body = {"model": "jev-latest", "state": state, "questions": questions, "later": 1}

    reply = served.client.post("/v1/systemone", json=body)

    assert reply.status_code == 200
    assert {answer["choice"] for answer in reply.json()["answers"].values()} == {"Billing"}
    assert reply.json()["answers"].keys() == questions.keys()
