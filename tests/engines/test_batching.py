"""Batches: one shape for one length, rows back in order, nothing left of the filler, and the next window ahead."""

import threading
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.engines import batching
from elsewise.engines.batching import EXACT_LENGTHS, TOKEN_BUDGET, prefetch, run_batched, shape
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.progress import counting

PAD = 9999
SPECIAL = (0, 1)
SOON = 20  # seconds that only a failing test waits


@dataclass
class Encoding:
    ids: list[int]
    overflowing: list[int]


class Numbers:
    """A backend that reads numbers: "5 6 7" is three tokens."""

    def __init__(self, longest):
        self.longest, self.read = longest, []

    def encode_batch_fast(self, given):
        self.read.append(list(given))
        ids = [[int(word) for word in text.split()] for text in given]
        return [Encoding(text[: self.longest], text[self.longest :]) for text in ids]


class Recorder:
    """A model that says what it read: the sum and the number of a row's unmasked tokens; and remembers its batches."""

    def __init__(self, under_way=1):
        self.seen, self.under_way = [], under_way

    def __call__(self, batches):
        taken = []
        for ids, mask in batches:
            self.seen.append((ids, mask))
            sums = np.stack([(ids * mask).sum(axis=1), mask.sum(axis=1)], axis=1).astype(np.float32)
            taken.append((sums, mask[:, :1] * np.float32(7)))
            if len(taken) == self.under_way:
                yield taken.pop(0)
        yield from taken

    @property
    def shapes(self):
        return [ids.shape for ids, _ in self.seen]

    @property
    def texts(self):
        """The texts that ran, each once for every batch it was in: what fills a batch repeats its last row."""
        found = []
        for ids, mask in self.seen:
            texts = [tuple(row[is_read == 1].tolist()) for row, is_read in zip(ids, mask, strict=True)]
            while len(texts) > 1 and texts[-1] == texts[-2]:
                texts.pop()
            found += texts
        return found


def tokenizer_of(longest=512):
    return TextTokenizer(Numbers(longest), longest, PAD, SPECIAL)


def texts_of(lengths):
    """Texts of these lengths; no two of the same length are the same."""
    return [[i + 2] * length for i, length in enumerate(lengths)]


def spoken(ids):
    return [" ".join(map(str, text)) for text in ids]


def run(ids, longest=512, model=None, budget=256, **more):
    model = model or Recorder()
    return model, run_batched(Tokens.of(ids), tokenizer_of(longest), model, (2, 1), budget, **more)


def expected(ids):
    """What the model says of each text, worked out one by one; NaN for those of special tokens alone."""
    return np.array([[sum(t), len(t)] if set(t) - set(SPECIAL) else [np.nan] * 2 for t in ids]).reshape(-1, 2)


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in {"logits", "features"})
        for name in ("logits", "features", "tokens", "truncated")
    )


# shape


def test_shapes_are_within_the_budget_and_few():
    shapes = {shape(length, 512) for length in range(1, 513)}

    assert all(rows * tokens <= TOKEN_BUDGET or rows == 1 for rows, tokens in shapes)
    assert all(rows * (tokens + 1) + tokens > TOKEN_BUDGET or rows == 1 for rows, tokens in shapes)
    assert len(shapes) == EXACT_LENGTHS + (512 - EXACT_LENGTHS) // 16
    assert len({tokens for _, tokens in shapes}) == len(shapes)


def test_no_text_is_cut_and_none_is_longer_than_the_model_reads():
    for longest in (64, 70, 100, 128, 510, 512):
        tokens = [shape(length, longest)[1] for length in range(1, longest + 1)]
        assert all(length <= t <= longest for length, t in enumerate(tokens, start=1))


@pytest.mark.parametrize(
    ("length", "budget", "expected"),
    [(10, 256, (25, 10)), (10, 9, (1, 10)), (10, 10, (1, 10)), (10, 20, (2, 10)), (65, 4096, (51, 80))],
)
def test_the_budget_says_how_many_rows(length, budget, expected):
    assert shape(length, 512, budget) == expected


# run_batched


def test_rows_come_back_in_order():
    ids = texts_of([3, 70, 1, 3, 200, 64, 65, 3])

    _, outputs = run(ids)

    assert outputs.logits.tolist() == [[sum(text), len(text)] for text in ids]
    assert outputs.features.tolist() == [[7.0]] * len(ids)
    assert outputs.tokens.tolist() == [len(text) for text in ids]
    assert outputs.truncated.tolist() == [False] * len(ids)
    assert outputs.logits.dtype == outputs.features.dtype == np.float32
    assert (outputs.tokens.dtype, outputs.truncated.dtype) == (np.int64, np.bool_)


