"""BibTeX entries of what this package implements."""

from __future__ import annotations

RETHINKING = """@misc{shen2024rethinking,
  author = {Shen, Ming},
  title = {Rethinking Data Selection for Supervised Fine-Tuning},
  year = {2024},
  eprint = {2402.06094},
  archivePrefix = {arXiv}
}"""
"""The paper that tried ``kmeans`` and ``k-center``."""

CORE_SET = """@inproceedings{sener2018active,
  author = {Sener, Ozan and Savarese, Silvio},
  title = {Active Learning for Convolutional Neural Networks: A Core-Set Approach},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""
"""The paper of ``k-center``."""
