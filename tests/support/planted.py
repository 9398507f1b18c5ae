"""A Turkish file with semicolons, in CP1254, with a fault of every kind: what a stranger may come with."""

import unicodedata

from elsewise.data.sample import support_texts

HEADER = "kayıt;metin;kategori;kanal;boş"
LABELS = ("Fatura", "Kargo", "İade", "Şifre", "Üyelik", "Ödeme", *(f"Konu {i}" for i in range(22)), "diğer")


def faulty_lines(rows=3000):
    """Lines after the header, and what was planted: the lines (from 1, the header) of each fault."""
    texts = [row.text.replace(";", ",").replace('"', "'").replace("\n", " ") for row in support_texts(rows=rows)]
    lines = [
        f"{i};Sayın yetkili, {_in_cp1254(text)};{LABELS[i % len(LABELS)]};e-posta;" for i, text in enumerate(texts)
    ]
    planted = {}

    def plant(name, at, *new):
        planted[name] = [line + 2 for line in range(at, at + len(new))]
        lines[at : at + len(new)] = new

    plant("one-row label", 100, "100;tek satır;Hibe;e-posta;")
    plant("spelling", 200, "200;ücret yanlış;fatura ;e-posta;", "201;tutar yanlış;FATURA;e-posta;")
    plant("blank text", 300, "300; ;Kargo;e-posta;", "301;;İade;e-posta;")
    plant("blank label", 400, "400;merhaba;;e-posta;", "401;selam;  ;e-posta;")
    plant("ragged row", 500, "500;bir;iki;üç;dört;beş;altı")
    plant("contradiction", 600, "600;Param nerede;İade;e-posta;", "601;param  NEREDE;Kargo;e-posta;")
    plant("repeat", 700, "700;aynı metin;Kargo;e-posta;", "701;aynı metin;Kargo;e-posta;")
    plant("NUL", 800, "800;kargo\0 nerede;Kargo;e-posta;")
    return lines, planted


def _in_cp1254(text):
    return unicodedata.normalize("NFC", text).encode("cp1254", "ignore").decode("cp1254")


def write_faulty(path, rows=3000):
    lines, planted = faulty_lines(rows)
    path.write_bytes("\r\n".join([HEADER, *lines, ""]).encode("cp1254"))
    return planted
