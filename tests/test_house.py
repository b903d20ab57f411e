"""The shape of the house: which room may import which, and what importing labkit costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import labkit

LABKIT = Path(labkit.__file__).parent
PURE = {"errors", "words"}
MODEL = PURE | {
    "units",
    "dockerfile",
    "reasons",
    "recording",
    "progress",
    "buildkit_events",
    "classic_events",
    "layers",
    "problems",
    "views",
    "builds",
    "history",
}
RULES = {"dockerfile", "expand", "files", "operations", "progress", "reasons", "recipes"}
ALLOWED = {
    "words": set(),
    "errors": {"words"},
    "units": {"words"},
    "dockerfile": PURE | {"expand"},
    "recording": PURE,
    "views": {"words"},
    "progress": {"dockerfile"},
    "buildkit_events": {"progress"},
    "classic_events": {"progress"},
    "layers": {"dockerfile"},
    "problems": PURE | {"progress"},
    "whys": PURE | {"progress", "reasons", "views"},
    "builds": (MODEL - {"builds", "history"}) | {"whys"},
    "expand": set(),
    "files": set(),
    "recipes": {"dockerfile", "files"},
    "reasons": {"dockerfile", "words"},
    "sources": {"reasons"},
    "operations": {"dockerfile", "errors", "expand", "files", "reasons", "recipes"},
    "differences": RULES,
    "outcomes": RULES | {"differences"},
    "buildkit_files": RULES,
    "classic_files": RULES,
    "buildkit_rules": RULES | {"buildkit_files"},
    "classic_rules": RULES | {"classic_files"},
    "buildkit_memory": RULES | {"buildkit_rules", "outcomes"},
    "classic_memory": RULES | {"classic_rules", "outcomes"},
    "unheeded": RULES,
    "cache": RULES | {"buildkit_memory", "classic_memory", "unheeded", "views", "words"},
    "edits": PURE | {"dockerfile"},
    "besides": PURE | {"cache", "progress", "views"},
    "experiments": MODEL | {"besides"} | {"cache", "edits", "outcomes"},
    "guesses": PURE | {"cache", "dockerfile", "besides", "live", "progress", "views"},
    "ignore": set(),
    "snapshot": {"context", "files", "ignore"},
    "cold": PURE | {"base", "engine"},
    "trials": MODEL
    | RULES
    | {"cache", "cold", "edits", "engine", "experiments", "request", "snapshot"},
    "history": {"layers", "units", "views", "words"},
    "xray": PURE,
    "terminal": PURE,
    "packages": PURE | {"terminal"},
    "cgroups": set(),
    "private": PURE | {"cgroups", "packages", "terminal"},
    "host": set(),
    "engine": PURE | {"packages", "private"},
    "base": PURE | {"context", "engine", "host", "packages", "request"},
    "buildkit_stream": set(),
    "context": {"ignore"},
    "recorder": {"progress"},
    "request": PURE | {"dockerfile"},
    "builders": PURE
    | {"engine", "context", "layers", "buildkit_stream", "classic_events", "recording"}
    | {"recorder", "request"},
    "cleaning": PURE | {"builders", "containers", "engine", "private", "request", "views"},
    "containers": PURE | {"engine", "views"},
    "live": {"progress", "units", "views", "words"},
    "chart_blocks": PURE | {"dockerfile", "views"},
    "chart_words": (MODEL | {"chart_blocks"}) - {"progress"},
    "chart_figure": MODEL | {"chart_blocks"},
    "chart_parts": {"chart_figure", "views"},
    "chart_grid": MODEL | {"besides", "experiments"},
    "chart_lanes": MODEL | {"cache", "experiments"},
    "chart_costs": MODEL | {"chart_grid", "experiments"},
    "chart_matrix": MODEL | {"chart_figure", "chart_grid", "chart_parts", "experiments"},
    "chart_times": MODEL | {"chart_figure", "chart_lanes", "chart_parts"},
    "chart_slopes": MODEL | {"chart_costs", "chart_figure", "chart_parts"},
    "charts": MODEL
    | {"chart_blocks", "chart_figure", "chart_words"}
    | {"chart_matrix", "chart_slopes", "chart_times"},
    "lab": MODEL
    | {"base", "builders", "cleaning", "containers", "engine", "live", "request", "xray"}
    | {"cache", "edits", "experiments", "guesses", "snapshot", "trials"},
    "doctor": PURE | {"base", "engine", "request", "units", "views"},
    "__main__": PURE | {"base", "doctor", "engine", "private"},
    "__init__": set(),
}
OUTSIDE = {
    "docker": {"engine", "base", "builders", "cold", "containers", "context"},
    "requests": {"engine"},
    "urllib3": {"engine"},
    "matplotlib": {"charts", "chart_figure", "chart_matrix", "chart_parts", "chart_times"},
    "PIL": {"charts"},
    "ipywidgets": {"guesses", "live"},
    "IPython": {"live"},
    "dockerfile": {"dockerfile"},
}


def imports(file):
    """(labkit rooms, packages of others) that a file imports, anywhere in it."""
    rooms, others = set(), set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"labkit.{a.name}" for a in node.names] if module == "labkit" else [module]
        else:
            continue
        for name in names:
            head, _dot, rest = name.partition(".")
            (rooms.add(rest.split(".")[0]) if head == "labkit" else others.add(head))
    return rooms - {""}, {o for o in others if o not in sys.stdlib_module_names}


FILES = sorted(LABKIT.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_room_imports_what_it_may(file):
    rooms, others = imports(file)
    assert file.stem in ALLOWED, "a new room: give it a row in ALLOWED"
    assert rooms <= ALLOWED[file.stem]
    for name in others:
        assert file.stem in OUTSIDE.get(name, set()), f"{name} has no place in {file.name}"


def test_public_names_are_few_and_there():
    assert len(labkit.__all__) <= 15
    for name in labkit.__all__:
        assert getattr(labkit, name) is not None


def test_importing_labkit_loads_no_sdk_no_drawing_no_widgets():
    code = "import sys, labkit; print([m for m in ('docker', 'matplotlib', 'ipywidgets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_lab_needs_no_drawing_and_no_widgets():
    code = "import sys, labkit.lab; print([m for m in ('matplotlib', 'ipywidgets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
