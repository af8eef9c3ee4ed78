"""The JSON schema of experiment specs, by which editors complete keys and mark mistakes."""

from __future__ import annotations

import json
from typing import Any

from selkit.experiment.spec.spec import Spec

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_ENTRIES = {
    "pools": "PoolSpec",
    "models": "ModelSpec",
    "selectors": "SelectorSpec",
    "testsets": "TestsetSpec",
    "benchmarks": "BenchmarkSpec",
}
_NAMED = ("models", "testsets", "benchmarks")
"""Keys that may also hold a mapping from names to options."""


def spec_schema() -> Schema:
    """The schema of a spec file: that of :class:`Spec`, with the short forms that it takes, and ``include``.

    No key is required, because the files that are included may hold it.
    """
    schema = Spec.model_json_schema(by_alias=True)
    schema.pop("required", None)
    properties = schema["properties"]
    for name, entry in _ENTRIES.items():
        properties[name] = _one_or_several(_any_of(_TEXT, _ref(entry)), name in _NAMED)
    for name in ("recipes", "budgets"):
        properties[name] = _one_or_several(properties[name]["items"])
    side = _any_of(_TEXT, _ref("SideSpec"))
    pair = {"type": "array", "items": side, "minItems": 2, "maxItems": 2}
    properties["compare"] = {"type": "array", "items": _any_of(pair, _ref("CompareSpec"))}
    for name in ("arm", "control"):
        schema["$defs"]["CompareSpec"]["properties"][name] = side
    properties["search"] = _any_of(_TEXT, _ref("SearchSpec"))
    properties["include"] = _one_or_several(_TEXT)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A selkit experiment"}


def schema_text() -> str:
    """The schema as it stands in docs/reference/experiment.schema.json."""
    return json.dumps(spec_schema(), indent=2) + "\n"


def _one_or_several(entry: Schema, named: bool = False) -> Schema:
    mapping = [{"type": "object", "additionalProperties": {"type": ["object", "null"]}}] if named else []
    several: Schema = {"type": "array", "items": entry}
    return _any_of(*entry.get("anyOf", [entry]), several, *mapping)


def _any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