@pytest.mark.parametrize("given", [[], Tokens.of([])])
def test_no_texts_have_no_rows(given):
    model = Recorder()

    outputs = run_batched(given, tokenizer_of(), model, (2, 1))

    assert (outputs.logits.shape, outputs.features.shape) == ((0, 2), (0, 1))
    assert (outputs.tokens.shape, outputs.truncated.shape) == ((0,), (0,))
    assert model.seen == []


@pytest.mark.parametrize("length", [1, 2, 7, 64, 65, 80, 81, 255, 256, 257, 512])
def test_a_text_runs_at_the_same_shape_alone_and_in_company(length):
    rng = np.random.default_rng(length)
    alone, _ = run(texts_of([length]))
    crowd, _ = run(texts_of([length, *rng.integers(1, 512, size=63)]))

    assert alone.shapes == [shape(length, 512, 256)]
    assert shape(length, 512, 256) in crowd.shapes


def test_a_text_longer_than_the_longest_runs_as_it_is():
    _, outputs = run(texts_of([100, 5]), longest=64)

    assert shape(100, longest=64, budget=256) == (2, 100)
    assert outputs.logits[:, 1].tolist() == [100, 5]


def test_short_batches_are_filled_with_copies_and_short_texts_are_masked():
    model, _ = run([[5, 6, 7], [8] * 70])

    (ids, mask), (long_ids, long_mask) = model.seen
    assert (ids == [5, 6, 7]).all()
    assert mask.all()
    assert ids.shape == (85, 3)
    assert long_ids[:, :70].tolist() == [[8] * 70] * 3
    assert (long_ids[:, 70:] == PAD).all()
    assert long_mask.sum(axis=1).tolist() == [70] * 3
    assert {array.dtype for batch in model.seen for array in batch} == {np.dtype(np.int64)}


def test_padding_stands_on_the_side_of_the_tokenizer():
    model = Recorder()
    left = TextTokenizer(None, 512, PAD, SPECIAL, "left")

    outputs = run_batched(Tokens.of([[8] * 70, [5, 6]]), left, model, (2, 1))

    (_, _), (ids, mask) = model.seen
    assert (ids[0] == [PAD] * 10 + [8] * 70).all()
    assert (mask[0] == [0] * 10 + [1] * 70).all()
    assert outputs.logits.tolist() == [[560, 70], [11, 2]]


def test_full_batches_come_before_one_filled_one():
    model, outputs = run(texts_of([50] * 12))

    assert model.shapes == [(5, 50)] * 3
    assert outputs.logits[:, 1].tolist() == [50] * 12
    assert [len(np.unique(ids, axis=0)) for ids, _ in model.seen] == [5, 5, 2]


def test_short_texts_run_first():
    model, _ = run(texts_of([300, 3, 70, 3, 300]))

    assert model.shapes == [(85, 3), (3, 80), (1, 304), (1, 304)]


@pytest.mark.parametrize("budget", [1, 30, 100, 4096])
def test_batches_keep_to_the_budget(budget):
    ids = texts_of([3, 10, 10, 10, 100, 7])

    model, outputs = run(ids, budget=budget)

    assert all(rows * tokens <= budget or rows == 1 for rows, tokens in model.shapes)
    assert np.array_equal(outputs.logits, expected(ids))


def test_progress_counts_every_text_once_whether_it_runs_repeats_another_or_cannot_be_read():
    seen = []
    ids = [*texts_of([3, 70, 5]), [2] * 3, [0, 1], [0]]

    with counting(lambda *report: seen.append(report), "answering", len(ids)):
        run(ids)

    assert [report[1] for report in seen] == sorted(report[1] for report in seen)
    assert (seen[0], seen[-1]) == (("answering", 0, 6), ("answering", 6, 6))


def test_the_same_tokens_are_computed_once():
    one, other, third = [5, 6, 7], [5, 7, 6], [9] * 200
    ids = [one, other, one, third, one, third, other, [5, 6]]

    model, outputs = run(ids)

    assert sorted(model.texts) == sorted(map(tuple, ([5, 6], one, other, third)))
    assert model.shapes == [(128, 2), (85, 3), (1, 208)]
    assert np.array_equal(outputs.logits, expected(ids))
    assert outputs.tokens.tolist() == [3, 3, 3, 200, 3, 200, 3, 2]


def test_a_thousand_times_the_same_text_is_one_batch():
    model, outputs = run([[4] * 300] * 1000)

    assert model.shapes == [(1, 304)]
    assert (outputs.logits == [1200, 300]).all()


def test_different_texts_of_the_same_tokens_keep_what_is_their_own():
    model = Recorder()
    outputs = run_batched(["5 6 7", " 5  6 7 8 9", "5 6 7"], tokenizer_of(longest=3), model, (2, 1))

    assert model.texts == [(5, 6, 7)]
    assert outputs.logits.tolist() == [[18, 3]] * 3
    assert outputs.truncated.tolist() == [False, True, False]


