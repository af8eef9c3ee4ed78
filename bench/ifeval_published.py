"""Published responses to IFEval scored by ``selkit eval``, row by row beside the published verdicts on them.

    python bench/ifeval_published.py --data DIR --responses FILE --strict FILE --loose FILE

DIR holds ifeval/prompts.jsonl. The files are those of the public repository Podtech-AI/IFEval: data/
input_response_data_gpt4_20231107_145030.jsonl, GPT-4's responses as Google published them, and data/test_output/
eval_results_{strict,loose}.jsonl, what its scorer, a copy of Google's, said of each. Only a row for which the scorer
draws a letter at random (one that asks to count a character that is no letter) may differ; the exit code is 1 where
another does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> int:
    """Prints both accuracies and the rows that differ."""
    parser = argparse.ArgumentParser(description="selkit eval on published responses to IFEval.")
    for name in ("data", "responses", "strict", "loose"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    prompts = {row["prompt"]: row for row in read(given.data / "ifeval" / "prompts.jsonl")}
    items = scored(given.responses, given.data)
    wrong = [
        line for kind in ("strict", "loose") for line in compared(kind, read(getattr(given, kind)), items, prompts)
    ]
    for line in wrong:
        print(line)
    return int(bool(wrong))


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def scored(responses: Path, data: Path) -> dict[str, dict[str, Any]]:
    """selkit's items by prompt."""
    import pyarrow.parquet as pq

    selkit = Path(sysconfig.get_path("scripts")) / "selkit"
    with tempfile.TemporaryDirectory() as folder:
        words = ["eval", "-q", "-b", "ifeval", "--responses", str(responses), "--data", str(data), "-o", folder]
        subprocess.run([str(selkit), *words], check=True)
        items = pq.read_table(Path(folder) / "items" / "ifeval.parquet").to_pylist()
    return {item["prompt"]: item for item in items}


def compared(
    kind: str,
    published: list[dict[str, Any]],
    items: Mapping[str, Mapping[str, Any]],
    prompts: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Prints the accuracies; returns a line for each row that differs and may not."""
    assert {row["prompt"] for row in published} == set(items), "the published rows are not those that were scored"
    theirs = [row["follow_all_instructions"] for row in published]
    followed = [one for row in published for one in row["follow_instruction_list"]]
    mine = [items[row["prompt"]] for row in published]
    weights = [len(row["follow_instruction_list"]) for row in published]
    share = [weight * item[f"inst_level_{kind}_acc"] for weight, item in zip(weights, mine, strict=True)]
    ours = [item[f"prompt_level_{kind}_acc"] for item in mine]
    count = len(published)
    print(f"{kind}: prompts published {sum(theirs) / count:.4%}, selkit {sum(ours) / count:.4%}; ", end="")
    print(f"instructions published {sum(followed) / len(followed):.4%}, selkit {sum(share) / len(followed):.4%}")
    other = [
        row
        for row, right, part in zip(published, ours, share, strict=True)
        if right != float(row["follow_all_instructions"]) or abs(part - sum(row["follow_instruction_list"])) > 1e-9
    ]
    chancy = [row for row in other if draws(prompts[row["prompt"]])]
    print(f"{kind}: {count - len(other)} of {count} rows the same; {len(chancy)} differ by a random letter")
    return [f"{kind}: differs: {row['prompt'][:70]!r}" for row in other if row not in chancy]


def draws(row: Mapping[str, Any]) -> bool:
    """Whether the scorer puts a random letter in place of one that the row names."""
    letters = [kwargs.get("letter") for kwargs in row["kwargs"]]
    return any(letter and not (len(letter) == 1 and letter.isalpha()) for letter in letters)


if __name__ == "__main__":
    sys.exit(main())
