"""Whether a split of exact sizes can move at most one image when one is added: `python -m benchmarks.split_rule IMAGES FRACTION`.

Every set of the images that holds the first one gets an assignment to train, validation and test, with the sizes of
`split_sizes`, so that from each set to the same with one image more at most one image is assigned otherwise. A SAT solver
(`pip install python-sat`) looks for such assignments. FRACTION is that of validation and that of test. There are none for
8 images at 0.3 or 12 at 0.15.
"""

from __future__ import annotations

import itertools
import sys

from tl_keras.data.splits import split_sizes


def exists(images: int, fraction: float) -> bool:
    """Returns whether there is such an assignment of all sets of up to `images` images."""
    from pysat.card import CardEnc
    from pysat.formula import IDPool
    from pysat.solvers import Cadical153

    pool, solver = IDPool(), Cadical153()
    sets = [
        frozenset({0, *others}) for size in range(images) for others in itertools.combinations(range(1, images), size)
    ]
    for of in sets:
        for image in of:
            places = [pool.id((of, image, split)) for split in range(3)]
            solver.append_formula(CardEnc.equals(places, 1, vpool=pool).clauses)
        for split, size in enumerate(split_sizes(len(of), fraction, fraction)):
            there = [pool.id((of, image, split)) for image in sorted(of)]
            solver.append_formula(CardEnc.equals(there, size, vpool=pool).clauses)
    for of in sets:
        for added in set(range(1, images)) - of:
            larger, moved = of | {added}, [pool.id((of, added, image, "moved")) for image in sorted(of)]
            for image, moves in zip(sorted(of), moved, strict=True):
                for split in range(3):
                    solver.add_clause([-pool.id((of, image, split)), pool.id((larger, image, split)), moves])
            for pair in itertools.combinations(moved, 2):
                solver.add_clause([-moves for moves in pair])
    return bool(solver.solve())


if __name__ == "__main__":
    print("there is one" if exists(int(sys.argv[1]), float(sys.argv[2])) else "there is none")
