"""Estimator of scikit-learn: texts in, a label or Other out, in pipelines, cross-validation and grid searches.

    model = ElsewiseClassifier(encoder="my-encoder").fit(texts, labels)
    model.predict(texts)                         # a label for each text, as scikit-learn's scorers want it
    model.set_params(abstain=True).predict(texts)  # Other where the promise needs it

It is a door to `elsewise.fit`, and holds what that makes in `classifier_`.
"""

from inspect import signature
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Floats, as_column, as_texts, label_word, label_words
from elsewise.data.defaults import CASCADE_CHANGE, CONFIDENCE_LEVEL, FLOOR, MAX_LENGTH, TARGET_ACCURACY, TETHER
from elsewise.data.division import parts_of
from elsewise.data.marks import numbered_groups, seconds
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.errors import InputError, need
from elsewise.fitting.fit import fit
from elsewise.fitting.model_choice import BEST
from elsewise.rules.decisions import Decisions
from elsewise.wrappers import wrap

need("sklearn", extra="sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin, clone  # noqa: E402
from sklearn.utils import assert_all_finite  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted, column_or_1d  # noqa: E402

LEARNT: Final = 0.6  # share of the rows that a scikit-learn estimator inside is trained on
ON_TRAINING: Final = (
    "encoder", "engine", "precision", "ensemble", "mc_dropout", "laplace", "second_opinion", "cascade",
    "cascade_change", "quick", "keep", "epochs", "learning_rate", "batch_size", "patience", "max_length", "windows",
    "tether", "class_weights", "lowercase",
)  # fmt: skip


class ElsewiseClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier of texts with a certified threshold, as an estimator of scikit-learn.

    `fit` divides the rows by itself: some train, some calibrate, some certify. Nothing else of the data is needed.

    Parameters
    ----------
    estimator : estimator, optional
        A scikit-learn classifier or pipeline that takes texts. A clone of it is trained on 60 % of the rows; the others
        calibrate and certify it. Default: an encoder is fine-tuned, as `elsewise.fit` does.
    abstain : bool
        Let `predict` say `other` where the confidence is below the threshold. Default: it always says a label, because
        scikit-learn's scorers know no Other, and would count it as an error.
    random_state : int
        Seed of the division of the rows and of the training.
    confidence_score : str
        The `score` of `elsewise.fit`: a name in `elsewise.scores.SCORES`.
    encoder, target_accuracy, confidence_level, strict, out_of_scope_label, other, count_repeats, engine, precision, \
floor, unfamiliar, ensemble, mc_dropout, laplace, second_opinion, cascade, cascade_change, quick, keep, baseline, \
epochs, learning_rate, batch_size, patience, max_length, windows, tether, class_weights, lowercase
        As in `elsewise.fit`, but no baseline by default. Those about training are refused with an `estimator`.

    Attributes
    ----------
    classifier_ : Classifier
        What `elsewise.fit` made: its certificate, `save`, `decide` and all else.
    classes_ : (k,)
        The labels as they came, sorted, without the out-of-scope label.
    prior_ : (k,)
        The share of each of `classes_` in the rows; the probabilities of a text that cannot be read.
    estimator_ : estimator
        The trained clone of `estimator`, if one was given.

    Examples
    --------
    >>> from elsewise.data import OUT_OF_SCOPE, support_texts
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> rows = [row for row in support_texts(rows=1500) if row.label != OUT_OF_SCOPE]
    >>> texts, labels = [row.text for row in rows], [row.label for row in rows]
    >>> model = ElsewiseClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), target_accuracy=0.7)
    >>> model.fit(texts, labels).predict(["I want my money back"]).tolist()
    ['refund']
    >>> model.set_params(abstain=True).predict(["I want my money back", "la la la"]).tolist()
    ['refund', 'Other']
    """

    def __init__(
        self, estimator: Any = None, *, abstain: bool = False, random_state: int = 0, encoder: str = DEFAULT_ENCODER,
        target_accuracy: float = TARGET_ACCURACY, confidence_level: float = CONFIDENCE_LEVEL, strict: bool = False,
        out_of_scope_label: Any = None, other: str = "Other", count_repeats: bool = False, engine: str = "auto",
        precision: str = "auto", confidence_score: str = "auto", floor: float = FLOOR, unfamiliar: float | None = None,
        ensemble: int | None = None, mc_dropout: int | None = None, laplace: bool = False, second_opinion: bool = True,
        cascade: bool = False, cascade_change: float = CASCADE_CHANGE, quick: bool = False, keep: str = BEST,
        baseline: bool = False, epochs: int | None = None,
        learning_rate: float | None = None, batch_size: int | None = None, patience: int | None = None,
        max_length: int = MAX_LENGTH, windows: int = 1, tether: float = TETHER, class_weights: Any = None,
        lowercase: str | None = None,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.abstain = abstain
        self.random_state = random_state
        self.encoder = encoder
        self.target_accuracy = target_accuracy
        self.confidence_level = confidence_level
        self.strict = strict
        self.out_of_scope_label = out_of_scope_label
        self.other = other
        self.count_repeats = count_repeats
        self.engine = engine
        self.precision = precision
        self.confidence_score = confidence_score
        self.floor = floor
        self.unfamiliar = unfamiliar
        self.ensemble = ensemble
        self.mc_dropout = mc_dropout
        self.laplace = laplace
        self.second_opinion = second_opinion
        self.cascade = cascade
        self.cascade_change = cascade_change
        self.quick = quick
        self.keep = keep
        self.baseline = baseline
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.patience = patience
        self.max_length = max_length
        self.windows = windows
        self.tether = tether
        self.class_weights = class_weights
        self.lowercase = lowercase

    def fit(self, X: Any, y: Any, *, groups: Any = None, times: Any = None) -> Self:  # noqa: N803
        """Train, calibrate and certify on n texts with their labels.

        Parameters
        ----------
        X : n strings
            A list, an array, a column of a data frame, or an array (n, 1). A missing text teaches nothing.
        y : n labels
            Words or whole numbers; `predict` gives them back as they are.
        groups, times : n values, optional
            As in `elsewise.fit`: whole groups, or the newest rows, are held out.

        Raises
        ------
        InputError
            If lengths differ, there are fewer than 2 labels, or an option does not fit. It is a ValueError.
        MissingExtra
            If an encoder is to be trained, and torch is not installed.

        Warns
        -----
        PromiseWarning
            If less is promised than was asked for, or nothing.
        """
        texts, words = as_texts(_column(X)), self._labels(y)
        if len(texts) != len(words):
            raise InputError(f"X and y must have equal lengths, got {len(texts)} and {len(words)}")
        settings: dict[str, Any] = {
            name: getattr(self, name)
            for name in self._get_param_names()
            if name not in ("estimator", "abstain", "random_state", "out_of_scope_label", "confidence_score")
        }
        settings |= {"seed": self.random_state, "out_of_scope_label": self._out_of_scope(), "progress": False}
        settings["score"] = self.confidence_score
        if self.estimator is None:
            self.classifier_ = fit(texts, words, groups=groups, times=times, **settings)
        else:
            marks = {"groups": groups, "times": times}
            listed = {name: None if column is None else as_column(column, name) for name, column in marks.items()}
            self._fit_around(texts, words, listed, settings)
        return self

    def _labels(self, y: Any) -> list[str]:
        """Check the labels and set `classes_` and `prior_`; return them as words."""
        if y is None:
            raise InputError("requires y to be passed, but the target y is None")
        column = column_or_1d(y if hasattr(y, "__array__") else as_column(y, "y"), warn=True)
        assert_all_finite(column, input_name="y")
        check_classification_targets(column)
        words = label_words(column)
        kept = np.array([word != self._out_of_scope() for word in words])
        self.classes_, counts = np.unique(np.asarray(column)[kept], return_counts=True)
        if len(self.classes_) < 2:  # noqa: PLR2004
            got = "only one class" if len(self.classes_) else "no class"
            raise InputError(f"at least 2 classes are needed to tell texts apart, got {got}")
        self.prior_ = counts / counts.sum()
        return words

    def _out_of_scope(self) -> str | None:
        return None if self.out_of_scope_label is None else label_word(self.out_of_scope_label)

    def _fit_around(self, texts: list[str], words: list[str], marks: dict[str, Any], settings: dict[str, Any]) -> None:
        """Train a clone of the estimator on a part of the rows, and certify it on the others."""
        known = signature(type(self)).parameters
        for name in ON_TRAINING:
            if settings.pop(name) != known[name].default:
                raise InputError(f"{name} is about training an encoder, and an estimator was given; leave it out")
        settings.pop("baseline")
        codes = np.unique(words, return_inverse=True)[1]
        groups, times = marks["groups"], marks["times"]
        marked = numbered_groups([groups])[0], None if times is None else seconds(times, "the data")
        parts = parts_of(codes, (LEARNT, 1 - LEARNT), np.random.default_rng(self.random_state), *marked)
        columns: tuple[Any, ...] = (texts, words, groups, times)
        train, held_out = (tuple(c and [c[row] for row in part] for c in columns) for part in parts)
        learnt = [row for row, word in enumerate(train[1]) if word != settings["out_of_scope_label"]]
        self.estimator_ = clone(self.estimator).fit(*([column[row] for row in learnt] for column in train[:2]))
        own, marks = wrap(self.estimator_), {"groups": train[2], "times": train[3]}
        self.classifier_ = fit(train[0], train[1], **marks, engine=own, held_out=held_out, **settings)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return one of `classes_` for each of n texts, or with ``abstain=True`` `other` where they abstain, (n,).

        Without it, a text that cannot be read gets the most frequent label.
        """
        if not self.abstain:
            p = self.predict_proba(X)
            return self.classes_[p.argmax(axis=1)]
        codes = self.decide(X).codes
        said = np.append(self.classes_.astype(object), self.other)
        return said[np.where(codes == ABSTAIN, len(self.classes_), np.argsort(self._columns())[codes])]

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Return calibrated probabilities (n, k), a column for each of `classes_`; `prior_` for an unreadable text."""
        check_is_fitted(self)
        p = self.classifier_.probabilities(as_texts(_column(X)))[:, self._columns()].astype(np.float64)
        return np.where(np.isnan(p), self.prior_, p)

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Return log-probabilities (n, k); of two classes the log-odds of the second, (n,)."""
        p = self.predict_proba(X)
        logs = np.log(np.maximum(p, np.finfo(p.dtype).tiny))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs  # noqa: PLR2004

    def decide(self, X: Any) -> Decisions:  # noqa: N803
        """Return the decisions of n texts, with reasons and confidences: as `classifier_` decides."""
        check_is_fitted(self)
        return self.classifier_.decide(as_texts(_column(X)))

    def _columns(self) -> list[int]:
        """Find the code of each of `classes_`."""
        codes = {label: code for code, label in enumerate(self.classifier_.labels)}
        return [codes[word] for word in label_words(self.classes_)]

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that this takes one column of texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = tags.input_tags.allow_nan = True
        tags.input_tags.two_d_array = False
        return tags


def _column(values: Any) -> Any:
    """Take the one column of an array (n, 1) or a data frame of one column, as transformers of columns give it."""
    if tuple(getattr(values, "shape", ()))[1:] == (1,):
        return values.iloc[:, 0] if hasattr(values, "iloc") else np.asarray(values)[:, 0]
    return values
