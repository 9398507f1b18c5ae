"""What tests of parts share: three texts that a small table answers, and a file of them with bad rows."""

TABLE = {"sure": [4.0, 0.0], "hm": [0.1, 0.0], "no way": [0.0, 5.0]}  # logits of the labels yes and no
ROWS = 95  # ten parts of ten rows, the last of them short


def write_rows(file):
    """Write an input of all kinds of rows, some of them bad."""
    texts = [f"{n},{list(TABLE)[n % 3]}" if n % 7 else f"{n}" for n in range(ROWS)]
    file.write_text("id,text\n" + "\n".join(texts) + "\n", encoding="utf-8")
