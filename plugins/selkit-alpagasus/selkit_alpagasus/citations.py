"""BibTeX entries of what this package implements."""

from __future__ import annotations

ALPAGASUS = """@inproceedings{chen2024alpagasus,
  author = {Chen, Lichang and Li, Shiyang and Yan, Jun and Wang, Hai and Gunaratna, Kalpa and Yadav, Vikas
            and Tang, Zheng and Srinivasan, Vijay and Zhou, Tianyi and Huang, Heng and Jin, Hongxia},
  title = {{AlpaGasus}: Training a Better {Alpaca} with Fewer Data},
  booktitle = {The Twelfth International Conference on Learning Representations},
  year = {2024}
}"""
"""The paper of ``alpagasus``."""
