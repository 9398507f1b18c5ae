"""Fewer rows for short batches, where this processor is shown to give the same bits.

Every text of one length runs at one shape (`elsewise.engines.batching`), so a text alone computes a dozen rows and
drops eleven. What moves the last digits is the length, which stays; that the rows do not is shown here, length by
length, before it is used: made-up texts run at the full shape and at the smaller one, and are compared bit by bit.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.batching import Forward

ASKED: Final = 4  # short batches of one shape before it is compared: comparing costs as much as they would save
FEW: Final = 256  # texts of a call: with more, hardly any batch is short


@dataclass(frozen=True, slots=True)
class ShortBatches:
    """What is known of the smaller shapes of one engine, and finds out more while it is used.

    Attributes
    ----------
    asked : dict of int
        How often a short batch came, by its shape (rows, tokens), while it was not compared.
    same : dict of bool
        Whether a smaller shape gives the same bits as the full one.
    """

    asked: dict[tuple[int, int], int] = field(default_factory=dict)
    same: dict[tuple[int, int], bool] = field(default_factory=dict)

    def rows(self, count: int, full: int, ids: NDArray[np.int32], *, forward: Forward) -> int:
        """Give the rows of a batch of `count` texts as long as `ids` (tokens,), where `full` rows are a whole batch.

        They are a power of two, or `full`.

        Examples
        --------
        A model that computes each row for itself. The first four times, it is not worth a comparison.

        >>> def forward(batches):
        ...     return ((ids.astype(np.float32), mask.astype(np.float32)) for ids, mask in batches)
        >>> short = ShortBatches()
        >>> [short.rows(3, 12, np.arange(10, dtype=np.int32), forward=forward) for _ in range(5)]
        [12, 12, 12, 12, 4]
        """
        rows = 1 << (count - 1).bit_length()
        if rows >= full:
            return full
        shape = rows, len(ids)
        if shape not in self.same:
            self.asked[shape] = self.asked.get(shape, 0) + 1
            if self.asked[shape] <= ASKED:
                return full
            self.same[shape] = gives_the_same_bits(rows, full, ids, forward)
        return rows if self.same[shape] else full


def gives_the_same_bits(rows: int, full: int, ids: NDArray[np.int32], forward: Forward) -> bool:
    """Tell whether batches of `rows` give what batches of `full` rows give, on random texts of the tokens `ids`.

    Each made-up text is compared at its place in the full batch, with others around it in the smaller one.
    """
    made = np.random.default_rng(0).choice(ids, (full, len(ids))).astype(np.int64)
    made[:, 0] = ids[0]  # as every text begins
    starts = [*range(0, full - rows, rows), full - rows]
    batches = [made, *(made[at : at + rows] for at in starts)]
    whole, *parts = forward([(batch, np.ones_like(batch)) for batch in batches])
    return all(
        np.array_equal(part.view(np.uint8), one[at : at + rows].view(np.uint8))
        for at, results in zip(starts, parts, strict=True)
        for part, one in zip(map(np.ascontiguousarray, results), whole, strict=True)
    )
