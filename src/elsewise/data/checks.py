"""Checks of labelled texts before training: problems, and the accuracy that can be promised on them.

`fit` runs the same checks: it stops at an error, and warns at a warning. Nothing here needs torch.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.arrays import ABSTAIN, Codes
from elsewise.calibrators.choice import FEWEST_ROWS
from elsewise.data.defaults import CONFIDENCE_LEVEL, LEFT_OUT, MAX_LENGTH, PARTS, TARGET_ACCURACY
from elsewise.data.encoding_guess import misread
from elsewise.data.labels import Relabelling, label_form, near_duplicates
from elsewise.data.language import AS_ENGLISH, language_warnings, lowercases_as_english
from elsewise.data.splits import SHARES, DividedTexts, Pairs, divide, hashes
from elsewise.engines.encoders import DEFAULT_ENCODER, find_positions, find_tokenizer
from elsewise.engines.lowercase import check_lowercase
from elsewise.engines.lowercase import lowercase as lowercase_as
from elsewise.engines.multilingual import MULTILINGUAL, tokenizer_for
from elsewise.engines.tokenizer import TextTokenizer, is_visible
from elsewise.errors import ArtifactError, InputError, warn_caller
from elsewise.messages.certificates import NOTABLE
from elsewise.messages.wording import at_lines, counted, listed, percent, shortened
from elsewise.rules.fixed_sequence import BinomialTest
from elsewise.storage.paths import at_home

FEW_TO_CERTIFY: Final = 300
FEWEST_LABELS: Final = 2
FEWEST_A_LABEL: Final = 3  # rows; fewer stay in train
SWAPPED: Final = 2  # labels for each different text
FEW_TO_LEARN: Final = 10  # train rows of a label
MANY_TRUNCATED: Final = 0.01
SAMPLE: Final = 5_000  # texts whose tokens are counted
USUAL_LIMIT: Final = 512  # tokens; few encoders read more
GROUPS_SHOWN: Final = 20
TEXT_SHOWN: Final = 43  # characters
DIGITS: Final = re.compile(r"\d+(?:[.,:/-]\d+)*")
CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
WORDS_FOR_OTHER: Final = (
    *("other", "others", "misc", "miscellaneous", "none", "none of these", "none of the above", "unknown"),
    *("oos", "ood", "out of scope", "out of domain", "irrelevant", "not relevant", "no intent", "no match"),
    *("diğer", "diğerleri", "diger", "kapsam dişi", "kapsamdişi", "kapsam disi", "alakasiz", "ilgisiz"),
    *("hiçbiri", "bilinmeyen", "sonstige", "sonstiges", "autre", "autres", "otro", "otros", "altro", "outro"),
)
OUT_OF_SCOPE_WORDS: Final = frozenset(map(label_form, WORDS_FOR_OTHER))

Locate = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, or a fact, found in labelled texts.

    Attributes
    ----------
    level : {"error", "warning", "note"}
        `fit` refuses an error.
    kind, sentence, remedy : str
        Name for programs, such as near_duplicate_labels; the finding in words; and what to do, empty for nothing.
    options : tuple of str
        Options of `fit` that fix it.
    where : tuple of int
        All lines of the file, or indices of rows without a file.
    typed : str
        How the remedy is typed on the command line, where Python has no parameter for it.
    """

    level: str
    kind: str
    sentence: str
    remedy: str = ""
    options: tuple[str, ...] = ()
    where: tuple[int, ...] = ()
    typed: str = ""

    def __str__(self) -> str:
        """Print the level, the sentence and the remedy."""
        return "; ".join(filter(None, [f"{self.level}: {self.sentence}", self.remedy]))


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Number of rows of a label, in all and in each part."""

    label: str
    rows: int
    train: int
    tune: int
    certify: int
    test: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token counts of `texts` texts: half have at most `median`, 95 % at most `high`; a share `truncated` is cut.

    More than `counted` tokens count as `counted`.
    """

    texts: int
    median: int
    high: int
    longest: int
    truncated: float
    counted: int


