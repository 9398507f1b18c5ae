"""A tokenizer that makes much of a short text is refused, and those that people use are not."""

import base64

import pytest

from elsewise.engines.tokenizer_safety import LONGEST_PIECE, MOST_SPECIAL, MOST_STEPS, check_steps
from elsewise.errors import InputError
from support.small_models import tokenizer

tokenizers = pytest.importorskip("tokenizers")
N, P = tokenizers.normalizers, tokenizers.pre_tokenizers
SPACES = N.Replace(tokenizers.Regex(" {2,}"), "▁")


def backend(normalizer=None, pre_tokenizer=None, model=None):
    made = tokenizers.Tokenizer(model or tokenizers.models.WordPiece({"[UNK]": 0}))
    if normalizer is not None:
        made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    return made


@pytest.mark.parametrize(
    "normalizer",
    [
        None,
        N.BertNormalizer(),
        SPACES,
        N.Replace(" ", "▁"),
        N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), SPACES]),
        N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]),
        N.Sequence([N.NFC(), N.Replace(tokenizers.Regex(r"\s+"), " "), N.Lowercase(), N.ByteLevel()]),
    ],
)
def test_the_steps_that_encoders_have_are_run(normalizer):
    """BERT, XLM-RoBERTa, Gemma, ALBERT, Llama 2 and CLIP."""
    check_steps(backend(normalizer))


def test_a_whole_tokenizer_is_taken():
    check_steps(tokenizer().backend_tokenizer)


@pytest.mark.parametrize(
    ("normalizer", "said"),
    [
        (N.Sequence([N.Replace("a", "aa")] * 9), "too long"),  # 512 times as long
        (N.Replace("a", "a" * 257), "too long"),
        (N.Replace("", "a"), "too long"),
        (N.Sequence([N.Replace(tokenizers.Regex("x*"), "y")] * 9), "too long"),
        (N.Sequence([N.ByteLevel()] * 9), "too long"),
        (N.Prepend("a" * 257), "too long"),
        (N.Sequence([N.Sequence([N.Sequence([N.Replace("a", "aa")] * 3)] * 3)]), "too long"),
        (N.Sequence([N.NFC()] * (MOST_STEPS + 1)), r"it has 33 steps, and at most 32 are run"),
    ],
)
def test_steps_that_make_a_text_too_long_are_refused(normalizer, said):
    with pytest.raises(InputError, match=said):
        check_steps(backend(normalizer))


@pytest.mark.parametrize("times", [8, 256])
def test_up_to_256_times_is_run(times):
    check_steps(backend(N.Replace("a", "a" * times)))


class Precompiled:
    """What has the JSON of a precompiled map: a trie of four bytes, and what characters become."""

    def __init__(self, made):
        charsmap = (4).to_bytes(4, "little") + b"trie" + b"\0".join(made) + b"\0"
        self.state = b'{"type":"Precompiled","precompiled_charsmap":"%s"}' % base64.b64encode(charsmap)

    def __getstate__(self):
        return self.state


class Parts:
    model = pre_tokenizer = post_processor = None

    def __init__(self, normalizer):
        self.normalizer = normalizer


def test_a_map_of_characters_may_not_hold_a_long_text():
    check_steps(Parts(Precompiled([b"a", b"x" * LONGEST_PIECE])))

    with pytest.raises(InputError, match="too long"):
        check_steps(Parts(Precompiled([b"a", b"x" * (LONGEST_PIECE + 1)])))


@pytest.mark.parametrize("ids", [[2], [2] * MOST_SPECIAL])
def test_few_tokens_are_put_around_a_text(ids):
    made = backend()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[{"id": "[CLS]", "ids": ids, "tokens": ["[CLS]"] * len(ids)}]
    )
    if len(ids) == 1:
        check_steps(made)
    else:
        with pytest.raises(InputError, match="too long"):
            check_steps(made)


@pytest.mark.parametrize(("longest", "is_run"), [(100, True), (256, True), (257, False), (2**40, False)])
def test_words_are_not_compared_without_end(longest, is_run):
    model = tokenizers.models.WordPiece({"[UNK]": 0}, max_input_chars_per_word=longest)
    if is_run:
        check_steps(backend(model=model))
    else:
        with pytest.raises(InputError, match="max_input_chars_per_word is above 256"):
            check_steps(backend(model=model))
