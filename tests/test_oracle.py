"""The oracle on all engines: random recipes and edits, foreseen against built, step for step.

A small number with a fixed seed; `python -m tests.oracle.run --edits 1000` plays many, and prints
which rule decided how often.
"""

import pytest

from tests.oracle.run import PLACES, Oracle, explore, table

EDITS = 90


@pytest.mark.parametrize("machine, builder", [p.split("/") for p in PLACES], indirect=["machine"])
def test_nothing_is_foreseen_wrongly(machine, builder, capsys):
    oracle = Oracle(machine.engine, builder, machine.base)
    tally = explore(oracle, EDITS, seed=2)
    with capsys.disabled():
        print(f"\n{table({f'{machine.name}/{builder}': tally})}")
    assert tally.wrong == []
    assert tally.edits >= EDITS * 0.9 and tally.steps > 5 * tally.edits
