"""BibTeX entries of what this package implements."""

from __future__ import annotations

IFEVAL = """@misc{zhou2023instruction,
  author = {Zhou, Jeffrey and Lu, Tianjian and Mishra, Swaroop and Brahma, Siddhartha and Basu, Sujoy and Luan, Yi
            and Zhou, Denny and Hou, Le},
  title = {Instruction-Following Evaluation for Large Language Models},
  year = {2023},
  eprint = {2311.07911},
  archivePrefix = {arXiv}
}"""
"""IFEval."""

LLMBAR = """@misc{zeng2023evaluating,
  author = {Zeng, Zhiyuan and Yu, Jiatong and Gao, Tianyu and Meng, Yu and Goyal, Tanya and Chen, Danqi},
  title = {Evaluating Large Language Models at Evaluating Instruction Following},
  year = {2023},
  eprint = {2310.07641},
  archivePrefix = {arXiv}
}"""
"""LLMBar."""

BBH = """@inproceedings{suzgun2023challenging,
  author = {Suzgun, Mirac and Scales, Nathan and Sch{\\"a}rli, Nathanael and Gehrmann, Sebastian and Tay, Yi
            and Chung, Hyung Won and Chowdhery, Aakanksha and Le, Quoc and Chi, Ed and Zhou, Denny and Wei, Jason},
  title = {Challenging {BIG-Bench} Tasks and Whether Chain-of-Thought Can Solve Them},
  booktitle = {Findings of the Association for Computational Linguistics: {ACL} 2023},
  year = {2023}
}"""
"""BIG-Bench Hard."""

GSM8K = """@misc{cobbe2021training,
  author = {Cobbe, Karl and Kosaraju, Vineet and Bavarian, Mohammad and Chen, Mark and Jun, Heewoo and Kaiser, Lukasz
            and Plappert, Matthias and Tworek, Jerry and Hilton, Jacob and Nakano, Reiichiro and Hesse, Christopher
            and Schulman, John},
  title = {Training Verifiers to Solve Math Word Problems},
  year = {2021},
  eprint = {2110.14168},
  archivePrefix = {arXiv}
}"""
"""GSM8K."""

ARC = """@misc{clark2018think,
  author = {Clark, Peter and Cowhey, Isaac and Etzioni, Oren and Khot, Tushar and Sabharwal, Ashish
            and Schoenick, Carissa and Tafjord, Oyvind},
  title = {Think You Have Solved Question Answering? {Try} {ARC}, the {AI2} Reasoning Challenge},
  year = {2018},
  eprint = {1803.05457},
  archivePrefix = {arXiv}
}"""
"""The AI2 Reasoning Challenge."""

HELLASWAG = """@inproceedings{zellers2019hellaswag,
  author = {Zellers, Rowan and Holtzman, Ari and Bisk, Yonatan and Farhadi, Ali and Choi, Yejin},
  title = {{HellaSwag}: Can a Machine Really Finish Your Sentence?},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  pages = {4791--4800},
  year = {2019}
}"""
"""HellaSwag."""

WINOGRANDE = """@article{sakaguchi2021winogrande,
  author = {Sakaguchi, Keisuke and Le Bras, Ronan and Bhagavatula, Chandra and Choi, Yejin},
  title = {{WinoGrande}: An Adversarial {Winograd} Schema Challenge at Scale},
  journal = {Communications of the ACM},
  volume = {64},
  number = {9},
  pages = {99--106},
  year = {2021}
}"""
"""WinoGrande."""

TRUTHFULQA = """@inproceedings{lin2022truthfulqa,
  author = {Lin, Stephanie and Hilton, Jacob and Evans, Owain},
  title = {{TruthfulQA}: Measuring How Models Mimic Human Falsehoods},
  booktitle = {Proceedings of the 60th Annual Meeting of the Association for Computational Linguistics
               (Volume 1: Long Papers)},
  pages = {3214--3252},
  year = {2022}
}"""
"""TruthfulQA."""

MMLU = """@inproceedings{hendrycks2021measuring,
  author = {Hendrycks, Dan and Burns, Collin and Basart, Steven and Zou, Andy and Mazeika, Mantas and Song, Dawn
            and Steinhardt, Jacob},
  title = {Measuring Massive Multitask Language Understanding},
  booktitle = {International Conference on Learning Representations},
  year = {2021}
}"""
"""MMLU."""

LONGFORM = """@misc{koksal2023longform,
  author = {K{\\"o}ksal, Abdullatif and Schick, Timo and Korhonen, Anna and Sch{\\"u}tze, Hinrich},
  title = {{LongForm}: Optimizing Instruction Tuning for Long Text Generation with Corpus Extraction},
  year = {2023},
  eprint = {2304.08460},
  archivePrefix = {arXiv}
}"""
"""LongForm."""

ELI5 = """@inproceedings{fan2019eli5,
  author = {Fan, Angela and Jernite, Yacine and Perez, Ethan and Grangier, David and Weston, Jason and Auli, Michael},
  title = {{ELI5}: Long Form Question Answering},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  pages = {3558--3567},
  year = {2019}
}"""
"""ELI5."""
