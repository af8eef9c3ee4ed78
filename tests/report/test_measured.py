"""What depends on clock and machine stands at the end of report.md, so that two runs can be compared without it."""

from __future__ import annotations

import copy

from report_world import document

from selkit.report import markdown


def test_other_measurements_change_nothing_above_their_heading() -> None:
    """Costs stand below it too; what is above is the same to the byte."""
    made = document(pools=("dolly",), budgets=("500",))
    slower = copy.deepcopy(made)
    assert slower["measured"]["costs"]
    for row in slower["measured"]["costs"]:
        row |= {key: 3 * value + 1 for key, value in row.items() if key.endswith("seconds")}
    slower["measured"]["wall_seconds"] += 100
    (above, heading, below), (also, _, other) = (markdown(one).partition("\n## Measured\n") for one in (made, slower))
    assert heading
    assert above == also
    assert below != other
    assert "## Costs" in below
