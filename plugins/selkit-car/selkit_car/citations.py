"""BibTeX entries of what this package implements."""

from __future__ import annotations

CAR = """@misc{ge2024clustering,
  author = {Ge, Yuan and Liu, Yilun and Hu, Chi and Meng, Weibin and Tao, Shimin and Zhao, Xiaofeng and Ma, Hongxia
            and Zhang, Li and Chen, Boxing and Yang, Hao and Li, Bei and Xiao, Tong and Zhu, Jingbo},
  title = {Clustering and Ranking: Diversity-preserved Instruction Selection through Expert-aligned Quality Estimation},
  year = {2024},
  eprint = {2402.18191},
  archivePrefix = {arXiv}
}"""
"""The paper of ``car`` and ``iqs``."""
