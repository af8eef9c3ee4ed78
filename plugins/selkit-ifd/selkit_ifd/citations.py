"""BibTeX entries of what this package implements."""

from __future__ import annotations

QUANTITY_TO_QUALITY = """@inproceedings{li2024quantity,
  author = {Li, Ming and Zhang, Yong and Li, Zhitao and Chen, Jiuhai and Chen, Lichang and Cheng, Ning
            and Wang, Jianzong and Zhou, Tianyi and Xiao, Jing},
  title = {From Quantity to Quality: Boosting {LLM} Performance with Self-Guided Data Selection for Instruction Tuning},
  booktitle = {Proceedings of the 2024 Conference of the North American Chapter of the Association for Computational
               Linguistics: Human Language Technologies (Volume 1: Long Papers)},
  pages = {7602--7635},
  year = {2024}
}"""
"""The paper of ``ifd``."""

SUPERFILTERING = """@misc{li2024superfiltering,
  author = {Li, Ming and Zhang, Yong and He, Shwai and Li, Zhitao and Zhao, Hongyu and Wang, Jianzong and Cheng, Ning
            and Zhou, Tianyi},
  title = {Superfiltering: Weak-to-Strong Data Filtering for Fast Instruction-Tuning},
  year = {2024},
  eprint = {2402.00530},
  archivePrefix = {arXiv}
}"""
"""The paper of ``superfiltering``."""
