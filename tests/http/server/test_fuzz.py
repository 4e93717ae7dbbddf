"""Some thousand mutated inputs; `python -m bench.fuzz` runs as many as are asked for."""

from __future__ import annotations

import gc
import sys
from itertools import islice

from fuzzing import Fuzz, inputs

_SEED = 1
_INPUTS = 3000
_MANY_BLOCKS = 400


def test_mutated_inputs_raise_nothing_end_and_leave_nothing_behind():
    fuzz, mutations = Fuzz(_SEED), inputs(_SEED)
    blocks = []
    for share in (_INPUTS // 3, _INPUTS * 2 // 3):
        for data in islice(mutations, share):
            fuzz.run(data)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert fuzz.counts["connections"] == _INPUTS
    assert fuzz.counts["answered"] > _INPUTS // 4
    assert sum(count for name, count in fuzz.counts.items() if "refused" in name) > _INPUTS // 4
    assert blocks[1] - blocks[0] < _MANY_BLOCKS
