"""The documentation says what the code does, and its links lead somewhere.

No command, parameter, hook, exit code, manifest field or environment variable is left out.
"""

from __future__ import annotations

import itertools
import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selkit import __main__ as entry
from selkit.__main__ import main
from selkit.api import errors
from selkit.plugins import find, installed, parameters_of, specs
from selkit.plugins.records import HOST
from selkit.select import fields as selection_fields
from selkit.store import Key, Store
from selkit.store import fields as stored_fields
from selkit.store.measure import Meter

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
AGAIN = "run `python docs/build_reference.py` and commit what it writes"


@pytest.fixture(scope="module")
def builder() -> dict[str, Any]:
    """The functions of docs/build_reference.py."""
    return runpy.run_path(str(DOCS / "build_reference.py"))


def test_every_command_is_documented(builder: dict[str, Any]) -> None:
    """The page of commands is the one that the commands give now."""
    page: Callable[[], str] = builder["commands_page"]
    assert (DOCS / "reference" / "commands.md").read_text("utf-8") == page(), AGAIN


@pytest.mark.parametrize("name", ["selectors.md", "hooks.md", "exit-codes.md", "formats.md"])
def test_what_is_written_from_the_code_is_what_the_code_gives(builder: dict[str, Any], name: str) -> None:
    """The tables of built-in components, hooks, exit codes and manifest fields; and none lacks a meaning."""
    text = (DOCS / "reference" / name).read_text("utf-8")
    what, _ = builder["PARTS"][name]
    assert text == builder["page_with_part"](name, text), AGAIN
    part = text.partition(f"<!-- {what}, written by docs/build_reference.py: begin -->")[2].partition(": end -->")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert len(rows) > 3
    assert [row for row in rows if row.rstrip("| ").count(" | ") < rows[0].count(" | ") - 1] == []


def test_every_built_in_component_is_documented(builder: dict[str, Any]) -> None:
    """Of every kind, with every parameter, as the classes that are installed with selkit have them."""
    text = (DOCS / "reference" / "selectors.md").read_text("utf-8")
    own = [(row.kind, row.name) for row in installed() if row.distribution == HOST]
    assert {kind for kind, _ in own} >= {"selector", "judge"}
    for kind, name in own:
        section = text.partition(f"## Built-in {kind}s")[2].partition(f"### `{name}`\n")[2].partition("\n##")[0]
        rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE)
        assert [row for row, _ in rows] == list(parameters_of(find(kind, name))), name
        assert all(meaning.strip() for _, meaning in rows), name


def test_every_exit_code_is_documented() -> None:
    """The page names every class of errors with its code, and what the entry point gives; and no other."""
    page = (DOCS / "reference" / "exit-codes.md").read_text("utf-8")
    told = set(re.findall(r"^\| (\d+) \| (?:`(\w+)`)? \|", page, re.MULTILINE))
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    given = {(str(cls.exit_code), cls.__name__) for cls in classes if issubclass(cls, errors.SelkitError)} - {
        ("70", "SelkitError")
    }
    ends = {entry.DONE, entry.INTERNAL, entry.INTERRUPTED, entry.TERMINATED, entry.BROKEN_PIPE}
    assert told == given | {(str(code), "") for code in ends}


def test_the_fields_of_a_manifest_are_those_that_are_documented(tmp_path: Path) -> None:
    """What a stored result and a selection's folder have, down to facts and measurements, and nothing else."""
    store = Store(tmp_path / "store")
    stored = store.obtain(Key("scores", component="longest"), lambda draft: None).manifest
    words = ["planted", "-s", "longest", "-p", "unit=words", "-b", "3", "-o", str(tmp_path / "out"), "-q"]
    assert main(["select", *words]) == 0
    selected = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert stored.keys() == stored_fields.FIELDS.keys()
    assert stored["measured"].keys() == stored_fields.MEASURED.keys()
    assert selected.keys() == selection_fields.FIELDS.keys()
    assert selected["facts"].keys() == {**selection_fields.FACTS, **selection_fields.SCORER_FACTS}.keys()
    assert selected["measured"].keys() <= stored_fields.MEASURED.keys()


def test_what_is_measured_on_gpus_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that has used one stands in for the real one."""
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: 1,
        max_memory_allocated=lambda number: 8,
        get_device_name=lambda number: "Made-up GPU",
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with Meter() as meter:
        pass
    plain = stored_fields.MEASURED.keys() - {"resumed", "spent", "manifest_sha256"}
    assert meter.measured().keys() == plain | stored_fields.MEASURED_ON_GPU.keys()


def test_the_front_page_names_every_page() -> None:
    """Whoever begins there finds all."""
    front = (DOCS / "index.md").read_text("utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in front] == []


def test_every_hook_is_documented() -> None:
    """The page of hooks has a row for every hook, and no other."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    hooks = [name for name in vars(specs) if name.startswith("selkit_")]
    assert hooks
    assert re.findall(r"^\| `(selkit_\w+)` \|", page, re.MULTILINE) == hooks


