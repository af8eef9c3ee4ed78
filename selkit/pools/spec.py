"""What a pool is asked for by: a word on the command line or a mapping in a spec, made into one checked object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from selkit.api.data import Turns
from selkit.api.errors import DataError, UsageError
from selkit.pools.formats import checked_format, checked_mapping
from selkit.pools.named import PLANTED, POOLS, did_you_mean

PLANTED_KEYS = ("rows", "corrupted", "kinds", "seed")
KEYS = (
    *("path", "name", "hub", "mix", "format", "columns", "turns", "skip_bad_lines"),
    *("split", "config", "cap", "sample", "seed", "rows", "corrupted", "kinds"),
)
"""What a mapping can say of a pool."""

_STAND_IN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Cap:
    """At most ``n`` rows for each value of ``column``; of the whole pool where ``column`` is None."""

    n: int
    column: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class PoolSpec:
    """One pool, as asked for. Exactly one of ``path``, ``hub``, ``mix`` and a ``name`` that selkit knows says where.

    Args:
        path: A file or folder.
        name: What people call the pool; alone, the name of a known pool.
        hub: ``NAME[@REVISION]`` on the Hugging Face hub.
        mix: The pools that are put together.
        format: Name of the row format, where it is not to be detected.
        columns: Column mapping.
        turns: Which assistant turns training uses.
        skip_bad_lines: Whether lines that cannot be read are dropped.
        split: Split of a ``datasets`` data set.
        config: Configuration of a data set on the hub.
        caps: Limits on the number of rows, applied in this order.
        planted: Options of the planted pool.
    """

    path: Path | None = None
    name: str | None = None
    hub: str | None = None
    mix: tuple[PoolSpec, ...] = ()
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    turns: Turns = "last"
    skip_bad_lines: bool = False
    split: str | None = None
    config: str | None = None
    caps: tuple[Cap, ...] = ()
    planted: Mapping[str, Any] = field(default_factory=dict)


def parse_source(
    source: str | Path | Mapping[str, Any] | Sequence[Any] | PoolSpec,
    *,
    turns: Turns = "last",
    skip_bad_lines: bool = False,
) -> PoolSpec:
    """The pool that ``source`` asks for.

    Args:
        source: A path; the name of a pool; ``NAME=FILE``; ``hub:NAME[@REVISION]``; a mapping with :data:`KEYS`; or a
            list of these, which is a mix.
        turns: Which assistant turns training uses, where the mapping does not say.
        skip_bad_lines: The same for lines that cannot be read.

    Raises:
        UsageError: An unknown key, a value of the wrong type, or no or more than one place to read from.
        DataError: A word that is neither a file nor a known pool.
    """
    if isinstance(source, PoolSpec):
        return source
    base = PoolSpec(turns=_turns(turns), skip_bad_lines=_flag("skip_bad_lines", skip_bad_lines))
    if isinstance(source, Path):
        return replace(base, path=source)
    if isinstance(source, str):
        return _from_word(source, base)
    if isinstance(source, Mapping):
        return _from_mapping(source, base)
    if isinstance(source, Sequence) and source:
        return replace(base, name="mix", mix=_parts(source, base))
    raise UsageError(
        f"{source!r} is no pool: give a file, a folder, the name of a pool, or a mapping with path or name"
    )


def _from_word(word: str, base: PoolSpec) -> PoolSpec:
    if word.startswith("hub:"):
        return replace(base, hub=_text("hub", word[4:]))
    if word in POOLS or word == PLANTED:
        return replace(base, name=word)
    named = _STAND_IN.fullmatch(word)
    if named and not Path(word).exists():
        return replace(base, name=named[1], path=Path(named[2]).expanduser())
    if not word or not (Path(word).exists() or set(word) & set("/\\.")):
        raise DataError(f"there is neither a file nor a pool {word!r}{_near(word)}: {_known()}")
    return replace(base, path=Path(word).expanduser())


def _from_mapping(given: Mapping[str, Any], base: PoolSpec) -> PoolSpec:
    for key in given:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"a pool has no key {key!r}: it takes {', '.join(KEYS)}.{hint}")
    spec = replace(
        base,
        name=_optional_text(given, "name"),
        format=checked_format(_optional_text(given, "format")),
        columns=checked_mapping(_mapping(given, "columns")),
        turns=_turns(given.get("turns", base.turns)),
        skip_bad_lines=_flag("skip_bad_lines", given.get("skip_bad_lines", base.skip_bad_lines)),
        split=_optional_text(given, "split"),
        config=_optional_text(given, "config"),
        caps=_caps(given),
    )
    return _with_place(spec, given)


def _with_place(spec: PoolSpec, given: Mapping[str, Any]) -> PoolSpec:
    places = [key for key in ("path", "hub", "mix") if given.get(key) is not None]
    if len(places) > 1:
        raise UsageError(f"a pool comes from one place, and this one has {' and '.join(places)}: name one")
    if not places:
        return _known_pool(spec, given)
    _refuse_planted_keys(spec, given)
    if places == ["path"]:
        return replace(spec, path=Path(_text("path", given["path"])).expanduser())
    if places == ["hub"]:
        return replace(spec, hub=_text("hub", given["hub"]).removeprefix("hub:"))
    if not isinstance(given["mix"], Sequence) or isinstance(given["mix"], str) or not given["mix"]:
        raise UsageError("mix: give a list of pools")
    return replace(spec, name=spec.name or "mix", mix=_parts(given["mix"], spec))


def _known_pool(spec: PoolSpec, given: Mapping[str, Any]) -> PoolSpec:
    if spec.name == PLANTED:
        return replace(spec, planted={key: given[key] for key in PLANTED_KEYS if key in given})
    _refuse_planted_keys(spec, given)
    if spec.name is None:
        raise UsageError("a pool needs a path, a name, a hub id or a mix: say where its rows come from")
    if spec.name not in POOLS:
        raise DataError(f"there is no pool {spec.name!r}{_near(spec.name)}: {_known()}; or give its path too")
    return spec


def _refuse_planted_keys(spec: PoolSpec, given: Mapping[str, Any]) -> None:
    odd = [key for key in PLANTED_KEYS if key in given and not (key == "seed" and spec.caps)]
    if odd:
        raise UsageError(f"{', '.join(odd)}: only the pool {PLANTED!r} takes that; sample: N takes N rows of any pool")


def _parts(sources: Sequence[Any], base: PoolSpec) -> tuple[PoolSpec, ...]:
    return tuple(parse_source(one, turns=base.turns, skip_bad_lines=base.skip_bad_lines) for one in sources)


def _caps(given: Mapping[str, Any]) -> tuple[Cap, ...]:
    caps = []
    seed = given.get("seed", 0)
    if given.get("cap") is not None:
        cap = _mapping(given, "cap")
        if not {"column", "n"} <= set(cap) <= {"column", "n", "seed"}:
            raise UsageError("cap: give {column: NAME, n: NUMBER}, and a seed if you like")
        caps.append(Cap(_count("cap: n", cap["n"]), _text("cap: column", cap["column"]), _seed(cap.get("seed", seed))))
    if given.get("sample") is not None:
        caps.append(Cap(_count("sample", given["sample"]), None, _seed(seed)))
    return tuple(caps)


def _near(word: str) -> str:
    return did_you_mean(word, (*POOLS, PLANTED))


def _known() -> str:
    return f"the pools known by name are {', '.join((*POOLS, PLANTED))}"


def _turns(value: Any) -> Turns:
    if value == "last":
        return "last"
    if value == "all":
        return "all"
    raise UsageError(f"turns: {value!r} is neither 'last' nor 'all'")


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{key}: {value!r} is neither true nor false")
    return value


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{key}: {value!r} is no number of rows of at least 1")
    return value


def _seed(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"seed: {value!r} is no whole number of at least 0")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise UsageError(f"{key}: {value!r} is no text")
    return str(value)


def _optional_text(given: Mapping[str, Any], key: str) -> str | None:
    return None if given.get(key) is None else _text(key, given[key])


def _mapping(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = given.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UsageError(f"{key}: {value!r} is no mapping")
    return value or {}
