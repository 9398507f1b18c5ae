"""Bodies of requests and answers. The OpenAPI document is made from these types."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Language = Literal["en", "tr"]
Truncation = Literal["flag", "strict"]
Share = Annotated[float, Meta(ge=0, le=1)]


class Options(Struct, forbid_unknown_fields=True, kw_only=True):
    """How texts are decided."""

    threshold: Annotated[
        Share | None,
        Meta(description="Threshold of this request, instead of the certified one. Its answers carry no promise."),
    ] = None
    top: Annotated[int, Meta(ge=0, le=10_000, description="This many best labels with their probabilities.")] = 0
    probabilities: Annotated[bool, Meta(description="The probability of every label.")] = False
    truncation: Annotated[
        Truncation, Meta(description="A text longer than the model reads is cut and flagged, or a problem (strict).")
    ] = "flag"
    sentences: Annotated[
        Language | None, Meta(description="Two sentences why, one with numbers and one for the customer.")
    ] = None


class DecideRequest(Options, forbid_unknown_fields=True, kw_only=True):
    """Texts to decide on: `text`, or `texts`."""

    text: str | UnsetType = UNSET
    texts: (
        Annotated[list[Any], Meta(min_length=1, description="Strings. What is no string is a problem of its own.")]
        | UnsetType
    ) = UNSET


class ProblemBody(Struct, kw_only=True):
    """What is wrong (RFC 9457). `code` stays the same between versions."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request: str | UnsetType = UNSET


class Ranked(Struct):
    """A label and its probability."""

    label: str
    probability: float | None


class Answer(Struct, kw_only=True):
    """The answer to one text: a decision, or a problem of this text alone."""

    id: str | UnsetType = UNSET
    label: str | UnsetType = UNSET
    abstained: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    best_label: str | UnsetType = UNSET
    probability: float | UnsetType | None = UNSET
    confidence: float | UnsetType | None = UNSET
    threshold: float | UnsetType | None = UNSET
    tokens: int | UnsetType | None = UNSET
    truncated: bool | UnsetType = UNSET
    top: list[Ranked] | UnsetType = UNSET
    probabilities: dict[str, float | None] | UnsetType = UNSET
    sentence: str | UnsetType = UNSET
    customer_sentence: str | UnsetType = UNSET
    problem: ProblemBody | UnsetType = UNSET


class DecideAnswer(Struct, kw_only=True):
    """Answers in the order of the texts. `certificate` is null where nothing is promised of them."""

    model: str
    certificate: str | None
    answers: list[Answer]


class TeiRequest(Struct, kw_only=True):
    """The request of text-embeddings-inference: a string, or a batch of lists of one string each."""

    inputs: str | list[str | list[str]]
    truncate: bool = False
    raw_scores: bool = False


class TeiScore(Struct):
    """A label and its calibrated probability."""

    score: float
    label: str


class TeiError(Struct):
    """The error of text-embeddings-inference."""

    error: str
    error_type: str


class SystemOneRequest(Struct, kw_only=True):
    """Typed questions about a state. Answered here: a `choice` among all labels of the model."""

    state: str | dict[str, Any] | list[Any]
    questions: Annotated[dict[str, Any], Meta(min_length=1, max_length=64)]
    model: str | None = None
    assets: dict[str, Any] = {}


class FeedbackRequest(Struct, forbid_unknown_fields=True):
    """The true label of an answered text, by the id of its answer."""

    id: str
    label: str


class FeedbackAnswer(Struct):
    """What was noted."""

    id: str
    right: bool | None
    counted: bool


def decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """Make a strict decoder of a type."""
    return msgspec.json.Decoder(kind, strict=True)
