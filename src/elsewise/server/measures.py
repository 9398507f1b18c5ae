"""Measures of the server for Prometheus. Their labels are closed sets: routes, codes, reasons; never a text."""

import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from elsewise.evaluation.shift import Shift
from elsewise.rules.decisions import Decisions
from elsewise.server.batcher import Round

SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TOKENS: Final = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
CONFIDENCES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"  # environment: where the workers of one server put their numbers
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


disable_created_metrics()  # type: ignore[no-untyped-call]


class Measures:
    """The measures of one process; `text` has those of all workers of the server."""

    def __init__(self) -> None:
        self.registry = here = CollectorRegistry()
        self.requests = Counter("elsewise_requests", "Requests.", ["route", "status"], registry=here)
        self.seconds = Histogram(
            "elsewise_request_duration_seconds", "From request to answer.", ["route"], buckets=SECONDS, registry=here
        )
        self.waiting = Gauge("elsewise_queue_tokens", "Tokens that wait.", registry=here, multiprocess_mode="livesum")
        self.round_seconds = Histogram(
            "elsewise_batch_duration_seconds", "One run of the engine.", buckets=SECONDS, registry=here
        )
        self.round_tokens = Histogram("elsewise_batch_tokens", "Tokens in one run.", buckets=TOKENS, registry=here)
        self.decisions = Counter("elsewise_decisions", "Texts decided.", ["reason"], registry=here)
        self.confidence = Histogram("elsewise_confidence", "Of decisions.", buckets=CONFIDENCES, registry=here)
        self.truncated = Counter("elsewise_texts_truncated", "Texts longer than the model reads.", registry=here)
        self.problems = Counter("elsewise_problems", "Requests and texts not answered.", ["code"], registry=here)
        self.feedback = Counter("elsewise_feedback", "True labels that came.", ["right"], registry=here)
        modes: dict[str, Any] = {"registry": here, "multiprocess_mode": "livemostrecent"}
        self.ready = Gauge("elsewise_ready", "1 while ready.", registry=here, multiprocess_mode="livemin")
        self.model = Gauge("elsewise_model_info", "1 for the served model.", ["model", "certificate"], **modes)
        self.other = Gauge("elsewise_window_other_share", "Other among the last texts.", **modes)
        self.expected = Gauge("elsewise_window_expected_accuracy", "Of the last answers.", ["end"], **modes)
        self.promised = Gauge("elsewise_promised_accuracy", "What the certificate promises.", **modes)
        self.alarms = Gauge("elsewise_alarm", "1 for an alarm.", ["alarm"], registry=here, multiprocess_mode="livemax")

    def saw(self, done: Round) -> None:
        """Count a round of the engine."""
        self.round_seconds.observe(done.seconds)
        self.round_tokens.observe(done.tokens)
        for decided in dict.fromkeys(part for part, _ in done.parts):
            self._saw(decided.decisions)

    def _saw(self, decisions: Decisions) -> None:
        reasons, counts = np.unique(decisions.reasons, return_counts=True)
        for reason, count in zip(reasons.tolist(), counts.tolist(), strict=True):
            self.decisions.labels(str(reason)).inc(count)
        for confidence in decisions.confidence[~np.isnan(decisions.confidence)].tolist():
            self.confidence.observe(confidence)
        if decisions.truncated is not None and (cut := int(decisions.truncated.sum())):
            self.truncated.inc(cut)

    def told(self, other_share: float, found: Shift | None, alarms: Mapping[str, bool]) -> None:
        """Set the gauges of the watch."""
        self.other.set(other_share)
        if found is not None:
            for end, value in found.accuracy.as_dict().items():
                self.expected.labels(end).set(value)
            self.promised.set(found.target)
        for name, is_raised in alarms.items():
            self.alarms.labels(name).set(is_raised)

    def text(self) -> bytes:
        """Write all measures, in the format that Prometheus reads."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        whole = CollectorRegistry()
        MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
        return generate_latest(whole)
