"""What is known of a model before it is asked: labels, tokens, ids and padding; the model itself says what is right."""

import pytest

from elsewise.engines.encoder_facts import check_ids, label_names, most_tokens, padding_side
from elsewise.engines.encoders import find_positions
from elsewise.errors import InputError
from support.small_models import ARCHITECTURES, model_of, tokenizer

torch = pytest.importorskip("torch")

WITHOUT_LIMIT = {"xlnet"}
FALLIBLE = sorted({*ARCHITECTURES} - WITHOUT_LIMIT - {"modernbert"})  # which rotates: no table of positions ends


def read(model, tokens):
    with torch.no_grad():
        return model.eval()(input_ids=torch.full((1, tokens), 7)).logits


@pytest.mark.parametrize("architecture", FALLIBLE)
def test_a_model_reads_so_many_tokens_and_not_one_more(architecture):
    model = model_of(architecture)
    most = most_tokens(model)

    assert most == {"roberta": 71, "xlm-roberta": 71, "mpnet": 70}.get(architecture, 72)
    assert read(model, most).isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        read(model, most + 1)


@pytest.mark.parametrize(
    "architecture", [*ARCHITECTURES, "camembert", "data2vec-text", "esm", "longformer", "luke", "roberta-prelayernorm"]
)
def test_check_knows_as_much_from_the_settings_alone(architecture, tmp_path):
    """It opens no weights."""
    model = model_of(architecture, pad_token_id=1)
    model.config.save_pretrained(tmp_path)

    assert find_positions(str(tmp_path)) == most_tokens(model)


def test_positions_begin_after_the_padding_id_whichever_it_is():
    assert most_tokens(model_of("roberta", pad_token_id=5)) == 66
    assert most_tokens(model_of("roberta", vocab_size=72)) == 71


def test_a_model_without_a_last_position_has_no_limit():
    """XLNet says -1."""
    model = model_of("xlnet")

    assert model.config.max_position_embeddings == -1
    assert most_tokens(model) is None
    assert read(model, 300).isfinite().all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_goes_where_the_model_ignores_it(architecture):
    assert padding_side(model_of(architecture).eval(), tokenizer()) == ("left" if architecture == "xlnet" else "right")


def test_a_tokenizer_with_ids_that_the_model_does_not_know_is_refused():
    words = tokenizer()
    words.add_tokens([f"<T{i}>" for i in range(45)])

    check_ids(model_of("bert", vocab_size=65), words, "it")
    said = (
        r"^it has 64 embeddings, and its tokenizer has ids up to 64 \('<T44>'\); call model\.resize_token_emb.*\(65\)"
    )
    with pytest.raises(InputError, match=said):
        check_ids(model_of("bert"), words, "it")


def test_labels_are_in_the_order_of_their_numbers_as_words_too():
    in_order = tuple(f"n{i}" for i in range(12))

    assert label_names({str(i): f"n{i}" for i in range(12)}) == in_order
    assert label_names({i: f"n{i}" for i in reversed(range(12))}) == in_order


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({1: "a", 2: "b"}, "1, 2"),
        ({"0": "a", "2": "b"}, "0, 2"),
        ({"yes": 0, "no": 1}, "yes, no"),
        ({0: "a", "0": "b"}, "0, 0"),
    ],
)
def test_names_that_fit_no_columns_are_refused(named, said):
    with pytest.raises(InputError, match=rf"^id2label numbers its labels {said}; the numbers must go from 0 to 1$"):
        label_names(named)
