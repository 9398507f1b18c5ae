"""No calibration is plain softmax, with every check that a calibrator makes."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.calibrators import Identity
from elsewise.errors import InputError

LOGITS = np.array([[1.5, 0.8, -0.2], [2.0, 1.0, 0.1]])


def test_probabilities_are_softmax():
    assert np.array_equal(Identity.fit(LOGITS, [0, 1])(LOGITS), softmax(LOGITS))


def test_the_last_layer_stays_as_it_is():
    weight, bias = np.ones((3, 4)), np.ones(3)

    assert Identity().fold(weight, bias) == (weight, bias)
    assert Identity().fold(weight, None) == (weight, None)


def test_what_is_wrong_is_refused_though_nothing_is_fitted():
    with pytest.raises(InputError, match=r"codes must lie in 0\.\.2, got 3 in row 1"):
        Identity.fit(LOGITS, [0, 3])
    with pytest.raises(InputError, match="logits must be finite"):
        Identity.fit([[np.nan, 0.0]], [0])
    with pytest.raises(InputError, match="logits must be finite"):
        Identity()([[np.inf, 0.0]])
