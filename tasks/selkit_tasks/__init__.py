"""Benchmarks for selkit, as lm-eval tasks."""

from __future__ import annotations

from selkit.api import BaseBenchmark, hookimpl


@hookimpl
def selkit_benchmarks() -> list[type[BaseBenchmark]]:
    """The benchmarks of this package, and the groups of the papers."""
    from selkit_tasks import leaderboard, llmbar, long_answers, reasoning
    from selkit_tasks.ifeval import IFEval

    return [
        IFEval,
        llmbar.LlmBar,
        llmbar.LlmBarAdversarial,
        llmbar.LlmBarSet,
        reasoning.Bbh,
        reasoning.BbhTask,
        reasoning.Gsm8k,
        reasoning.Gsm8kLeaderboard,
        leaderboard.ArcChallenge,
        leaderboard.ArcEasy,
        leaderboard.HellaSwag,
        leaderboard.Mmlu,
        leaderboard.MmluByQuestion,
        leaderboard.MmluSubject,
        leaderboard.TruthfulQA,
        leaderboard.Winogrande,
        leaderboard.OpenLLM,
        leaderboard.OpenLLMChasingRandom,
        leaderboard.ShenAverage2,
        long_answers.LongForm,
        long_answers.Eli5,
        long_answers.ShenAverage1,
    ]
