"""Pools and test sets: readers for the common formats, named pools, the planted pool, mixes, writers."""

from selkit.pools.combine import capped, mix
from selkit.pools.facts import PoolFacts, describe
from selkit.pools.load import load_pool
from selkit.pools.named import POOLS, NamedPool
from selkit.pools.planted import CORRUPTIONS, planted_pool, planted_prompts, planted_vocabulary
from selkit.pools.spec import Cap, PoolSpec, parse_source
from selkit.pools.testsets import TestPrompt, TestSet, load_testset
from selkit.pools.writers import write_jsonl, write_llama_factory, write_parquet, write_pool

__all__ = [
    "CORRUPTIONS",
    "POOLS",
    "Cap",
    "NamedPool",
    "PoolFacts",
    "PoolSpec",
    "TestPrompt",
    "TestSet",
    "capped",
    "describe",
    "load_pool",
    "load_testset",
    "mix",
    "parse_source",
    "planted_pool",
    "planted_prompts",
    "planted_vocabulary",
    "write_jsonl",
    "write_llama_factory",
    "write_parquet",
    "write_pool",
]
