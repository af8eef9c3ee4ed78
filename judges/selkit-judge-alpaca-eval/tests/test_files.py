"""alpaca_eval itself reads what selkit writes, and says the same of it; and selkit reads what alpaca_eval writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from selkit_judge_alpaca_eval.configuration import installed_folder
from selkit_judge_alpaca_eval.package import imported, quiet

from selkit.__main__ import main
from selkit.evals.alpaca_eval import read_leaderboard, read_outputs
from selkit.testing.chat_server import Answer, Call, ChatServer

pytest.importorskip("tiktoken")
pytest.importorskip("openai")

ROWS = 10
KEY = "sk-files-0123456789abcdefghij"


def longer(call: Call) -> Answer:
    """Prefers the longer output; says nothing of row 4, and in row 5 prefers whichever stands first.

    That makes one preference 1.5: where all are whole numbers, alpaca_eval's cache fails with pandas 3.
    """
    if "Question 4?" in call.text:
        return "I cannot tell."
    outputs = call.text.split('"answer": """')[1:]
    first, second = (len(output.partition('"""')[0]) for output in outputs)
    best = 1 if first >= second or "Question 5?" in call.text else 2
    return f"[{{'model': 'model_1', 'rank': {best}}}, {{'model': 'model_2', 'rank': {3 - best}}}]"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the commands print about two models' responses; the files stand in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    for name, words in (("ours", 3), ("theirs", 2)):
        rows = [
            {
                "id": f"q{i}",
                "prompt": f"Question {i}?",
                "response": f"{name} é " + "word " * (words + i % 4 * (words - 2)),
            }
            for i in range(ROWS)
        ]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with ChatServer(longer) as server:
        judge = ["--judge", "alpaca-eval", "-p", "annotator=alpaca_eval_gpt4", "-p", f"endpoint={server.endpoint()}"]
        assert (
            main(["judge", "pairwise", "ours.jsonl", "theirs.jsonl", *judge, "--annotations", "annotations.json"]) == 0
        )
    more = ["--mode", "direct", "--leaderboard", "leaderboard.csv", "-o", "out", "--json", "--bootstraps", "50"]
    capsys.readouterr()
    assert main(["eval", "alpaca-eval", "--annotations", "annotations.json", *more]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    return dict(found)


def test_alpaca_evals_own_win_rate_of_our_annotations(written: dict[str, Any]) -> None:
    """Its metric on the annotations that the judge left: the same counts, rates and errors; a null is left out."""
    alpaca_eval = imported()
    rows = alpaca_eval.utils.load_or_convert_to_dataframe(Path("annotations.json"))
    assert list(rows["preference"].isna()) == [i == 4 for i in range(ROWS)]
    assert set(rows["annotator"]) == {"alpaca_eval_gpt4"}
    assert (set(rows["generator_1"]), set(rows["generator_2"])) == ({"theirs"}, {"ours"})
    with quiet():
        found = alpaca_eval.metrics.get_winrate(rows)
    assert found["n_total"] == written["n"] == ROWS - 1
    assert written["left_out"] == {"no preference": 1}
    for name in ("n_wins", "n_wins_base", "n_draws"):
        assert found[name] == written[name]
    for name in ("win_rate", "standard_error", "discrete_win_rate"):
        assert found[name] == pytest.approx(written[name])


def own_annotator() -> str:
    """A copy of AlpacaEval 1's annotator whose cache is what selkit wrote of this model."""
    installed = installed_folder()
    assert installed is not None
    entry = yaml.safe_load((installed / "alpaca_eval_gpt4/configs.yaml").read_text("utf-8"))
    entry["alpaca_eval_gpt4"]["prompt_template"] = str(installed / "alpaca_eval_gpt4/alpaca_eval.txt")
    Path("judge").mkdir()
    Path("judge/configs.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    annotations = Path("out/ours/annotations.json").read_text("utf-8")
    Path("judge/annotations_seed0_configs.json").write_text(annotations, encoding="utf-8")
    return str(Path("judge").absolute())


def test_alpaca_eval_goes_on_from_our_folder(written: dict[str, Any]) -> None:
    """It takes the annotations for its cache, the outputs for a model's and the leaderboard for the one to add to.

    No request is sent, and selkit reads the leaderboard that it writes.
    """
    answered = [row for row in read_outputs(Path("theirs.jsonl")) if row.instruction != "Question 4?"]
    baseline = [{"instruction": row.instruction, "output": row.output, "generator": "theirs"} for row in answered]
    assert [row.instruction for row in read_outputs(Path("out/ours/model_outputs.json"))] == [
        row["instruction"] for row in baseline
    ]
    with ChatServer("must not be asked") as server, quiet():
        leaderboard, annotations = imported().evaluate(
            model_outputs="out/ours/model_outputs.json",
            reference_outputs=baseline,
            annotators_config=own_annotator(),
            name="again",
            fn_metric="get_winrate",
            precomputed_leaderboard="leaderboard.csv",
            is_return_instead_of_print=True,
            output_path="theirs",
            annotation_kwargs={"client_kwargs": {"base_url": server.url}, "openai_api_keys": KEY},
            sort_by="win_rate",
        )
        assert server.calls == []
    assert len(annotations) == ROWS - 1
    assert set(leaderboard.index) == {"ours", "again"}
    for name in ("win_rate", "n_wins", "discrete_win_rate"):
        assert leaderboard.loc["ours", name] == pytest.approx(written[name])
        assert leaderboard.loc["again", name] == pytest.approx(written[name])
    (theirs,) = Path("theirs").rglob("leaderboard.csv")
    assert float(read_leaderboard(theirs)["again"]["win_rate"]) == pytest.approx(written["win_rate"])
