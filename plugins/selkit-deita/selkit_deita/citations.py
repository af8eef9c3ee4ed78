"""BibTeX entries of what this package implements."""

from __future__ import annotations

DEITA = """@inproceedings{liu2024deita,
  author = {Liu, Wei and Zeng, Weihao and He, Keqing and Jiang, Yong and He, Junxian},
  title = {What Makes Good Data for Alignment? {A} Comprehensive Study of Automatic Data Selection in Instruction
           Tuning},
  booktitle = {The Twelfth International Conference on Learning Representations},
  year = {2024}
}"""
"""The paper of DEITA."""
