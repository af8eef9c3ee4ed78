"""Digests of the rows that the benchmarks were made with, where they were at hand: those of the public copies.

They are what :func:`selkit.evals.data.rows_digest` gives for the columns that a benchmark reads. IFEval's is that of
the 540 rows of a copy which lacks one of the 541.
"""

from __future__ import annotations

from collections.abc import Mapping

DIGESTS = {
    "bbh/boolean_expressions.jsonl": "4be07357d6ec21a5c7f78ecd78442b67a17c44281106bc444e4b4c4f9cabef5e",
    "bbh/causal_judgement.jsonl": "50aa6f63dd8b95f2d2e982c4841adc9616768c123ae5d108da8fbbef378fcf19",
    "bbh/date_understanding.jsonl": "4fa4aad3b2818b5db9e5114adc73f90558940f5836eb88d601820f145570b8e7",
    "bbh/disambiguation_qa.jsonl": "6dd9af6e618d3a126107dd0e1032c604b3f46d0d4c5ee85961c9320e80cd33e2",
    "bbh/dyck_languages.jsonl": "b67ba86d7884bb70657ae7d226757e8ccea7a32f8b15bb32d9404103bd8f6cb3",
    "bbh/formal_fallacies.jsonl": "897e30a1124e59ec3edd5b58f0ea2c4fa3c62f7e17cae127847922865792c0ad",
    "bbh/geometric_shapes.jsonl": "a353ebb74a936306a3a2d547a0cd707d28d569bedb1f3260f0cf779d998e1e63",
    "bbh/hyperbaton.jsonl": "4db8054d966d1d265b3ad4e872905f92ee2bda5c1e819abf80811e198e0088e2",
    "bbh/logical_deduction_five_objects.jsonl": "5edc3822aed52adb770fb5e6107a6672d83d0e915716a60048dddeff2946c794",
    "bbh/logical_deduction_seven_objects.jsonl": "37a7364f287dd8e3d797dbe67b103ff9c4482c00fdbe97d18a287492fd92fbe3",
    "bbh/logical_deduction_three_objects.jsonl": "c71fa9287e54816e3707e84b48e056a76f3ee1fee84e56f7d9d27bc01bf8903a",
    "bbh/movie_recommendation.jsonl": "0c59b6e4bebd00ec0b37b127564880bf4b5072b0f34086cd66f8259540adbe10",
    "bbh/multistep_arithmetic_two.jsonl": "7b8bcc1ef1e7cea5b482cbef75209ef4cd7c63ce7cc31209b9cf0acfa26ef928",
    "bbh/navigate.jsonl": "9a5093f308306a90f683d87733fa70c2da897322753ce4e1214f6bc4252b625d",
    "bbh/object_counting.jsonl": "79552ce9af3ca1376aee77db84546b5715b313b513fcd145d464e30f0fa16d45",
    "bbh/penguins_in_a_table.jsonl": "4ccbb12e3def9f1e57271b62845904c6faaf1ae6267dfb21dbac56a45ed83545",
    "bbh/reasoning_about_colored_objects.jsonl": "fabb5f61a68f5237ed60363bab051963adb40136b25cdc2956b0648b762bab60",
    "bbh/ruin_names.jsonl": "b23ff2bf9bc72d255dc43492180f3b4eba2afda7a17d9e7a9ea8b7cade6321b7",
    "bbh/salient_translation_error_detection.jsonl": "f22f7000fe7a28299434e87630447fdd2d93c488d257ec5bd8134437ba0154a3",
    "bbh/snarks.jsonl": "d6cd3a02aae83fa72bff3608bbb7a211ab5b11b42c96281dac4152e179aaeda6",
    "bbh/sports_understanding.jsonl": "11bd5f4e9ffa099b820ea334b5cbc12a157ad3b9c54a0bf7d9b3e5080ddbd041",
    "bbh/temporal_sequences.jsonl": "49408ce8f6a6baf0c6d648976a957d1380298a54267fb00b805177df7e4786e2",
    "bbh/tracking_shuffled_objects_five_objects.jsonl": "3709c031f637245bf62719ce5549701ac52883592fa39fef095c9bf1f7b31ed1",  # noqa: E501
    "bbh/tracking_shuffled_objects_seven_objects.jsonl": "d147fbd48c29c0f69bb1c7dee236687511fc3a71d440ffeb456741f234d8bfcc",  # noqa: E501
    "bbh/tracking_shuffled_objects_three_objects.jsonl": "033b25cd1b1097bf4819a221e3f33ebb9d256a805c38fe16cb42e8bb72a11186",  # noqa: E501
    "bbh/web_of_lies.jsonl": "edf9fa03da42ac0d9b866b5e0d9b314babd5c3dd29659a51d30a2e2c2e3002d1",
    "bbh/word_sorting.jsonl": "131dc24d671002c32536b41410dc18e33d4d372239044aac6e6b9c82ede6fd18",
    "gsm8k/test.jsonl": "104eff4917181b311bd42be8e678f5627f629982c656fc7aca57a02dc36eb391",
    "ifeval/prompts.jsonl": "32d4deddebaf9d584f8a6ebb3c09fb148d7d9a6d08b996c9229e1f38314e7523",
    "llmbar/gptinst.jsonl": "3ed94c8017f7488ff4fc1a99772b5fe0365b8d074038653443a0c0eea3478e29",
    "llmbar/gptout.jsonl": "d690d803edda082bb01fbb95f2b0fc4a5289fd4c05a589c1a5d6f3450277164c",
    "llmbar/manual.jsonl": "cc3ccba70b5192cf4113e1752b93640c7a3e6dd139f1d8110eca654e8674562d",
    "llmbar/natural.jsonl": "794ff0ebcc36138fcf192424a378921933a66cf62b7f0e36f308f18d259d8b5d",
    "llmbar/neighbor.jsonl": "1a8aac0bb35e4ad0da81983de4298ea3481a182cef19bcc881d32381ca249d67",
}
"""By the path of the rows in a folder of data."""


def declared(splits: Mapping[str, str]) -> dict[str, str]:
    """The digests of a benchmark's splits, where they are known."""
    return {split: DIGESTS[path] for split, path in splits.items() if path in DIGESTS}