def test_every_environment_variable_is_documented() -> None:
    """The page of hooks names every variable that the source of selkit looks up, and none that it does not."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "selkit").rglob("*.py"))
    looked_up = set(re.findall(r"\"(SELKIT_[A-Z_]+)\"", source))
    assert looked_up == set(re.findall(r"^\| `(SELKIT_[A-Z_]+)` \|", page, re.MULTILINE))


def pages() -> list[Path]:
    """Every page of this repository that people read, those of its packages included."""
    folders = ("docs", "plugins", "judges", "tasks", "examples", "bench")
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in sorted((ROOT / folder).rglob("*.md")))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: letters, digits, _ and - of the text in small, a further like one numbered."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words))
        number = next(n for n in itertools.count() if (f"{anchor}-{n}" if n else anchor) not in found)
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """The links of a page to files and headings of this repository that are not there."""
    text = re.sub(r"^(?:    .*|```.*?^```)$", "", page.read_text("utf-8"), flags=re.MULTILINE)
    links = re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", re.sub(r"`[^`\n]*`", "", text))
    links += re.findall(r"^\[[^]]+\]:\s*(\S+)", text, re.MULTILINE)
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or not target.resolve().is_relative_to(ROOT):
            yield f"{page.relative_to(ROOT)}: there is no file {name}"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{page.relative_to(ROOT)}: {name} has no heading #{anchor}"


def test_links_lead_somewhere() -> None:
    """Every relative link, in README and CONTRIBUTING too, names a file, and its anchor a heading of that file."""
    names = {page.relative_to(ROOT).as_posix() for page in pages()}
    assert names > {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/index.md", "plugins/selkit-ifd/README.md"}
    assert [link for page in pages() for link in broken_links(page)] == []


def test_broken_links_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a file, of a heading, of one's own heading, and one that leads out of the repository; code is no link."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# The `kind` of it, twice\n\n# The kind of it, twice\n", "utf-8")
    lines = [
        "# Own",
        "[a](there.md) [b](there.md#the-kind-of-it-twice-1) [c](#own) [d](https://example.org/#x) `[e](no)`",
        "[f](gone.md) [g](there.md#gone) [h](#gone) [i](../out.md)",
        "    [j](code.md)",
        "[k]: gone-too.md",
    ]
    (tmp_path / "page.md").write_text("\n".join(lines), "utf-8")
    (tmp_path.parent / "out.md").write_text("", "utf-8")
    said = [line.partition(": ")[2] for line in broken_links(tmp_path / "page.md")]
    assert said == [
        "there is no file gone.md",
        "there.md has no heading #gone",
        " has no heading #gone",
        "there is no file ../out.md",
        "there is no file gone-too.md",
    ]


def test_every_scenario_of_judging_names_tests_that_name_it() -> None:
    """The table of faults has a row for each of the scenarios 26 to 40 and 53, and the tests say its number."""
    page = (DOCS / "explanation" / "judging.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| (`test_.*`) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(26, 41), 53]
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "judges").rglob("test_*.py")]
    code = "\n".join(file.read_text("utf-8") for file in files)
    for number, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            found = re.search(rf'def {name}\([^"]*?\) -> None:\n    """([^"]*)"""', code)
            assert found, name
            assert re.match(rf"Scenarios? [\d and]*\b{number}\b", found[1]), name


def test_the_page_of_endpoints_has_every_setting_and_examples_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table's defaults are those of the code, and its two files are read as they stand there."""
    from selkit.models.client.endpoints import Endpoint
    from selkit.models.client.prices import read_prices
    from selkit.models.client.settings import EndpointSettings, settings_of

    page = (DOCS / "how-to" / "endpoints.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", page, re.MULTILINE))
    assert table.keys() == EndpointSettings.model_fields.keys()
    for name, field in EndpointSettings.model_fields.items():
        if name != "key_variable":
            assert table[name] == (str(field.default).lower() if name == "fold_system" else f"{field.default:g}")
    files = [
        re.sub("^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    ]
    for variable, key in (("SELKIT_ENDPOINTS", "default:"), ("SELKIT_PRICES", "models:")):
        (text,) = [text for text in files if key in text]
        (tmp_path / variable).write_text(text, "utf-8")
        monkeypatch.setenv(variable, str(tmp_path / variable))
    here = Endpoint("http://localhost:8000/v1", "my-judge")
    assert (settings_of(here).concurrency, settings_of(here).key_variable) == (128, "MY_SERVER_KEY")
    assert settings_of(Endpoint("http://elsewhere/v1", "m")).concurrency == 16
    price = read_prices().of(here)
    assert price is not None
    assert price.input == 0.1
