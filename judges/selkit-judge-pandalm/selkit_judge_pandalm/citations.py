"""BibTeX entries of what this package implements."""

from __future__ import annotations

PANDALM = """@misc{wang2023pandalm,
  author = {Wang, Yidong and Yu, Zhuohao and Zeng, Zhengran and Yang, Linyi and Wang, Cunxiang and Chen, Hao
            and Jiang, Chaoya and Xie, Rui and Wang, Jindong and Xie, Xing and others},
  title = {{PandaLM}: An Automatic Evaluation Benchmark for {LLM} Instruction Tuning Optimization},
  year = {2023},
  eprint = {2306.05087},
  archivePrefix = {arXiv}
}"""
"""The paper of ``pandalm``."""