def test_texts_of_special_tokens_alone_are_rows_of_nan_and_never_run():
    ids = [[0, 5, 1], [], [0, 1], [1], [0, 0, 7]]

    model, outputs = run(ids)

    assert sorted(model.texts) == [(0, 0, 7), (0, 5, 1)]
    assert np.isnan(outputs.logits).all(axis=1).tolist() == [False, True, True, True, False]
    assert np.isnan(outputs.features).all(axis=1).tolist() == [False, True, True, True, False]
    assert outputs.tokens.tolist() == [3, 0, 2, 1, 3]
    assert outputs.logits[[0, 4]].tolist() == [[6, 3], [7, 3]]


def test_a_model_has_nothing_to_run_where_nothing_can_be_read():
    model, outputs = run([[0], [], [1, 0]])

    assert model.seen == []
    assert np.isnan(outputs.logits).all()
    assert outputs.logits.shape == (3, 2)


def test_texts_and_their_tokens_are_answered_alike():
    given = [*spoken(texts_of([3, 70, 1, 3, 200, 600])), "", "0 1", "\t", "3 3"]
    tokenizer = tokenizer_of()

    outputs = run_batched(given, tokenizer, Recorder(), (2, 1))

    assert same(outputs, run_batched(tokenizer(given), tokenizer, Recorder(), (2, 1)))
    assert outputs.truncated.tolist() == [False] * 5 + [True] + [False] * 4
    assert np.isnan(outputs.logits[:, 0]).tolist() == [False] * 6 + [True] * 3 + [False]


def test_tokens_are_not_made_again():
    tokenizer = tokenizer_of()

    run_batched(Tokens.of([[5], [6]]), tokenizer, Recorder(), (2, 1))

    assert tokenizer.backend.read == []


