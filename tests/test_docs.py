"""The documentation says what the code does: no command, parameter, hook or environment variable is left out."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selkit import __main__ as entry
from selkit.__main__ import main
from selkit.api import errors
from selkit.plugins import find, parameters_of, specs
from selkit.store import Key, Store

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


def test_every_parameter_of_the_built_in_selectors_is_documented(builder: dict[str, Any]) -> None:
    """The tables of built-in selectors are the ones that the classes give now, and no parameter lacks its meaning."""
    text = (DOCS / "reference" / "selectors.md").read_text("utf-8")
    assert text == builder["selectors_page"](text), AGAIN
    assert "|  |" not in text


@pytest.mark.parametrize("name", ["ifd", "superfiltering", "perplexity"])
def test_every_parameter_of_selkit_ifd_is_documented(name: str) -> None:
    """The page of selectors has a row for each parameter of the package's components, with its default."""
    pytest.importorskip("selkit_ifd")
    section = (
        (DOCS / "reference" / "selectors.md").read_text("utf-8").partition(f"### `{name}`")[2].partition("\n##")[0]
    )
    for parameter in parameters_of(find("selector", name)).values():
        row = next((line for line in section.splitlines() if line.startswith(f"| `{parameter.name}` |")), "")
        default = "none" if parameter.default is None else f"`{parameter.default}`"
        assert f"| {default} |" in row, parameter.name
        assert all(f"`{choice}`" in row for choice in parameter.choices), parameter.name


def test_every_exit_code_is_documented() -> None:
    """The page names the code of every class of errors, and those that the entry point gives; and no other."""
    page = (DOCS / "reference" / "exit-codes.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE)
    told = {int(code) for row in rows for code in row.split(",")}
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    given = {cls.exit_code for cls in classes if issubclass(cls, errors.SelkitError)}
    ends = {entry.INTERNAL, entry.INTERRUPTED, entry.TERMINATED, entry.BROKEN_PIPE}
    assert told == {0, 2} | given | ends


def test_every_field_of_a_manifest_is_documented(tmp_path: Path) -> None:
    """The table has a row for each field that a stored result or a selection's folder has, and for no other."""
    page = (DOCS / "reference" / "formats.md").read_text("utf-8")
    section = page.partition("## manifest.json")[2].partition("\n## ")[0]
    rows = [
        cell for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for cell in re.findall(r"`(\w+)`", line)
    ]
    store = Store(tmp_path / "store")
    stored = store.obtain(Key("scores", component="longest"), lambda draft: None).manifest
    words = ["planted", "-s", "longest", "-p", "unit=words", "-b", "3", "-o", str(tmp_path / "out"), "-q"]
    assert main(["select", *words]) == 0
    selected = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert {*stored, *selected} == set(rows)


def test_the_front_page_names_every_page() -> None:
    """Whoever begins there finds all."""
    front = (DOCS / "index.md").read_text("utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in front] == []


def test_every_hook_is_documented() -> None:
    """The page of hooks names every hook."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    hooks = [name for name in vars(specs) if name.startswith("selkit_")]
    assert hooks
    assert [name for name in hooks if f"`{name}`" not in page] == []


def test_every_environment_variable_is_documented() -> None:
    """The page of hooks names every variable that the source of selkit looks up, and none that it does not."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "selkit").rglob("*.py"))
    looked_up = set(re.findall(r"\"(SELKIT_[A-Z_]+)\"", source))
    assert looked_up == set(re.findall(r"^\| `(SELKIT_[A-Z_]+)` \|", page, re.MULTILINE))


def test_links_within_the_documentation_lead_somewhere() -> None:
    """Every relative link of every page names a file that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in DOCS.rglob("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


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
