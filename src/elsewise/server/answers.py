"""Answers to texts: what a job's decisions become in JSON."""

import math
from typing import Any, Final

import numpy as np

from elsewise.server.batcher import Decided, Job
from elsewise.server.problems import Problem
from elsewise.server.schemas import Answer, Options, ProblemBody, Ranked

COLUMNS: Final = ("label", "abstained", "reason", "best_label", "probability", "confidence", "threshold", "truncated")


def answers_of(job: Job, options: Options) -> list[tuple[Answer, int]]:
    """Give the answers of a job's n texts, in their order, each with the code of its label."""
    answers: list[Any] = [None] * len(job.order)
    for decided, first, rows in job.parts:
        for place, row in enumerate(rows.tolist(), start=first):
            answers[row] = (_answer(decided, place, options), int(decided.decisions.codes[place]))
    return answers


def _answer(decided: Decided, row: int, options: Options) -> Answer:
    cells = {name: decided.columns[name][row] for name in COLUMNS}
    for name in ("probability", "confidence", "threshold"):
        cells[name] = number(cells[name])
    tokens = None if decided.evidence.outputs is None else decided.evidence.outputs.tokens
    answer = Answer(tokens=None if tokens is None else int(tokens[row]), **cells)
    if options.top or options.probabilities:
        _add_probabilities(answer, decided, row, options)
    if options.sentences:
        answer.sentence = decided.decisions.sentence(row, options.sentences)
        answer.customer_sentence = decided.decisions.customer_sentence(row, options.sentences)
    return answer


def _add_probabilities(answer: Answer, decided: Decided, row: int, options: Options) -> None:
    p, names = decided.evidence.probabilities[row], decided.decisions.names
    if options.top:
        best = np.argsort(-p, kind="stable")[: options.top].tolist()
        is_read = not np.isnan(p[0])
        answer.top = [Ranked(names[code], float(p[code])) for code in best] if is_read else []
    if options.probabilities:
        answer.probabilities = dict(zip(names, map(number, p.tolist()), strict=True))


def number(value: float) -> float | None:
    """Give a number as JSON has it: null for NaN and for an infinite threshold, which nothing or everything reaches.

    Examples
    --------
    >>> number(0.5), number(float("nan")), number(float("inf"))
    (0.5, None, None)
    """
    return value if math.isfinite(value) else None


def problem_answer(problem: Problem) -> Answer:
    """Give the answer to a text that alone has failed."""
    return Answer(problem=ProblemBody(**problem.as_dict()))
