"""labkit: learn how Docker images are made, on a real engine.

    lab = labkit.Lab()                          # finds the engine
    build = lab.build("webapp", tag="webapp")   # builds for real
    charts.layer_sizes(build)                   # draws what `docker history` says

Names are loaded when they are first used: importing labkit does no I/O, starts nothing and
loads neither the SDK nor matplotlib nor ipywidgets.
"""

import importlib

_HOME = {
    "Lab": "labkit.lab",
    "Build": "labkit.builds",
    "Step": "labkit.progress",
    "State": "labkit.progress",
    "Layer": "labkit.layers",
    "Dockerfile": "labkit.dockerfile",
    "Instruction": "labkit.dockerfile",
    "Recording": "labkit.recording",
    "read": "labkit.builds",
    "compare": "labkit.builds",
    "LabkitError": "labkit.errors",
}
_MODULES = ("cache", "charts", "edits")
__all__ = [*_HOME, *_MODULES]
__version__ = "0.1.0"


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"labkit.{name}")
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
