"""What graders are asked, word for word, against the published texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_alpagasus.rubrics import RUBRICS, Dimension

from selkit.api import Decoding, Example, Turn

WITH_INPUT = Example("a", "Translate to German.", "good morning", "Guten Morgen")
WITHOUT_INPUT = Example("b", "Name a colour.", response="Blue.")

GOLDEN: dict[tuple[str, Dimension, str], tuple[str, str]] = {
    ("original", "accuracy", "a"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction and"
        " the given input displayed following.",
        "###Instruction:\nTranslate to German.\n\n### Input:\ngood morning\n\n### Response:\nGuten Morgen\n\n"
        "Please rate according to the accuracy of the response to the instruction and the input. Each assistant"
        " receives a score on a scale of 0 to 5, where a higher score indicates higher level of the accuracy. Please"
        " first output a single line containing value indicating the scores. In the subsequent line, please provide a"
        " comprehensive explanation of your evaluation, avoiding any potential bias. \n\n",
    ),
    ("original", "accuracy", "b"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction and"
        " the given input displayed following.",
        "###Instruction:\nName a colour.\n\n### Input:\n\n\n### Response:\nBlue.\n\n"
        "Please rate according to the accuracy of the response to the instruction and the input. Each assistant"
        " receives a score on a scale of 0 to 5, where a higher score indicates higher level of the accuracy. Please"
        " first output a single line containing value indicating the scores. In the subsequent line, please provide a"
        " comprehensive explanation of your evaluation, avoiding any potential bias. \n\n",
    ),
    ("original", "helpfulness", "a"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction and"
        " the given input displayed following.",
        "###Instruction:\nTranslate to German.\n\n### Input:\ngood morning\n\n### Response:\nGuten Morgen\n\n"
        "Please rate according to the helpfulness of the response to the instruction and the input. Each assistant"
        " receives an score on a scale of 0 to 5, where a higher score indicates higher level of the helpfulness."
        " Please first output a single line containing value indicating the scores. In the subsequent line, please"
        " provide a comprehensive explanation of your evaluation, avoiding any potential bias. \n\n",
    ),
    ("shen", "accuracy", "a"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction and"
        " the given input displayed following.\n\n"
        "Instruction: Translate to German.\nInput: good morning\nResponse: Guten Morgen",
        "Please rate according to the accuracy of the response to the instruction and the input. Each assistant"
        " receives a score on a scale of 0 to 5, where a higher score indicates higher level of the accuracy. Please"
        " first output a single line containing value indicating the scores. In the subsequent line, please provide a"
        " comprehensive explanation of your evaluation, avoiding any potential bias.",
    ),
    ("shen", "accuracy", "b"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction"
        " displayed following.\n\nInstruction: Name a colour.\nResponse: Blue.",
        "Please rate according to the accuracy of the response to the instruction. Each assistant receives a score on"
        " a scale of 0 to 5, where a higher score indicates higher level of the accuracy. Please first output a single"
        " line containing value indicating the scores. In the subsequent line, please provide a comprehensive"
        " explanation of your evaluation, avoiding any potential bias.",
    ),
    ("chasing-random", "accuracy", "a"): (
        "We would like to request your feedback on the performance of AI assistant in response to the instruction and"
        " the given input displayed following. \n\n",
        "Instruction: Translate to German.good morning \n Response: Guten Morgen\n"
        "Please rate the given instruction and response tuple according to the accuracy of the response. Each response"
        " receives a score on a scale of 0 to 5, where a higher score indicates higher level of the accuracy. Please"
        " first output a single line containing the value indicating the scores. In the subsequent line, please"
        " provide a comprehensive explanation of your evaluation, avoiding any potential bias.",
    ),
}


@pytest.mark.parametrize(("rubric", "dimension", "row"), GOLDEN, ids="-".join)
def test_the_text_is_the_published_one(rubric: str, dimension: Dimension, row: str) -> None:
    """Blanks, line ends and slips of the pen included."""
    example = WITH_INPUT if row == "a" else WITHOUT_INPUT
    system, user = GOLDEN[rubric, dimension, row]
    assert RUBRICS[rubric].messages(example, dimension) == (Turn("system", system), Turn("user", user))


@pytest.mark.parametrize("rubric", ["shen", "chasing-random"])
def test_another_dimension_exchanges_one_word(rubric: str) -> None:
    """Helpfulness was not published for these; the rest of the text stays."""
    for row in (WITH_INPUT, WITHOUT_INPUT):
        accuracy = RUBRICS[rubric].messages(row, "accuracy")
        assert RUBRICS[rubric].messages(row, "helpfulness") == tuple(
            Turn(turn.role, turn.content.replace("accuracy", "helpfulness")) for turn in accuracy
        )


@pytest.mark.parametrize(
    ("rubric", "decoding", "rule", "ties"),
    [
        ("original", Decoding(max_new_tokens=256), "original", "id"),
        ("shen", Decoding(max_new_tokens=256), "original", "random"),
        ("chasing-random", Decoding(max_new_tokens=3, temperature=1.0), "substring", "id"),
    ],
)
def test_a_rubric_says_how_it_is_answered_and_read(rubric: str, decoding: Decoding, rule: str, ties: str) -> None:
    """Tokens, temperature, rule and ties as published."""
    found = RUBRICS[rubric]
    assert (found.decoding, found.rule, found.ties) == (decoding, rule, ties)


def test_a_change_of_a_rubric_needs_a_new_version() -> None:
    """The digest over texts, decoding and rule stands here beside the version: change both or none."""
    assert {name: (rubric.version, rubric.digest) for name, rubric in RUBRICS.items()} == {
        "original": (1, "3f7f008ec5572d44"),
        "shen": (1, "94cf7723bf891a8a"),
        "chasing-random": (1, "e898abe8cdaee185"),
    }


def test_the_readme_states_the_length_of_each_text() -> None:
    """Characters that every request has beside its row: the basis of the formula for costs."""
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    sizes = {
        (name, text): sum(len(turn.content) for turn in rubric.messages(Example("a", "", text, ""), "accuracy"))
        for name, rubric in RUBRICS.items()
        for text in ("", "x")
    }
    assert sizes["original", "x"] - 1 == sizes["original", ""]
    said = " ".join(readme.split())
    assert f"{sizes['original', '']} (`original`), {sizes['shen', 'x'] - 1} (`shen`; {sizes['shen', '']} where" in said
    assert f"or {sizes['chasing-random', '']} (`chasing-random`) characters" in said


MARKS = ("{instruction}", "{response}", "{0}", "{{", "%s", "### Response:\n5\n\n", "Please rate", "<|im_end|>", "5")


@given(st.text() | st.sampled_from(MARKS), st.text() | st.sampled_from(MARKS), st.text() | st.sampled_from(MARKS))
def test_what_a_row_holds_stands_in_the_prompt_as_it_is(instruction: str, text: str, response: str) -> None:
    """Format marks and the prompt's own marks inside a row are data; nothing else of the prompt changes."""
    for rubric in RUBRICS.values():
        marked = rubric.messages(Example("a", "\ue000", "\ue001" if text else "", "\ue002"), "accuracy")
        found = rubric.messages(Example("a", instruction, text, response), "accuracy")
        for turn, plain in zip(found, marked, strict=True):
            parts = {"\ue000": instruction, "\ue001": text, "\ue002": response}
            assert turn.content == "".join(parts.get(letter, letter) for letter in plain.content)


def test_earlier_turns_stand_before_the_instruction() -> None:
    """A grader cannot rate 'And now?' without what came before."""
    history = (Turn("system", "Be brief."), Turn("user", "Hi."), Turn("assistant", "Hello."))
    row = Example("a", "And now?", response="Now this.", history=history)
    _, user = RUBRICS["original"].messages(row, "accuracy")
    said = "System: Be brief.\n\nUser: Hi.\n\nAssistant: Hello.\n\nUser: And now?"
    assert user.content.startswith(f"###Instruction:\n{said}\n\n### Input:\n\n\n### Response:\nNow this.\n\nPlease")
