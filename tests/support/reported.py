"""Classifiers of logits with test rows, and classifiers that know texts by heart, to write reports of."""

import warnings

import numpy as np

import elsewise as ew
from elsewise.engines.memory import MemoryEngine

HOSTILE = (
    "</script><script>window.hit=1</script>", '"><img src=x onerror="window.hit=1">', "<svg onload=window.hit=1>",
    "{{ 7 * 7 }}", "{% raw %}", "&lt;b&gt;", "javascript:window.hit=1", "' onmouseover='window.hit=1", "<!--",
    "]]>", "a\x00b\x1b[2J", "\ud800half", "\u202etxt.exe", "شكوى من التأخير", "הזמנה", "{0.__class__}", "%s%n",
    "</style><style>*{display:none}</style>", "</title><b>", "\u2028line", "`${window.hit=1}`", "x" * 200,
)  # fmt: skip


def drawn(k=4, n=900, seed=0, outside=0.05, dtype=np.float64):
    """Logits (n, k) of texts, and their codes (n,), a share of them out-of-scope."""
    rng = np.random.default_rng(seed)
    z = (rng.normal(size=(n, k)) * 3).astype(dtype)
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    codes[rng.random(n) < outside] = -1
    return z, codes


def of_logits(k=4, n=900, tests=300, labels=None, **options):
    """A classifier of logits that was judged on test rows."""
    z, codes = drawn(k, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ew.calibrate(
            z, codes, labels=labels, test=drawn(k, tests, seed=1), **{"target_accuracy": 0.8, **options}
        )


def by_heart(texts, labels, threshold=0.6, **options):
    """A classifier that has learnt texts by heart, and its evaluation on them: some right, some wrong, some Other."""
    names = tuple(dict.fromkeys(labels))
    rng = np.random.default_rng(0)
    table = {}
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        logits = np.zeros(len(names))
        logits[(names.index(label) + (i % 5 == 0)) % len(names)] = rng.choice([1.0, 6.0])
        table[text] = logits.tolist()
    classifier = ew.Classifier(MemoryEngine(names, table), ew.Identity(), ew.FixedThreshold(threshold), **options)
    return classifier, ew.evaluate(classifier, list(texts), list(labels))
