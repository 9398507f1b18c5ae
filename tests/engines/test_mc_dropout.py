"""MC dropout: fixed thinned networks, and a model that stays as it is."""

from dataclasses import replace

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.engines import engine_class
from elsewise.engines.files import Opening
from elsewise.errors import InputError
from elsewise.outputs import mixture
from support.small_models import LABELS, files_of, texts

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines.mc_dropout import McDropout, _Thinned  # noqa: E402

WITH_DROPOUT = ("bert", "distilbert", "roberta", "electra", "deberta-v2", "albert", "mpnet", "xlnet")


def torch_engine(architecture="bert"):
    files, learner = files_of(architecture)
    return engine_class("torch").open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}))


@pytest.fixture(scope="module")
def engine():
    return torch_engine()


def test_the_answer_is_the_mean_over_thinned_networks(engine):
    made = McDropout(engine, passes=4)

    outputs = made.run(texts(30))

    log_mean, epistemic = mixture([network.run(texts(30)).logits for network in made.networks])
    assert outputs.logits == pytest.approx(log_mean, abs=1e-6)
    assert outputs.epistemic.tobytes() == epistemic.tobytes()
    assert (epistemic > 0).all()
    assert outputs.features.tobytes() == engine.run(texts(30)).features.tobytes()


def test_evaluation_mode_is_never_left_and_the_model_answers_as_before(engine):
    before = engine.run(texts(30)).logits.tobytes()

    made = McDropout(engine, passes=3)
    made.run(texts(30))

    networks = [engine, *made.networks]
    assert not any(module.training for network in networks for module in network.model.model.modules())
    assert not any(isinstance(module, _Thinned) for module in engine.model.model.modules())
    assert engine.run(texts(30)).logits.tobytes() == before


def test_thinned_networks_share_the_weights(engine):
    for network in McDropout(engine, passes=3).networks:
        for one, other in zip(network.model.model.parameters(), engine.model.model.parameters(), strict=True):
            assert one is other


def test_a_mask_drops_the_share_of_dropout_and_keeps_the_mean():
    """Of 20,000 units a tenth, and the rest are worth 1 / 0.9."""
    layer = _Thinned(number=0, layer=0, share=0.1)

    out = layer(torch.ones(2, 3, 20_000))

    assert (out == out[0, 0]).all()
    assert sorted(set(out[0, 0].tolist())) == pytest.approx([0, 1 / 0.9])
    assert float((out[0, 0] == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(out.mean()) == pytest.approx(1, abs=0.01)


def test_masks_differ_from_pass_to_pass_and_from_layer_to_layer():
    ones = torch.ones(1, 200)
    masks = [_Thinned(number, layer, 0.5)(ones).numpy().tobytes() for number in range(3) for layer in range(3)]

    assert len(set(masks)) == 9


def test_attention_weights_pass():
    weights = torch.rand(2, 2, 4, 4)

    assert _Thinned(0, 0, 0.5)(weights) is weights


@pytest.mark.parametrize("architecture", WITH_DROPOUT)
def test_a_text_has_the_answer_alone_that_it_has_among_others(architecture):
    """XLNet has tokens before rows: a mask of rows would show here."""
    made = McDropout(torch_engine(architecture), passes=2)
    known = texts(40)

    answers = made.run(known)

    for i in (0, 5, 23):
        alone = made.run([known[i]])
        assert alone.logits.tobytes() == answers.logits[i : i + 1].tobytes()
        assert alone.epistemic.tobytes() == answers.epistemic[i : i + 1].tobytes()
    assert answers.epistemic.max() > 0


def test_more_passes_come_closer_together(engine):
    """Sixty thinned networks, in two halves, agree on the mean far better than two do."""
    networks = McDropout(engine, passes=60).networks
    p = np.array([softmax(network.run(texts(20)).logits) for network in networks])

    halves, pairs = np.abs(p[:30].mean(axis=0) - p[30:].mean(axis=0)).mean(), np.abs(p[0] - p[1]).mean()

    assert halves < pairs / 3


def test_passes_are_in_the_fingerprint_and_in_the_settings(engine):
    made = McDropout(engine, passes=3)

    assert made.settings["passes"] == 3
    assert len({one.fingerprint for one in (engine, made, McDropout(engine, passes=4))}) == 3


def test_what_has_no_dropout_is_refused(engine):
    with pytest.raises(InputError, match="has no dropout: MC dropout would change nothing; take an ensemble"):
        McDropout(torch_engine("modernbert"), passes=3)
    with pytest.raises(InputError, match="MC dropout needs 2 to 1,000 passes, got 1"):
        McDropout(engine, passes=1)
    with pytest.raises(InputError, match="MC dropout needs engine torch, got openvino"):
        McDropout(replace(engine, name="openvino"), passes=3)
