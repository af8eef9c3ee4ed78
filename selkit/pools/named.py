"""The pools that selkit knows by name, where they come from, and under which licence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from selkit.pools.files import READERS

FOLDER_VARIABLE = "SELKIT_POOLS"
"""Environment variable: a folder whose files stand in for named pools, e.g. alpaca.jsonl."""

PLANTED = "planted"
"""The name of the pool that selkit makes itself."""


@dataclass(frozen=True)
class NamedPool:
    """A public data set.

    Args:
        hub: Its id on the Hugging Face hub.
        rows: About how many rows it has.
        licence: What its authors say of use; read the data set's card before you pass anything on.
        revision: The revision that is loaded: a commit where ``pinned``, else a branch, whose content can change.
        split: The split that is loaded.
        columns: Column mapping, where the usual names do not tell.
        note: What one should know before using it.
    """

    hub: str
    rows: int
    licence: str
    revision: str = "main"
    split: str = "train"
    columns: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, so that everyone gets the same rows."""
        return len(self.revision) == 40 and not set(self.revision) - set("0123456789abcdef")


POOLS: dict[str, NamedPool] = {
    "alpaca": NamedPool(
        "tatsu-lab/alpaca", 52_002, "CC BY-NC 4.0", revision="dce01c9b08f87459cf36a430d809084718273017"
    ),
    "alpaca-gpt4": NamedPool("vicgalle/alpaca-gpt4", 52_002, "CC BY-NC 4.0"),
    "alpaca-cleaned": NamedPool(
        "yahma/alpaca-cleaned",
        51_760,
        "CC BY 4.0 by its card; made of Alpaca, which is CC BY-NC 4.0",
        revision="12567cabf869d7c92e573c7c783905fc160e9639",
    ),
    "dolly": NamedPool(
        "databricks/databricks-dolly-15k", 15_011, "CC BY-SA 3.0", revision="bdd27f4d94b9c1f951818a7da7fd7aeea5dbff1a"
    ),
    "wizardlm": NamedPool(
        "WizardLMTeam/WizardLM_evol_instruct_70k",
        70_000,
        "stated on its card; made with ChatGPT",
        revision="16b48bd8eecad79d4f42e1ab641db317e1b27443",
    ),
    "evol": NamedPool(
        "WizardLMTeam/WizardLM_evol_instruct_V2_196k",
        143_000,
        "MIT by its card; made with ChatGPT",
        note="the public part of the 196k; the rest is ShareGPT's, which its authors do not pass on",
    ),
    "flan": NamedPool(
        "sordonia/flan-100-flat",
        181_884,
        "that of each component data set",
        columns={"instruction": "source", "response": "target"},
        note="up to 100 rows a task; cap: {column: task_name, n: 50} gives the 50 a task of 'Chasing Random'",
    ),
    "lima": NamedPool(
        "GAIR/lima",
        1_030,
        "CC BY-NC-SA, or stricter where a source is; gated: accept its terms on the hub first",
        revision="refs/convert/parquet",
    ),
    "hc3": NamedPool(
        "Hello-SimpleAI/HC3",
        24_322,
        "CC BY-SA 4.0, or stricter where a source is",
        revision="refs/convert/parquet",
        columns={"instruction": "question", "response": "chatgpt_answers.0"},
        note="the response is ChatGPT's first answer; columns: {response: human_answers.0} takes people's",
    ),
}
"""Named pools. Revisions that are no commit are not pinned: nobody has checked which commit the papers used."""


def stand_in(name: str) -> Path | None:
    """The file in the folder ``SELKIT_POOLS`` that stands in for a named pool, where there is one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    return next((path for suffix in READERS if (path := Path(folder) / f"{name}{suffix}").is_file()), None)


def how_to_stand_in(name: str) -> str:
    """The part of a sentence that says how a local file takes the place of a named pool."""
    return (
        f"let a local file stand in, as {name}=FILE or as {name}.jsonl (.json, .csv, .parquet) "
        f"in the folder that {FOLDER_VARIABLE} names"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The words " (did you mean 'x'?)" with the nearest of ``known``; empty where none is near."""
    near = get_close_matches(word, list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
