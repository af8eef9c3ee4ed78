"""The graph of stages for people: stages of one kind and component as one node, and what each builds on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from selkit.experiment.setup.stages import KINDS, Kind, Stage, Survey

Group = tuple[Kind, str]
"""Kind of stage, and what computes: component, or model and recipe."""


def groups_of(found: Survey) -> dict[Group, list[Stage]]:
    """The stages by kind and what computes, kinds in their order, and what a judge is asked beside the cells last."""
    groups: dict[Group, list[Stage]] = defaultdict(list)
    for stage in found.stages.values():
        groups[group_of(stage)].append(stage)
    return dict(sorted(groups.items(), key=lambda one: (KINDS.index(one[0][0]), "what" in one[1][0].detail)))


def group_of(stage: Stage) -> Group:
    """The group of a stage."""
    name = stage.detail["name"] if stage.kind == "training" else stage.component
    what = ", ".join(part for part in (name, stage.model or stage.endpoint) if part)
    purpose = stage.detail.get("what", "")
    return stage.kind, f"{what}: {purpose}" if purpose else what


def needs_of(found: Survey, stages: Sequence[Stage]) -> list[Group]:
    """The groups that stages build on directly, in the order of the graph."""
    needed = dict.fromkeys(need for stage in stages for need in stage.needs)
    found_groups = dict.fromkeys(group_of(found.stages[one]) for one in needed)
    return sorted(found_groups, key=lambda group: KINDS.index(group[0]))


def mermaid(found: Survey) -> str:
    """The graph as Mermaid text: one node for each group, with how many of its stages are stored."""
    groups = groups_of(found)
    ids = {group: f"n{number}" for number, group in enumerate(groups)}
    nodes = [f'  {ids[group]}["{_label(group, stages)}"]' for group, stages in groups.items()]
    return "\n".join(["flowchart LR", *nodes, *_edges(found, groups, ids)])


def _edges(found: Survey, groups: Mapping[Group, Sequence[Stage]], ids: Mapping[Group, str]) -> list[str]:
    return [
        f"  {ids[need]} --> {ids[group]}"
        for group, stages in groups.items()
        for need in needs_of(found, stages)
        if need != group
    ]


def _label(group: Group, stages: Sequence[Stage]) -> str:
    kind, what = group
    stored = sum(stage.stored for stage in stages)
    # Mermaid's own way to write a quotation mark
    return f"{kind}<br/>{what}<br/>{stored} of {len(stages)} stored".replace('"', "#quot;")
