"""Hands pip's configuration over to uv, which tox-uv installs with and which reads none of pip's files.

tox loads this file by itself, because it stands beside tox.ini. Whoever has told pip where packages come from (an index
of their own, a folder of wheels with the CPU build of torch, a certificate) has told ``tox`` too. What is already set
for uv stays as it is.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

# Option of pip -> variable of uv, and what separates several values there.
HANDED_OVER = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
SECTIONS = ("global", "install", ":env:")
"""The sections that ``pip install`` reads, the strongest last."""


def pip_options(listing: str) -> dict[str, str]:
    """What ``pip install`` would use, from lines of ``pip config list`` like ``section.option='value'``."""
    strength, options = {}, {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in SECTIONS and SECTIONS.index(section) >= strength.get(option, 0):
            strength[option] = SECTIONS.index(section)
            options[option] = str(ast.literal_eval(value))
    return options


def uv_variables(options: dict[str, str]) -> dict[str, str]:
    """The same options as variables of uv."""
    variables = {
        variable: separator.join(options[option].split())
        for option, (variable, separator) in HANDED_OVER.items()
        if options.get(option, "").strip()
    }
    if "UV_INDEX" in variables:
        # pip takes the best version that any index has; uv by default the best of the first index that has the name.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _listing() -> str:
    """What pip says of its configuration; nothing where this Python has no pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


for _name, _value in uv_variables(pip_options(_listing())).items():
    os.environ.setdefault(_name, _value)
