"""BibTeX entries of the works that selkit itself builds on: methods, test sets, recipes and statistics."""

from __future__ import annotations

WORKS: dict[str, str] = {
    "diddee2024chasing": """@misc{diddee2024chasing,
  author = {Diddee, Harshita and Ippolito, Daphne},
  title = {Chasing Random: Investigating the ``Gains'' achieved through Instruction Selection Strategies at Scale},
  year = {2024}
}""",
    "moon2025rigor": """@misc{moon2025rigor,
  author = {Moon, Hyeonseok and Seo, Jaehyung and Lim, Heuseok},
  title = {Call for Rigor in Reporting Quality of Instruction Tuning Data},
  year = {2025},
  eprint = {2503.04807},
  archivePrefix = {arXiv}
}""",
    "shen2024rethinking": """@misc{shen2024rethinking,
  author = {Shen, Ming},
  title = {Rethinking Data Selection for Supervised Fine-Tuning},
  year = {2024},
  eprint = {2402.06094},
  archivePrefix = {arXiv}
}""",
    "ge2024clustering": """@misc{ge2024clustering,
  author = {Ge, Yuan and Liu, Yilun and Hu, Chi and Meng, Weibin and Tao, Shimin and Zhao, Xiaofeng and Ma, Hongxia
            and Zhang, Li and Chen, Boxing and Yang, Hao and Li, Bei and Xiao, Tong and Zhu, Jingbo},
  title = {Clustering and Ranking: Diversity-preserved Instruction Selection through Expert-aligned Quality Estimation},
  year = {2024},
  eprint = {2402.18191},
  archivePrefix = {arXiv}
}""",
    "zhao2024long": """@inproceedings{zhao2024long,
  author = {Zhao, Hao and Andriushchenko, Maksym and Croce, Francesco and Flammarion, Nicolas},
  title = {Long Is More for Alignment: A Simple but Tough-to-Beat Baseline for Instruction Fine-Tuning},
  booktitle = {Forty-first International Conference on Machine Learning},
  year = {2024}
}""",
    "zhou2023lima": """@inproceedings{zhou2023lima,
  author = {Zhou, Chunting and Liu, Pengfei and Xu, Puxin and Iyer, Srini and Sun, Jiao and Mao, Yuning and Ma, Xuezhe
            and Efrat, Avia and Yu, Ping and Yu, Lili and Zhang, Susan and Ghosh, Gargi and Lewis, Mike
            and Zettlemoyer, Luke and Levy, Omer},
  title = {{LIMA}: Less Is More for Alignment},
  booktitle = {Thirty-seventh Conference on Neural Information Processing Systems},
  year = {2023}
}""",
    "li2024quantity": """@inproceedings{li2024quantity,
  author = {Li, Ming and Zhang, Yong and Li, Zhitao and Chen, Jiuhai and Chen, Lichang and Cheng, Ning
            and Wang, Jianzong and Zhou, Tianyi and Xiao, Jing},
  title = {From Quantity to Quality: Boosting {LLM} Performance with Self-Guided Data Selection for Instruction Tuning},
  booktitle = {Proceedings of the 2024 Conference of the North American Chapter of the Association for Computational
               Linguistics: Human Language Technologies (Volume 1: Long Papers)},
  pages = {7602--7635},
  year = {2024}
}""",
    "taori2023alpaca": """@misc{taori2023alpaca,
  author = {Taori, Rohan and Gulrajani, Ishaan and Zhang, Tianyi and Dubois, Yann and Li, Xuechen and Guestrin, Carlos
            and Liang, Percy and Hashimoto, Tatsunori B.},
  title = {Stanford Alpaca: An Instruction-following {LLaMA} model},
  year = {2023},
  howpublished = {\\url{https://github.com/tatsu-lab/stanford_alpaca}}
}""",
    "chiang2023vicuna": """@misc{chiang2023vicuna,
  author = {Chiang, Wei-Lin and Li, Zhuohan and Lin, Zi and Sheng, Ying and Wu, Zhanghao and Zhang, Hao
            and Zheng, Lianmin and Zhuang, Siyuan and Zhuang, Yonghao and Gonzalez, Joseph E. and Stoica, Ion
            and Xing, Eric P.},
  title = {Vicuna: An Open-Source Chatbot Impressing {GPT-4} with 90\\%* {ChatGPT} Quality},
  year = {2023}
}""",
    "geng2023koala": """@misc{geng2023koala,
  author = {Geng, Xinyang and Gudibande, Arnav and Liu, Hao and Wallace, Eric and Abbeel, Pieter and Levine, Sergey
            and Song, Dawn},
  title = {Koala: A Dialogue Model for Academic Research},
  year = {2023},
  howpublished = {Blog post}
}""",
    "xu2024wizardlm": """@inproceedings{xu2024wizardlm,
  author = {Xu, Can and Sun, Qingfeng and Zheng, Kai and Geng, Xiubo and Zhao, Pu and Feng, Jiazhan and Tao, Chongyang
            and Jiang, Daxin},
  title = {{WizardLM}: Empowering Large Pre-trained Language Models to Follow Complex Instructions},
  booktitle = {The Twelfth International Conference on Learning Representations},
  year = {2024}
}""",
    "wang2023selfinstruct": """@inproceedings{wang2023selfinstruct,
  author = {Wang, Yizhong and Kordi, Yeganeh and Mishra, Swaroop and Liu, Alisa and Smith, Noah A. and Khashabi, Daniel
            and Hajishirzi, Hannaneh},
  title = {Self-Instruct: Aligning Language Models with Self-Generated Instructions},
  booktitle = {Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics
               (Volume 1: Long Papers)},
  pages = {13484--13508},
  year = {2023}
}""",
    "liu2023coachlm": """@misc{liu2023coachlm,
  author = {Liu, Yilun and Tao, Shimin and Zhao, Xiaofeng and Zhu, Ming and Ma, Wenbing and Zhu, Junhao and Su, Chang
            and Hou, Yutai and Zhang, Miao and Zhang, Min and others},
  title = {Automatic Instruction Optimization for Open-source {LLM} Instruction Tuning},
  year = {2023},
  eprint = {2311.13246},
  archivePrefix = {arXiv}
}""",
    "wang2023pandalm": """@misc{wang2023pandalm,
  author = {Wang, Yidong and Yu, Zhuohao and Zeng, Zhengran and Yang, Linyi and Wang, Cunxiang and Chen, Hao
            and Jiang, Chaoya and Xie, Rui and Wang, Jindong and Xie, Xing and others},
  title = {{PandaLM}: An Automatic Evaluation Benchmark for {LLM} Instruction Tuning Optimization},
  year = {2023},
  eprint = {2306.05087},
  archivePrefix = {arXiv}
}""",
    "zheng2023judging": """@inproceedings{zheng2023judging,
  author = {Zheng, Lianmin and Chiang, Wei-Lin and Sheng, Ying and Zhuang, Siyuan and Wu, Zhanghao and Zhuang, Yonghao
            and Lin, Zi and Li, Zhuohan and Li, Dacheng and Xing, Eric and Zhang, Hao and Gonzalez, Joseph E.
            and Stoica, Ion},
  title = {Judging {LLM}-as-a-Judge with {MT-Bench} and Chatbot Arena},
  booktitle = {Thirty-seventh Conference on Neural Information Processing Systems Datasets and Benchmarks Track},
  year = {2023}
}""",
    "dubois2023alpacafarm": """@inproceedings{dubois2023alpacafarm,
  author = {Dubois, Yann and Li, Xuechen and Taori, Rohan and Zhang, Tianyi and Gulrajani, Ishaan and Ba, Jimmy
            and Guestrin, Carlos and Liang, Percy and Hashimoto, Tatsunori},
  title = {{AlpacaFarm}: A Simulation Framework for Methods that Learn from Human Feedback},
  booktitle = {Thirty-seventh Conference on Neural Information Processing Systems},
  year = {2023}
}""",
    "dubois2024length": """@misc{dubois2024length,
  author = {Dubois, Yann and Galambosi, Bal{\\'a}zs and Liang, Percy and Hashimoto, Tatsunori B.},
  title = {Length-Controlled {AlpacaEval}: A Simple Way to Debias Automatic Evaluators},
  year = {2024},
  eprint = {2404.04475},
  archivePrefix = {arXiv}
}""",
    "gao2023framework": """@misc{gao2023framework,
  author = {Gao, Leo and Tow, Jonathan and Abbasi, Baber and Biderman, Stella and Black, Sid and DiPofi, Anthony
            and Foster, Charles and Golding, Laurence and Hsu, Jeffrey and Le Noac'h, Alain and Li, Haonan
            and McDonell, Kyle and Muennighoff, Niklas and Ociepa, Chris and Phang, Jason and Reynolds, Laria
            and Schoelkopf, Hailey and Skowron, Aviya and Sutawika, Lintang and Tang, Eric and Thite, Anish
            and Wang, Ben and Wang, Kevin and Zou, Andy},
  title = {A Framework for Few-shot Language Model Evaluation},
  year = {2023}
}""",
    "holm1979simple": """@article{holm1979simple,
  author = {Holm, Sture},
  title = {A Simple Sequentially Rejective Multiple Test Procedure},
  journal = {Scandinavian Journal of Statistics},
  volume = {6},
  number = {2},
  pages = {65--70},
  year = {1979}
}""",
    "satterthwaite1946approximate": """@article{satterthwaite1946approximate,
  author = {Satterthwaite, Franklin E.},
  title = {An Approximate Distribution of Estimates of Variance Components},
  journal = {Biometrics Bulletin},
  volume = {2},
  number = {6},
  pages = {110--114},
  year = {1946}
}""",
    "benjamini1995controlling": """@article{benjamini1995controlling,
  author = {Benjamini, Yoav and Hochberg, Yosef},
  title = {Controlling the False Discovery Rate: A Practical and Powerful Approach to Multiple Testing},
  journal = {Journal of the Royal Statistical Society: Series B (Methodological)},
  volume = {57},
  number = {1},
  pages = {289--300},
  year = {1995}
}""",
    "schuirmann1987comparison": """@article{schuirmann1987comparison,
  author = {Schuirmann, Donald J.},
  title = {A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence of
           Average Bioavailability},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15},
  number = {6},
  pages = {657--680},
  year = {1987}
}""",
    "cochran1954combination": """@article{cochran1954combination,
  author = {Cochran, William G.},
  title = {The Combination of Estimates from Different Experiments},
  journal = {Biometrics},
  volume = {10},
  number = {1},
  pages = {101--129},
  year = {1954}
}""",
    "welch1951comparison": """@article{welch1951comparison,
  author = {Welch, B. L.},
  title = {On the Comparison of Several Mean Values: An Alternative Approach},
  journal = {Biometrika},
  volume = {38},
  number = {3/4},
  pages = {330--336},
  year = {1951}
}""",
    "higgins2002quantifying": """@article{higgins2002quantifying,
  author = {Higgins, Julian P. T. and Thompson, Simon G.},
  title = {Quantifying Heterogeneity in a Meta-Analysis},
  journal = {Statistics in Medicine},
  volume = {21},
  number = {11},
  pages = {1539--1558},
  year = {2002}
}""",
    "hartung2001tests": """@article{hartung2001tests,
  author = {Hartung, Joachim and Knapp, Guido},
  title = {On Tests of the Overall Treatment Effect in Meta-Analysis with Normally Distributed Responses},
  journal = {Statistics in Medicine},
  volume = {20},
  number = {12},
  pages = {1771--1782},
  year = {2001}
}""",
    "paule1982consensus": """@article{paule1982consensus,
  author = {Paule, Robert C. and Mandel, John},
  title = {Consensus Values and Weighting Factors},
  journal = {Journal of Research of the National Bureau of Standards},
  volume = {87},
  number = {5},
  pages = {377--385},
  year = {1982}
}""",
    "higgins2009reevaluation": """@article{higgins2009reevaluation,
  author = {Higgins, Julian P. T. and Thompson, Simon G. and Spiegelhalter, David J.},
  title = {A Re-evaluation of Random-Effects Meta-Analysis},
  journal = {Journal of the Royal Statistical Society: Series A (Statistics in Society)},
  volume = {172},
  number = {1},
  pages = {137--159},
  year = {2009}
}""",
    "kendall1938measure": """@article{kendall1938measure,
  author = {Kendall, M. G.},
  title = {A New Measure of Rank Correlation},
  journal = {Biometrika},
  volume = {30},
  number = {1/2},
  pages = {81--93},
  year = {1938}
}""",
    "heineman2025signal": """@misc{heineman2025signal,
  author = {Heineman, David and Hofmann, Valentin and Magnusson, Ian and Gu, Yuling and Smith, Noah A.
            and Hajishirzi, Hannaneh and Lo, Kyle and Dodge, Jesse},
  title = {Signal and Noise: A Framework for Reducing Uncertainty in Language Model Evaluation},
  year = {2025},
  eprint = {2508.13144},
  archivePrefix = {arXiv}
}""",
}
"""BibTeX entry by its key."""

TESTSETS = {
    "vicuna": "chiang2023vicuna",
    "koala": "geng2023koala",
    "wizardlm": "xu2024wizardlm",
    "self-instruct": "wang2023selfinstruct",
    "lima": "zhou2023lima",
    "coachlm": "liu2023coachlm",
    "pandalm": "wang2023pandalm",
    "mt-bench": "zheng2023judging",
    "alpaca-eval": "dubois2023alpacafarm",
}
"""Work behind each published test set."""

RECIPES = {
    "chasing-random": "diddee2024chasing",
    "moon": "moon2025rigor",
    "shen": "shen2024rethinking",
    "lima": "zhou2023lima",
    "car": "taori2023alpaca",
    "cherry": "li2024quantity",
}
"""Work behind the recipes whose names begin like this."""


def cited(*keys: str) -> str:
    """The entries of these keys, one after another: what a component has as its ``citation``."""
    return "\n\n".join(WORKS[key] for key in keys)