@pytest.mark.parametrize("window", [1, 3, 7, 100])
def test_windows_change_nothing_but_what_runs_together(monkeypatch, window):
    given = [*spoken(texts_of([3, 70, 1, 3, 200])), "", "5 5 5", "", "5 5 5", "0", "5 5 5", "9 " * 600]
    whole = run_batched(given, tokenizer_of(), Recorder(), (2, 1))
    monkeypatch.setattr(batching, "WINDOW", window)
    tokenizer, model = tokenizer_of(), Recorder()

    outputs = run_batched(given, tokenizer, model, (2, 1))

    assert same(outputs, whole)
    assert tokenizer.backend.read == [given[start : start + window] for start in range(0, len(given), window)]
    assert model.texts.count((5, 5, 5)) == len({at // window for at, text in enumerate(given) if text == "5 5 5"})


def test_the_next_window_is_read_while_the_model_runs(monkeypatch):
    monkeypatch.setattr(batching, "WINDOW", 2)
    tokenizer, second = tokenizer_of(), threading.Event()

    class Telling(Numbers):
        def encode_batch_fast(self, given):
            if given[0] == "7":
                second.set()
            return super().encode_batch_fast(given)

    def slow(batches):
        for ids, mask in batches:
            assert second.wait(SOON)
            yield from Recorder()([(ids, mask)])

    outputs = run_batched(["5", "6", "7", "8"], replace(tokenizer, backend=Telling(512)), slow, (2, 1))

    assert outputs.logits.tolist() == [[5, 1], [6, 1], [7, 1], [8, 1]]


@pytest.mark.parametrize("under_way", [1, 2, 3, 100])
def test_a_model_may_have_several_batches_under_way(under_way):
    ids = texts_of([3, 70, 1, 300, 3, 200, 64, 65, 301, 302, 3])

    model, outputs = run(ids, model=Recorder(under_way))

    assert model.shapes == [(256, 1), (85, 3), (4, 64), (3, 80), (1, 208), *[(1, 304)] * 3]
    assert np.array_equal(outputs.logits, expected(ids))


@pytest.mark.parametrize("change", [lambda results: results[:-1], lambda results: [*results, results[0]]])
def test_a_model_that_answers_too_little_or_too_much_is_found_out(change):
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is (shorter|longer)"):
        run(texts_of([3, 70, 300]), model=lambda batches: iter(change(list(Recorder()(batches)))))


def test_what_a_model_raises_comes_through():
    def broken(batches):
        yield from Recorder()(islice(batches, 1))
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        run(texts_of([3, 70]), model=broken)


def test_what_a_tokenizer_raises_comes_through(monkeypatch):
    monkeypatch.setattr(batching, "WINDOW", 2)

    with pytest.raises(ValueError, match="invalid literal"):
        run_batched(["5", "6", "7", "no number"], tokenizer_of(), Recorder(), (2, 1))


@settings(derandomize=True, max_examples=80, deadline=None, database=None)
@given(
    st.lists(st.lists(st.integers(0, 1000), max_size=150) | st.lists(st.integers(0, 3), max_size=3), max_size=40),
    st.integers(1, 150),
    st.integers(1, 300),
    st.randoms(use_true_random=False),
)
def test_any_texts_in_any_order_read_the_same(ids, longest, budget, random):
    order = list(range(len(ids)))
    random.shuffle(order)

    model, outputs = run(ids, longest, budget=budget)
    _, shuffled = run([ids[i] for i in order], longest, budget=budget)

    assert np.array_equal(outputs.logits, expected(ids), equal_nan=True)
    assert np.array_equal(shuffled.logits, outputs.logits[order], equal_nan=True)
    assert set(model.shapes) <= {shape(len(text), longest, budget) for text in ids if text}
    assert sorted(model.texts) == sorted({tuple(text) for text in ids if set(text) - set(SPECIAL)})


@settings(derandomize=True, max_examples=40, deadline=None, database=None)
@given(st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=30), st.integers(1, 8), st.integers(1, 8))
def test_any_windows_and_cuts_read_the_same(ids, window, longest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "WINDOW", window)
        outputs = run_batched(spoken(ids), tokenizer_of(longest), Recorder(), (2, 1))

    assert np.array_equal(outputs.logits, expected([text[:longest] for text in ids]), equal_nan=True)
    assert outputs.tokens.tolist() == [min(len(text), longest) for text in ids]
    assert outputs.truncated.tolist() == [len(text) > longest for text in ids]


# prefetch


class Source:
    """An iterable that remembers what it made and the thread that it was made in."""

    def __init__(self, items):
        self.items, self.made, self.thread = items, 0, None

    def __iter__(self):
        for item in self.items:
            self.thread = threading.current_thread()
            self.made += 1
            yield item

    def is_left(self):
        self.thread.join(SOON)
        return not self.thread.is_alive()


@pytest.mark.parametrize("items", [[], [1], list(range(100)), [None, None], [ValueError("an item")], [(), (1,), False]])
def test_items_come_in_order_whatever_they_are(items):
    assert list(prefetch(items)) == items
    assert list(prefetch(item for item in items)) == items


def test_items_are_made_in_another_thread_which_ends_with_them():
    source = Source(range(5))

    assert list(prefetch(source)) == [0, 1, 2, 3, 4]

    assert source.thread is not threading.current_thread()
    assert source.thread.daemon
    assert source.is_left()


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_the_source_raises_comes_after_what_it_made(error, after):
    def failing():
        yield from range(after)
        raise error

    source, got = Source(failing()), []
    with pytest.raises(type(error)) as caught:
        got.extend(prefetch(source))  # keeps what came before an error

    assert got == list(range(after))
    assert caught.value is error
    assert after == 0 or source.is_left()


def test_nothing_is_made_before_it_is_asked_for():
    source = Source(range(5))

    items = prefetch(source)

    assert source.made == 0
    items.close()
    assert source.made == 0


def test_the_next_item_is_made_while_the_last_is_used():
    second = threading.Event()

    def telling():
        yield 1
        second.set()
        yield 2

    items = prefetch(telling())

    assert next(items) == 1
    assert second.wait(SOON)
    assert list(items) == [2]


def test_no_more_than_one_item_is_made_ahead():
    source = Source(range(50))

    for used, _ in enumerate(prefetch(source), start=1):
        assert used <= source.made <= used + 1


@pytest.mark.parametrize("used", [1, 2, 10])
def test_who_stops_early_leaves_no_thread_behind(used):
    source = Source(count())
    items = prefetch(source)
    assert list(islice(items, used)) == list(range(used))

    items.close()

    assert source.is_left()
    assert source.made <= used + 1


def test_who_forgets_the_rest_leaves_no_thread_behind():
    source = Source(count())

    for item in prefetch(source):
        if item == 3:
            break

    assert source.is_left()


def test_who_fails_in_the_middle_leaves_no_thread_behind():
    source = Source(count())

    def use():
        for item in prefetch(source):
            assert item < 3, "enough"

    with pytest.raises(AssertionError, match="enough"):
        use()

    assert source.is_left()


def test_who_stops_does_not_wait_for_a_slow_source():
    go_on = threading.Event()

    def slow():
        yield 1
        go_on.wait(SOON)
        yield 2

    source = Source(slow())
    items = prefetch(source)
    assert next(items) == 1

    items.close()

    assert not go_on.is_set()
    assert source.thread.is_alive()
    go_on.set()
    assert source.is_left()


def test_a_source_without_end_gives_as_many_as_are_wanted():
    assert list(islice(prefetch(count()), 1000)) == list(range(1000))


def test_sources_may_be_ahead_of_each_other():
    assert list(prefetch(n + 1 for n in prefetch(n * 2 for n in range(20)))) == [2 * n + 1 for n in range(20)]
