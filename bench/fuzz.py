"""Fuzzes the HTTP/1.1 connection: `python -m bench.fuzz --inputs 1000000 --seed 1`.

Inputs are mutated cases of the corpus (tests/http/server/corpus), cut at random. Ends with an error
if one of them raises, does not end, or holds more than the bounds allow; prints what came of them.
"""

from __future__ import annotations

import argparse
import resource
import sys
from itertools import islice
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

_BATCHES = 20
_GROWTH_MIB = 8.0


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def main() -> None:
    """Runs the inputs in batches and looks at the memory between them."""
    from fuzzing import Fuzz, inputs  # noqa: PLC0415  # of the tests: on the path since above

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fuzz, mutations = Fuzz(options.seed), inputs(options.seed)
    started, sizes = monotonic(), []
    for _ in range(_BATCHES):
        for data in islice(mutations, options.inputs // _BATCHES):
            try:
                fuzz.run(data)
            except BaseException:
                print(f"failed for {data!r}", file=sys.stderr)
                raise
        sizes.append(_rss_mib())
        rate = fuzz.counts["connections"] / (monotonic() - started)
        print(f"{fuzz.counts['connections']:>9} inputs  {rate:6.0f}/s  {sizes[-1]:.1f} MiB")
    for name, count in sorted(fuzz.counts.items()):
        print(f"{count:>9} {name}")
    growth = sizes[-1] - sizes[0]
    print(f"memory grew by {growth:.1f} MiB between the first batch and the last")
    if growth > _GROWTH_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
