"""Long texts in windows: how they are cut and joined, and every engine that reads them."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.engines.tokenizer import Tokens
from elsewise.engines.windows import JOINS, MEAN, SUREST, Windows, read_in_windows
from elsewise.errors import ArtifactError, InputError
from elsewise.outputs import Outputs
from elsewise.progress import counting

WINDOWS = Windows(10, 1, 1)


def text(length):
    """Special tokens around numbers that tell their places."""
    return [101, *range(1000, 1000 + length - 2), 102]


def cut(*lengths, windows=WINDOWS):
    parts, owner = windows.cut(Tokens.of([text(length) if length else [] for length in lengths]))
    return [ids.tolist() for ids in parts], owner.tolist()


@pytest.mark.parametrize("length", [2, 3, 9, 10])
def test_a_text_that_fits_is_one_window(length):
    assert cut(length) == ([text(length)], [0])


@pytest.mark.parametrize("length", [11, 12, 16, 17, 25, 100, 1001])
def test_a_longer_one_is_covered_by_full_windows_that_share_a_quarter(length):
    parts, owner = cut(length)

    assert owner == [0] * len(parts)
    assert all(len(part) == 10 and (part[0], part[-1]) == (101, 102) for part in parts)
    inside = [part[1:-1] for part in parts]
    assert sorted({id_ for part in inside for id_ in part}) == text(length)[1:-1]
    assert inside[0][0] == 1000, "the first window is what a model reads that cuts the text"
    assert all(set(one) & set(other) for one, other in itertools.pairwise(inside))
    assert all(len(set(one) & set(other)) >= 8 // 4 for one, other in itertools.pairwise(inside))
    fewer = len(parts) - 1
    assert fewer * 8 - (fewer - 1) * 2 < length - 2, "no window is read for nothing"


def test_as_many_tokens_are_read_as_the_windows_cover():
    for most in range(1, 9):
        longest = WINDOWS.tokens(most)
        assert len(WINDOWS.starts(longest)) == most
        assert len(WINDOWS.starts(longest + 1)) == most + 1


def test_windows_of_several_texts_are_told_apart():
    assert cut(25, 0, 4)[1] == [0, 0, 0, 0, 1, 2]
    assert cut()[1] == []


def test_the_mean_and_the_surest_window_and_windows_with_nothing_to_read():
    tokens = Tokens.of([text(20), text(20), text(5), text(20)], [True, False, False, False])
    owner = np.array([0, 0, 0, 1, 1, 1, 2, 3, 3, 3])
    nan = [np.nan] * 2
    logits = np.array([[1, 0], [0, 5], [2, 1], nan, [4, 0], [0, 2], [3, 0], nan, nan, nan], dtype=np.float32)
    outputs = Outputs(logits, logits * 10)

    made = {join: replace(WINDOWS, join=join).joined(outputs, owner, tokens) for join in JOINS}

    assert made[MEAN].logits.tolist()[:3] == [[1, 2], [2, 1], [3, 0]]
    assert made[SUREST].logits.tolist()[:3] == [[0, 5], [4, 0], [3, 0]]
    for one in made.values():
        assert np.isnan(one.logits[3]).all()
        assert one.features[:3].tolist() == (10 * one.logits[:3]).tolist()
        assert one.tokens.tolist() == [20, 20, 5, 20]
        assert one.truncated.tolist() == [True, False, False, False]


def test_no_texts_have_no_outputs():
    made = read_in_windows(
        WINDOWS, lambda some: Outputs(np.zeros((len(some), 2)), np.zeros((len(some), 3))), Tokens.of([])
    )
    assert (made.logits.shape, made.features.shape) == ((0, 2), (0, 3))


@pytest.mark.parametrize(
    "unusable",
    [{"size": 5}, {"size": "10"}, {"before": -1}, {"after": 9}, {"join": "best"}, {"more": 1}, {"size": True}],
)
def test_settings_that_make_no_windows_are_refused(unusable):
    with pytest.raises((ValueError, TypeError)):
        Windows.read({"windows": {**WINDOWS.settings["windows"], **unusable}})


# --- with every engine ---

pytest.importorskip("torch")

from elsewise.engines import engine_class, entry_of, open_entry  # noqa: E402
from elsewise.engines.files import ModelFiles, Opening  # noqa: E402
from elsewise.fitting.engine_choice import files_for  # noqa: E402
from support.native import compiled  # noqa: E402
from support.small_models import LABELS, LONGEST, asking_a_second, before, graph_of, texts, with_token_counts  # noqa: E402

LONG = [" ".join(texts(30)[row : row + 9]) for row in range(0, 21, 3)]  # several hundred tokens
KINDS = [("native", "f32"), ("native", "int8"), ("openvino", "f32"), ("onnxruntime", "f32"), ("torch", "f32")]


def opened(name, precision="f32", most=20, join=MEAN):
    if name == "native":
        compiled()
    files, learner = graph_of("bert")
    learner = learner.in_windows(most)
    settings = {**learner.settings, "precision": precision}
    if most > 1:
        settings["windows"] = {**settings["windows"], "join": join}
    its_files = files_for(name, precision, files, learner.tokenize(texts(60)))
    return engine_class(name).open(Opening(its_files, LABELS, settings)), learner


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_a_long_text_gets_the_answers_of_its_windows(name, precision, join):
    engine, _ = opened(name, precision, join=join)
    plain, _ = opened(name, precision, most=1)

    outputs = engine.run(LONG)

    tokens = engine.prepare(LONG)
    parts, owner = engine.windows.cut(tokens)
    each = plain.run(parts)
    assert tokens.lengths.max() > 3 * LONGEST
    assert not outputs.truncated.any()
    assert outputs.tokens.tolist() == tokens.lengths.tolist()
    for row in range(len(LONG)):
        own = each.logits[owner == row]
        wanted = own.mean(axis=0) if join == MEAN else own[softmax(own).max(axis=1).argmax()]
        assert outputs.logits[row] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_a_short_text_is_answered_as_without_windows_and_a_long_one_alone_as_among_others(name, precision):
    engine, _ = opened(name, precision)
    plain, _ = opened(name, precision, most=1)
    short = texts(20, longest=30)

    among = engine.run([*short, *LONG])

    assert among.logits[: len(short)].tobytes() == plain.run(short).logits.tobytes()
    alone = np.concatenate([engine.run([text]).logits for text in LONG])
    assert alone.tobytes() == among.logits[len(short) :].tobytes()


def test_what_is_read_ends_where_the_windows_end():
    engine, learner = opened("openvino", most=2)

    outputs = engine.run(LONG)

    assert outputs.truncated.all()
    assert set(outputs.tokens.tolist()) == {learner.windows.tokens(2)}


def everything(engine, learner):
    return before(asking_a_second(with_token_counts(engine, learner), learner), learner)


def test_opinions_and_a_cascade_stand_around_windows_and_a_folder_opens_as_it_was_saved(tmp_path):
    engine, learner = opened("openvino")
    made = everything(engine, learner)
    made.save(tmp_path)

    again = open_entry(json.loads(json.dumps(entry_of(made))), Opening(ModelFiles.of(tmp_path), LABELS, {}))

    outputs = made.run([*LONG, *texts(64), ""])
    assert again.run([*LONG, *texts(64), ""]).logits.tobytes() == outputs.logits.tobytes()
    assert again.fingerprint == made.fingerprint
    assert made.fingerprint != everything(*opened("openvino", join=SUREST)).fingerprint
    assert np.isfinite(outputs.logits[:-1]).all()


def test_windows_that_cannot_be_read_are_refused(tmp_path):
    engine, _ = opened("openvino")
    engine.save(tmp_path)
    entry = entry_of(engine)
    entry["settings"]["windows"] = {"size": 1}

    with pytest.raises(ArtifactError, match=r"elsewise.json holds windows that cannot be read"):
        open_entry(entry, Opening(ModelFiles.of(tmp_path), LABELS, {}))


def test_a_tokenizer_that_leaves_no_room_is_refused():
    _, learner = opened("openvino", most=1)
    small = replace(learner, tokenize=replace(learner.tokenize, max_length=5))
    with pytest.raises(InputError, match=r"windows of 5 tokens around 1 and 1 special ones; set max_length higher"):
        small.in_windows(2)


def test_rows_are_counted_once_and_none_where_no_text_is_left_to_an_engine():
    engine, _ = opened("openvino")
    seen = []

    with counting(lambda *report: seen.append(report[1]), "answering", len(LONG)):
        engine.run([])
        engine.run(LONG)

    assert seen[0] == 0
    assert seen[-1] == len(LONG)
    assert max(seen) == len(LONG)
