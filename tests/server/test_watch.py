"""What the watch says of the last texts, and when its alarms are raised."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.evaluation.shift import Reference, Tally, shift
from elsewise.rules.decisions import Reason
from elsewise.server.served import Served
from elsewise.server.watch import MARGIN, Watch, Window

LABELS = ("yes", "no")


def evidence(n, share_right, seed=0):
    """Texts that are answered with about this probability, a quarter of them unsure."""
    rng = np.random.default_rng(seed)
    sure = rng.random(n) > 0.25
    p = np.where(sure, np.clip(rng.normal(share_right, 0.01, n), 0.5, 1), 0.55)
    return np.column_stack([p, 1 - p])


@pytest.fixture(scope="module")
def served():
    p = evidence(400, 0.97)
    rule = ew.CertifiedThreshold.fit(
        p, np.where(p[:, 0] > 0.6, 0, 1), reference=evidence(400, 0.97, 1), target_accuracy=0.95
    )
    made = ew.Classifier(MemoryEngine(LABELS, {}), ew.Identity(), rule)
    certificate = rule.certificate
    return Served(made, "m", "0" * 16, "1" * 16, Reference(certificate.target_accuracy, 1 - certificate.coverage))


def decided(served, p):
    return served.classifier.decisions(ew.Evidence(p))


def alarms(watch):
    return {alarm["name"] for alarm in watch.report()["alarms"] if alarm["raised"]}


def test_texts_as_promised_raise_nothing(served):
    watch = Watch(served, 1000, 0.01)
    for seed in range(20):
        watch.saw(decided(served, evidence(200, 0.97, seed)))

    report = watch.report()
    assert alarms(watch) == set()
    assert report["shift"]["standing"] == "believed"
    assert report["words"].endswith("No alarm.")
    assert report["texts"] == 1000


def test_less_confidence_than_promised_raises_the_alarm_of_accuracy(served):
    watch = Watch(served, 1000, 0.01)
    watch.saw(decided(served, evidence(2000, 0.97)))
    p = np.full(2000, float(served.classifier.rule.threshold))  # the least that is answered
    assert p[0] < served.classifier.certificate.target_accuracy
    watch.saw(decided(served, np.column_stack([p, 1 - p])))

    assert "accuracy" in alarms(watch)
    assert "Alarms: accuracy" in watch.report()["words"]


def test_more_other_raises_an_alarm_beyond_its_margin(served):
    least = served.classifier.certificate.coverage_low - MARGIN
    rng = np.random.default_rng(0)

    def texts(answered, n=3000):
        p = np.where(rng.random(n) < answered, 0.97, 0.55)
        return decided(served, np.column_stack([p, 1 - p]))

    little, much = Watch(served, 1000, 0.01), Watch(served, 1000, 0.01)
    little.saw(texts(least + 0.02))
    much.saw(texts(least - 0.1))

    assert alarms(little) == set()
    assert alarms(much) == {"other"}


def test_wrong_labels_raise_an_alarm_and_few_are_enough(served):
    watch = Watch(served, 1000, 0.01)
    for _ in range(30):
        watch.labelled(right=False)

    assert alarms(watch) == {"labelled"}
    assert watch.report()["labelled"] == {"right": 0, "wrong": 30}


def test_the_window_holds_the_last_texts_as_a_file_of_them_would(served):
    window = Window(300)
    parts = [decided(served, evidence(n, 0.9, n)) for n in (100, 50, 220, 1, 90)]
    for part in parts:
        window.add(part)

    p = np.concatenate([evidence(n, 0.9, n) for n in (100, 50, 220, 1, 90)])[-300:]
    last = decided(served, p)
    found = Tally.of(window.decisions(LABELS))
    assert found == pytest.approx(found)
    assert (found.labels, found.reasons, found.bins) == (
        Tally.of(last).labels,
        Tally.of(last).reasons,
        Tally.of(last).bins,
    )
    reference = served.reference
    assert shift(found, reference).standing == shift(Tally.of(last), reference).standing


def test_more_texts_at_once_than_the_window_holds_leave_the_last(served):
    window = Window(100)
    window.add(decided(served, evidence(250, 0.97)))

    assert window.texts == 100
    expected = Tally.of(decided(served, evidence(250, 0.97)[-100:]))
    assert Tally.of(window.decisions(LABELS)).labels == expected.labels


def test_reasons_fit_into_the_window():
    assert max(map(len, Reason)) <= 20


def test_the_words_are_turkish_on_request(served):
    watch = Watch(served, 1000, 0.01)
    watch.saw(decided(served, evidence(400, 0.97)))

    report = watch.report("tr")

    assert "Alarm yok." in report["words"]
    assert all("olasılığı en fazla %1" in alarm["words"] for alarm in report["alarms"])


def test_without_a_promise_there_is_nothing_to_keep():
    made = ew.Classifier(MemoryEngine(LABELS, {}), ew.Identity(), ew.FixedThreshold(0.6))
    watch = Watch(Served(made, "m", "0", None, None), 100, 0.01)
    watch.saw(made.decisions(ew.Evidence(evidence(50, 0.9))))

    report = watch.report()
    assert (report["alarms"], report["shift"]) == ([], None)
    assert report["other_share"] > 0
    assert "promises nothing" in report["words"]
