"""What the models are shown, character by character."""

from __future__ import annotations

from selkit_deita.texts import complexity_prompt, exchanges, prompt, quality_prompt, response, vicuna

from selkit.api import Example, Turn

ROW = Example("a", "Name a colour.", response="Blue.")
INPUT = Example("b", "Translate to German.", "good morning", "Guten Morgen")
BRACES = Example("c", "Fill in {instruction} and {output}.", response="{0} %s $x {output}")
TALK = Example(
    "d",
    "And now?",
    response="Now this.",
    history=(
        Turn("system", "Be brief."),
        Turn("user", "Never answered."),
        Turn("user", "Hi."),
        Turn("assistant", "Hello."),
        Turn("assistant", "Hello again."),
        Turn("user", "Nor this."),
    ),
)


def shown(make: object, row: Example) -> list[str]:
    """The whole prompts of a row."""
    return [part.cut(len(part.text)) for part in map(make, exchanges(row))]  # type: ignore[call-overload]


def test_the_prompt_of_the_complexity_scorer() -> None:
    """As published: a blank before the line break, two behind the question, one at the end."""
    assert shown(complexity_prompt, ROW) == [
        "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
        "##Query: Name a colour.  \n"
        "##Complexity: "
    ]


def test_the_prompt_of_the_quality_scorer() -> None:
    """As published: a blank before ' #Question#' alone; an input stands on a line of its own behind the instruction."""
    assert shown(quality_prompt, INPUT) == [
        "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question."
        " \n"
        " #Question#:\n"
        "Translate to German.\ngood morning\n"
        "#Response#:\n"
        "Guten Morgen \n"
        "##Quality: "
    ]


def test_braces_in_a_row_are_text() -> None:
    """What looks like a place in the template is shown as it is."""
    (quality,) = shown(quality_prompt, BRACES)
    assert " #Question#:\nFill in {instruction} and {output}.\n#Response#:\n{0} %s $x {output} \n##Quality: " in quality
    (complexity,) = shown(complexity_prompt, BRACES)
    assert "##Query: Fill in {instruction} and {output}.  \n##Complexity: " in complexity


def test_a_conversation_is_shown_turn_by_turn() -> None:
    """Each question with its own response and nothing before it; a system turn and an unanswered one are left out."""
    assert list(exchanges(TALK)) == [("Hi.", "Hello."), ("And now?", "Now this.")]
    first, second = shown(quality_prompt, TALK)
    assert "#Question#:\nHi.\n#Response#:\nHello. \n" in first
    assert "#Question#:\nAnd now?\n#Response#:\nNow this. \n" in second


def test_the_text_that_is_embedded() -> None:
    """FastChat's vicuna_v1.1: system, then 'USER: ... ASSISTANT: ...</s>' for each turn without a break between."""
    assert vicuna(TALK) == (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. USER: Hi. ASSISTANT: Hello.</s>USER: And now? "
        "ASSISTANT: Now this.</s>"
    )
    assert prompt(TALK) == "Hi.\nAnd now?"
    assert response(TALK) == "Hello.\nNow this."


def test_a_prompt_is_cut_in_its_middle() -> None:
    """The question of the rating stays whole."""
    (part,) = map(quality_prompt, exchanges(ROW))
    assert part.cut(2).endswith("#Response#:\nBl \n##Quality: ")