@dataclass(frozen=True, slots=True, repr=False)
class Findings:
    """Result of the checks of labelled texts.

    Attributes
    ----------
    findings : tuple of Finding
        Errors, warnings and notes, by subject.
    labels : tuple of LabelRows
        Rows of each label and of out-of-scope, the most frequent first.
    parts : mapping
        Number of rows of train, tune, certify and test, and of rows left out of them.
    lengths : Lengths or None
        Token counts; None if the encoder's tokenizer is not on this machine.
    best_accuracy : float or None
        Accuracy that the certify rows could promise without an error; None without certify rows.
    """

    findings: tuple[Finding, ...]
    labels: tuple[LabelRows, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    lengths: Lengths | None = None
    best_accuracy: float | None = None

    def __repr__(self) -> str:
        counts = (f"{level}s={len(self.of_level(level))}" for level in ("error", "warning", "note"))
        return f"Findings({', '.join(counts)})"

    def __str__(self) -> str:
        """Print a line for each finding."""
        return "\n".join(map(str, self.findings)) or "nothing was found"

    def of_level(self, level: str) -> tuple[Finding, ...]:
        """Select the findings of one level."""
        return tuple(finding for finding in self.findings if finding.level == level)


def check(
    texts: Iterable[str],
    labels: Iterable[Any],
    *,
    held_out: Pairs | None = None,
    test: Pairs | None = None,
    groups: Iterable[Any] | None = None,
    times: Iterable[Any] | None = None,
    count_repeats: bool = False,
    out_of_scope_label: str | None = None,
    target_accuracy: float = TARGET_ACCURACY,
    confidence_level: float = CONFIDENCE_LEVEL,
    encoder: str = DEFAULT_ENCODER,
    max_length: int = MAX_LENGTH,
    lowercase: str | None = None,
    seed: int = 0,
    lines: Sequence[int] | None = None,
) -> Findings:
    """Check labelled texts for what `fit` would refuse or warn about, without training.

    Parameters
    ----------
    texts, labels, held_out, test, groups, times, count_repeats, out_of_scope_label
        As for `elsewise.fit`.
    target_accuracy, confidence_level, encoder, max_length, lowercase, seed
        As for `elsewise.fit`.
    lines : n whole numbers, optional
        Lines of the rows in their file, for the findings.

    Returns
    -------
    Findings
        Includes an error, not raised, for whatever `fit` would refuse.

    Raises
    ------
    InputError
        If the target accuracy or the confidence level is out of range, or `lowercase` is no known language.

    Examples
    --------
    >>> found = check(["where is it", "my money back", "a refund"], ["delivery", "refund", "Refund"])
    >>> next(finding.sentence for finding in found.findings if finding.kind == "near_duplicate_labels")
    "one label in 2 spellings: 'Refund' (1 row), 'refund' (1 row)"
    """
    promise = BinomialTest.of(target_accuracy, confidence_level)
    check_lowercase(lowercase)
    try:
        rows = (texts, labels, groups, times)
        divided = divide(rows, held_out, test, out_of_scope_label, seed, count_repeats=count_repeats)
        backend, positions = _tokenizer_of(encoder, max_length, divided.rows.texts)
        if backend is not None and lowercase is not None:
            lowercase_as(backend, lowercase)
    except (InputError, ArtifactError) as error:
        return Findings((Finding("error", "refused", str(error), typed=error.typed),))
    tokenizer = None if backend is None else (backend, encoder, max_length, positions)
    found = examine(divided, promise, tokenizer=tokenizer, lines=lines)
    if backend is not None:
        return found
    lacks, does = ("is not on this machine", "fetches the encoder")
    if Path(at_home(encoder)).is_dir():
        lacks, does = ("has no tokenizer.json", "makes it of the encoder's vocabulary")
    unknown = f"encoder {encoder} {lacks}: lengths in tokens and the fit of the language are unknown"
    note = Finding("note", "unknown_lengths", unknown, f"fit {does}, and says how it fits the language")
    return replace(found, findings=(*found.findings, note))


def _tokenizer_of(encoder: str, max_length: int, texts: Sequence[str]) -> tuple[Any, int | None]:
    """Open an encoder's tokenizer, and count the tokens that it has positions for; None for what is not here."""
    if encoder == MULTILINGUAL:
        return tokenizer_for(texts), USUAL_LIMIT
    if (file := find_tokenizer(encoder)) is None:
        return None, None
    return TextTokenizer.open(file, {"max_length": max_length, "pad": 0, "special": ()}).backend, find_positions(
        encoder
    )


def examine(
    divided: DividedTexts,
    promise: BinomialTest,
    *,
    tokenizer: tuple[Any, str, int, int | None] | None = None,
    lines: Sequence[int] | None = None,
) -> Findings:
    """Check rows as `check` does, after they are divided.

    `tokenizer` is the encoder's tokenizers.Tokenizer, without padding and truncation, with the encoder's name, the
    maximum length, and the tokens that it has positions for, if that is known; without it, tokens are not checked.
    """
    locate: Locate = (lambda row: row) if lines is None else (lambda row: lines[row])
    table = label_rows(divided)
    parts = divided.parts
    certify = len(parts.certify)
    lengths, about_tokens = _token_findings(*tokenizer, divided.rows.texts) if tokenizer else (None, [])
    tune = int((parts.tune.codes >= 0).sum())
    swapped = list(_swapped(divided, table))
    found = [
        *(swapped or (*_label_findings(divided, table, locate), *_text_findings(divided, locate))),
        *_population_findings(divided, locate),
        *about_tokens,
        *size_findings(tune, certify, len(divided.rows), promise),
        *majority_findings(parts.certify.codes, divided.names, promise),
    ]
    if promise.fewest <= certify:
        found.append(_allowed(certify, promise))
    sizes = {name: len(getattr(parts, name)) for name in PARTS}
    sizes |= {name: getattr(parts, name) for name in LEFT_OUT}
    return Findings(tuple(found), tuple(table), sizes, lengths, promise.delta ** (1 / certify) if certify else None)


def warn(findings: Iterable[Finding]) -> None:
    """Emit the findings of level warning as `ElsewiseWarning`, with their rows."""
    for finding in findings:
        if finding.level == "warning":
            where = f" ({at_lines(finding.where, 'row')}, counted from 0)" if finding.where else ""
            words = "; ".join(part for part in (f"{finding.sentence}{where}", finding.remedy) if part)
            warn_caller(words, typed=finding.typed)


def label_rows(divided: DividedTexts) -> list[LabelRows]:
    """Count the rows of each label, the most frequent first."""
    k, parts = len(divided.names), divided.parts
    groups = (divided.rows, parts.train, parts.tune, parts.certify, parts.test)
    counts = np.column_stack([np.bincount(group.codes + 1, minlength=k + 1) for group in groups]).tolist()
    names = [divided.out_of_scope_label, *divided.names]
    table = [LabelRows(name, *row) for name, row in zip(names, counts, strict=True) if name is not None]
    return sorted(table, key=lambda row: -row.rows)


def _rows_of(divided: DividedTexts, labels: Iterable[str], locate: Locate) -> tuple[int, ...]:
    codes = {name: code for code, name in enumerate(divided.names)} | {divided.out_of_scope_label: -1}
    return tuple(map(locate, np.flatnonzero(np.isin(divided.rows.codes, [codes[label] for label in labels])).tolist()))


def _label_findings(divided: DividedTexts, table: Sequence[LabelRows], locate: Locate) -> Iterable[Finding]:
    groups = near_duplicates(row.label for row in table)
    yield from _spellings(divided, table, groups, locate)
    known = [row for row in table if row.label != divided.out_of_scope_label]
    twice = {label for group in groups for label in group}
    yield from absent_findings([row.label for row in known if not row.rows])  # a trained model has its own labels
    known = [row for row in known if row.rows]
    stay = bool(len(divided.parts.train))
    rare = [row for row in known if row.rows < FEWEST_A_LABEL and row.label not in twice and stay]
    if rare:
        words = f"{_n_labels(rare)} fewer than {FEWEST_A_LABEL} rows, which stay in train: {_rarest(rare)}"
        remedy, typed = "label more of them, drop one, or merge it into another", shlex.quote(rare[-1].label)
        typed = f"--drop-label {typed}, --map {typed}=OTHER"
        where = _rows_of(divided, (row.label for row in rare), locate)
        words = f"{words}; never calibrated, certified or tested"
        yield Finding("warning", "rare_labels", words, remedy, where=where, typed=typed)
    others = [row for row in known if row.rows >= FEWEST_A_LABEL]
    unlearnt = [row for row in others if row.train < FEW_TO_LEARN and stay]
    if unlearnt:
        words = f"{_n_labels(unlearnt)} fewer than {FEW_TO_LEARN} train rows, few to learn from: {_rarest(unlearnt)}"
        yield Finding("note", "few_train_rows", words)
    for part in ("tune", "certify"):
        without = [row for row in others if not getattr(row, part)]
        if without:
            yield Finding("note", f"no_{part}_rows", f"{_n_labels(without)} no {part} row: {_rarest(without)}")
    is_enough = len({label_form(row.label) for row in known}) > FEWEST_LABELS
    likely = next((row for row in known if label_form(row.label) in OUT_OF_SCOPE_WORDS), None)
    if divided.out_of_scope_label is None and is_enough and likely:
        label = f"label {likely.label!r} ({counted(likely.rows, 'row')})"
        words = f"{label} seems to mark texts that belong to none of the labels"
        options = ("--out-of-scope-label", likely.label)
        remedy = f"if so, mark them as out of scope: out_of_scope_label={likely.label!r}"
        yield Finding("note", "likely_out_of_scope", words, remedy, options)


def _swapped(divided: DividedTexts, table: Sequence[LabelRows]) -> Iterable[Finding]:
    """Find labels of which most have one row, for texts that come again and again."""
    labels, texts = sum(row.rows > 0 for row in table), len(set(divided.rows.texts))
    if labels > max(len(divided.rows) / 2, SWAPPED * texts):
        words = f"{counted(labels, 'label')} and {counted(texts, 'text')} in {counted(len(divided.rows), 'row')}"
        words, remedy = f"texts and labels seem to be swapped: {words}", "give the texts first, then their labels"
        yield Finding("warning", "swapped_columns", words, remedy, typed="--text-column, --label-column")


def absent_findings(labels: Sequence[str]) -> list[Finding]:
    """Warn of labels that no row has."""
    if not labels:
        return []
    words = f"{_n_labels(labels)} no row: {listed(map(repr, labels))}; labels without rows are not tested"
    return [Finding("warning", "absent_labels", words, "label some of their texts, if they can occur")]


def _spellings(
    divided: DividedTexts, table: Sequence[LabelRows], groups: Sequence[Sequence[str]], locate: Locate
) -> Iterable[Finding]:
    counts = {row.label: row.rows for row in table}
    spellings = sum(len(group) - 1 for group in groups)
    is_enough = len(counts) - spellings - (divided.out_of_scope_label is not None) >= FEWEST_LABELS
    for group in groups[:GROUPS_SHOWN]:
        best = divided.out_of_scope_label if divided.out_of_scope_label in group else group[0]
        where = _rows_of(divided, (label for label in group if label != best), locate)
        rules = {f"{label}={best}": {label: best} for label in group if label != best}
        spelled = ", ".join(f"{label!r} ({counted(counts[label], 'row')})" for label in group)
        words = f"one label in {len(group)} spellings: {spelled}"
        if is_enough and all(_is_typed(rule, new, counts) for rule, new in rules.items()):
            options = tuple(word for rule in rules for word in ("--map", rule))
        else:
            options = ()
        remedy = "if they mean the same, keep one spelling"
        yield Finding("warning", "near_duplicate_labels", words, remedy, options, where, shlex.join(options))
    if len(groups) > GROUPS_SHOWN:
        words = f"{len(groups) - GROUPS_SHOWN:,} more labels in several spellings"
        yield Finding("warning", "near_duplicate_labels", words)


def _is_typed(rule: str, meant: Mapping[str, str | None], known: Mapping[str, int]) -> bool:
    """Whether a --map rule can be typed and is read as meant: no shell passes NUL, and labels may hold =."""
    try:
        return "\0" not in rule and Relabelling.of([rule], [], known).new == meant
    except InputError:
        return False


def _text_findings(divided: DividedTexts, locate: Locate) -> Iterable[Finding]:
    texts = divided.rows.texts
    blank = [row for row, text in enumerate(texts) if not is_visible(text)]
    if blank:
        words = f"{counted(len(blank), 'row')} with a blank text, which teaches nothing and is always Other"
        where = tuple(map(locate, blank))
        kept = set(np.delete(divided.rows.codes, blank).tolist()) - {ABSTAIN}
        options = ("--skip-bad-rows",) if len(kept) >= FEWEST_LABELS else ()
        yield Finding("warning", "blank_texts", words, "leave them out", options, where, "--skip-bad-rows")
    lost = [row for row, text in enumerate(texts) if "\ufffd" in text]
    if lost:
        words = f"{counted(len(lost), 'row')} with U+FFFD, the sign for a character lost before the file was written"
        remedy = "export the file again, in UTF-8"
        yield Finding("warning", "lost_characters", words, remedy, where=tuple(map(locate, lost)))
    yield from _misread(divided, locate)
    control = [row for row, text in enumerate(texts) if CONTROL.search(text)]
    if control:
        words = f"{counted(len(control), 'row')} with control characters such as NUL, which most encoders do not read"
        yield Finding("note", "control_characters", words, where=tuple(map(locate, control)))
    yield from _repeats(divided, locate)


def _misread(divided: DividedTexts, locate: Locate) -> Iterable[Finding]:
    """Find texts and labels in UTF-8 that somebody read in another encoding and saved again."""
    texts, codes = divided.rows.texts, divided.rows.codes
    labels = {code for code, name in enumerate(divided.names) if misread(name)}
    where = [row for row, code in enumerate(codes.tolist()) if code in labels or misread(texts[row])]
    if where:
        wrong, right = misread(texts[where[0]]) or misread(divided.names[codes[where[0]]]) or ("", "")
        words = f"{counted(len(where), 'row')} with {wrong!r} in the place of {right!r} and the like"
        cause = "UTF-8 that was read in another encoding and saved again"
        remedy = "export the file again, in UTF-8"
        yield Finding("warning", "misread_characters", f"{words}: {cause}", remedy, where=tuple(map(locate, where)))


def _repeats(divided: DividedTexts, locate: Locate) -> Iterable[Finding]:
    texts, codes = divided.rows.texts, divided.rows.codes
    _, first, text_of = np.unique(np.array(hashes(texts), dtype=np.uint64), return_index=True, return_inverse=True)
    again = len(texts) - len(first)
    if again:
        count = f"{counted(again, 'row')} ({percent(again / len(texts))})"
        words = f"{count} with a text that came before (but for case and blanks)"
        where = np.setdiff1d(np.arange(len(texts)), first).tolist()
        remedy = "they stay in train; certify and test count a text once, unless count_repeats=True"
        if divided.parts.population.counts_repeats:
            remedy = "each part counts them as often as they come"
        yield Finding("note", "repeated_texts", words, remedy, where=tuple(map(locate, where)))
    names = (*divided.names, divided.out_of_scope_label or "")  # a code of -1 is the last of them
    forms = [label_form(name) or name for name in names]  # spellings of one label contradict nothing
    meant = np.unique(forms, return_inverse=True)[1][codes]
    pairs = np.unique(np.column_stack([text_of, meant]), axis=0)
    torn = np.flatnonzero(np.bincount(pairs[:, 0], minlength=len(first)) > 1)
    rows = np.array([row for row in np.flatnonzero(np.isin(text_of, torn)).tolist() if is_visible(texts[row])])
    if not len(rows):
        return  # blank texts have their own finding
    example = rows[text_of[rows] == text_of[rows[0]]]
    labels = ", ".join(sorted({repr(names[codes[row]]) for row in example}))
    text = shortened(texts[rows[0]], TEXT_SHOWN)
    count = counted(len(np.unique(text_of[rows])), "text")
    words = f"{count} with different labels ({counted(len(rows), 'row')}), such as {text!r}: {labels}"
    remedy = "no model can be right on all of them: settle on one label for each text"
    yield Finding("warning", "contradicting_labels", words, remedy, where=tuple(map(locate, rows.tolist())))


def _population_findings(divided: DividedTexts, locate: Locate) -> Iterable[Finding]:
    rows, groups = divided.rows, divided.rows.groups
    if groups is not None and len(groups):
        sizes = np.bincount(groups)
        count = counted(int((sizes > 0).sum()), "group")
        words = f"{counted(len(groups), 'row')} in {count}, the largest with {counted(int(sizes.max()), 'row')}"
        yield Finding("note", "groups", words, "tune, certify and test count one row of each of their groups")
        return
    exact, masked = (np.array(hashes(texts), dtype=np.uint64) for texts in (rows.texts, map(_masked, rows.texts)))
    first, text = (np.unique(array, return_index=True)[1] for array in (masked, exact))
    again = np.setdiff1d(text, first)
    if len(again) > NOTABLE * len(rows):
        example = shortened(rows.texts[again[0]], TEXT_SHOWN)
        words = f"{counted(len(again), 'row')} that differ from an earlier row in numbers only, such as {example!r}"
        remedy = "if a template or a customer wrote them, keep them in one part with groups="
        yield Finding("note", "near_duplicate_texts", words, remedy, where=tuple(map(locate, again.tolist())))


def _masked(text: str) -> str:
    return DIGITS.sub("0", text)


def _token_findings(
    backend: Any, encoder: str, asked: int, positions: int | None, texts: Sequence[str]
) -> tuple[Lengths | None, list[Finding]]:
    sample = texts[:: max(1, -(-len(texts) // SAMPLE))]
    backend.no_padding()
    backend.no_truncation()
    found = [Finding("warning", "language", words) for words in language_warnings(backend, sample, encoder)]
    if lowercases_as_english(backend, sample):
        words, remedy = f"encoder {encoder} {AS_ENGLISH}", "lowercase='tr' reads them as one"
        found.append(Finding("warning", "turkish_lowercase", words, remedy, ("--lowercase", "tr")))
    max_length = min(asked, positions or asked)
    longest = max(2 * USUAL_LIMIT, 2 * max_length)  # a longer text is as long as that
    tokens = TextTokenizer.of(backend.to_str(), max_length=longest, pad=0, special=())(sample).lengths
    if not len(tokens):
        return None, found
    median, high, most = (int(np.ceil(np.quantile(tokens, share))) for share in (0.5, 0.95, 0.99))
    truncated = float(np.mean(tokens > max_length))
    if truncated:
        is_all = max_length == positions
        limit = f"the {max_length} tokens that the encoder reads at most" if is_all else f"{max_length} tokens"
        words = f"{truncated:.2%} of the texts are longer than {limit}; the rest of each is not read"
        wanted = min(-(-most // 64) * 64, positions or USUAL_LIMIT)
        remedy = f"max_length={wanted} reads more of them, and takes more time" if wanted > max_length else ""
        more = "an encoder with more positions" if is_all else remedy.partition(" reads")[0]
        several = max(2, -(-4 * most // (3 * max_length)))  # windows share a quarter
        remedy = f"{more}, or windows={several}, reads more of them, and takes more time" if more else remedy
        is_many = truncated > MANY_TRUNCATED
        level, remedy = ("warning", remedy) if is_many else ("note", "")
        found.append(Finding(level, "truncated_texts", words, remedy))
    return Lengths(len(tokens), median, high, int(tokens.max()), truncated, longest), found


def size_findings(tune: int, certify: int, total: int, promise: BinomialTest) -> list[Finding]:
    """Warn where rows are too few: to calibrate on, to certify well, or to certify the promise at all."""
    found = []
    if tune < FEWEST_ROWS:
        few = f"{tune} tune rows are too few to calibrate on ({FEWEST_ROWS} needed)"
        found.append(Finding("warning", "few_tune_rows", f"{few}: probabilities stay as the model gives them"))
    if certify < FEW_TO_CERTIFY:
        best = f"{promise.delta ** (1 / certify):.1%} is the best accuracy that" if certify else "no accuracy"
        words = f"{certify} certify rows are few: {best} could be certified on them, without one error"
        found.append(Finding("warning", "few_certify_rows", words))
    if certify < promise.fewest:
        target, level = percent(1 - promise.alpha), percent(1 - promise.delta)
        share = certify / total if certify else SHARES[2]
        words = f"{target} at confidence level {level} needs at least {promise.fewest} certify rows, all of them right"
        remedy = f"about {-(-promise.fewest // share):,.0f} rows of data in all would do, with no error among those"
        found.append(Finding("warning", "promise_out_of_reach", words, remedy))
    return found


def majority_findings(codes: Codes, names: Sequence[str], promise: BinomialTest) -> list[Finding]:
    """Warn where one label for every text would keep the promise, given certify codes (n,): it tells of no other."""
    most = int(np.bincount(codes[codes != ABSTAIN], minlength=len(names)).argmax()) if len(codes) else 0
    right = int((codes == most).sum())
    if not promise.passed(np.array([len(codes)]), np.array([len(codes) - right])).any():
        return []
    words = f"label {names[most]!r} alone would keep the promise: {right:,} of {len(codes):,} certify rows have it"
    remedy = "class_weights='balanced' teaches rare ones; elsewise threshold MODEL --per-label certifies each label"
    return [Finding("warning", "majority_label", f"{words}; the promise says little of the other labels", remedy)]


def _allowed(certify: int, promise: BinomialTest) -> Finding:
    errors = np.arange(certify + 1)
    most = int(promise.passed(np.full(certify + 1, certify), errors).sum()) - 1
    best = promise.delta ** (1 / certify)
    asked = f"{percent(1 - promise.alpha)} with at most {most:,} errors, if all are answered"
    words = f"{certify:,} certify rows: {best:.1%} could be promised at best, without an error; {asked}"
    return Finding("note", "certify_rows", words)


def _n_labels(labels: Sequence[object]) -> str:
    return f"{counted(len(labels), 'label')} {'has' if len(labels) == 1 else 'have'}"


def _rarest(labels: Sequence[LabelRows]) -> str:
    return listed(f"{row.label!r} ({row.rows})" for row in sorted(labels, key=lambda row: row.rows))
