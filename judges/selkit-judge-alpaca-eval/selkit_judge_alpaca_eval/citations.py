"""BibTeX entries of what this package implements."""

from __future__ import annotations

ALPACA_FARM = """@inproceedings{dubois2023alpacafarm,
  author = {Dubois, Yann and Li, Xuechen and Taori, Rohan and Zhang, Tianyi and Gulrajani, Ishaan and Ba, Jimmy
            and Guestrin, Carlos and Liang, Percy and Hashimoto, Tatsunori},
  title = {{AlpacaFarm}: A Simulation Framework for Methods that Learn from Human Feedback},
  booktitle = {Thirty-seventh Conference on Neural Information Processing Systems},
  year = {2023}
}"""
"""The paper of the annotators of AlpacaEval."""
