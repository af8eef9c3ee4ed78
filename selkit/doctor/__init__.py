"""Looks at the installation and the machine: what is here, what is missing, and what to do about it."""

from selkit.doctor.caches import cache_findings
from selkit.doctor.data import data_findings
from selkit.doctor.devices import device_findings
from selkit.doctor.examine import examine
from selkit.doctor.finding import Finding
from selkit.doctor.hub import hub_finding
from selkit.doctor.packages import package_findings
from selkit.doctor.places import place_findings
from selkit.doctor.plugins import plugin_findings
from selkit.doctor.store import store_findings

__all__ = [
    "Finding",
    "cache_findings",
    "data_findings",
    "device_findings",
    "examine",
    "hub_finding",
    "package_findings",
    "place_findings",
    "plugin_findings",
    "store_findings",
]
