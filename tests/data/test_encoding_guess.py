"""Which encoding a file that is not UTF-8 was written in."""

import pytest

from elsewise.data.encoding_guess import guess_encoding, misread

TURKISH = "metin;kategori\nşu anda kargom nerede, bugün gelecekti;Kargo\nığdır şubesi açık mı;Şube\n"


@pytest.fixture
def guess(tmp_path):
    def guess(content):
        (tmp_path / "data.csv").write_bytes(content)
        return guess_encoding(str(tmp_path / "data.csv"))

    return guess


@pytest.mark.parametrize("content", [b"", b"text,label\n", TURKISH.encode(), TURKISH.encode("utf-8-sig")])
def test_utf_8_needs_no_guess(guess, content):
    assert guess(content) is None


def test_turkish_letters_make_cp1254(guess):
    found = guess(TURKISH.encode("cp1254"))

    assert (found.encoding, found.lines, found.byte) == ("cp1254", (2, 3), 0xFE)


@pytest.mark.parametrize("text", ["Où est ma commande déjà payée ?", "Größe und Übergröße", "Það var þá að hún sá mig"])
def test_western_letters_make_cp1252(guess, text):
    assert guess(f"text,label\n{text},a\n".encode("cp1252")).encoding == "cp1252"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_says_it(guess, encoding):
    assert guess(TURKISH.encode(encoding)).encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_has_every_other_byte_0(guess, encoding):
    assert guess(TURKISH.encode(encoding)).encoding == encoding


def test_a_byte_that_one_of_the_two_has_not_decides(guess):
    """0x9e is ž in cp1252 and nothing in cp1254."""
    assert guess("şşş ž".encode("cp1254", "replace").replace(b"?", b"\x9e")).encoding == "cp1252"


def test_utf_8_with_a_few_bad_bytes_has_no_other_encoding(guess):
    found = guess(TURKISH.encode() + "şube;Şube\n".encode("cp1254"))

    assert found.encoding is None
    assert found.lines == (4,)
    assert found.why == "the rest of the file is UTF-8"


def test_bytes_that_no_code_page_has_are_left_to_the_reader(guess):
    assert guess(b"text\n\x81\x8d\n").encoding is None


def test_letters_across_blocks_are_read_whole(guess, monkeypatch):
    monkeypatch.setattr("elsewise.data.encoding_guess.BLOCK", 3)

    assert guess(TURKISH.encode()) is None
    assert guess(TURKISH.encode("cp1254")).lines == (2, 3)


# Letters that were read in the wrong encoding before the file was written


@pytest.mark.parametrize("encoding", ["cp1252", "cp1254", "latin-1"])
@pytest.mark.parametrize("letter", "şŞğĞıİçÇöÖüÜâéß’“–…€👍юαم")
def test_utf_8_that_was_read_in_another_encoding_is_known(letter, encoding):
    read = "".join(bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in letter.encode())

    assert misread(f"bir {read} daha") == (read, letter)


@pytest.mark.parametrize(
    "text",
    [
        "şikayetim var, çözün! IŞIK İÇİN", "Où est ma commande déjà payée ? « là »", "Größe ÄÖÜ – „schön“",
        "São Paulo: NÃO, CORAÇÃO; 5 º andar", "Það var þá að hún sá mig", "Åse på øya, 10 Å", "€ 5,– · ½ £",
        "Где мой заказ?", "我的订单在哪里", "👩🏽\u200d🚀 naïve café", "Æble på Østerbro", "Ñandú, ¿dónde está?",
    ],
)  # fmt: skip
def test_what_is_written_as_it_should_be_is_not_suspected(text):
    assert misread(text) is None
