"""Why a build failed -> a three-part error that a learner can act on."""

import re

from labkit.errors import BuildError, LabkitError
from labkit.progress import State, Step
from labkit.words import _

_MISSING = re.compile(r"not found|no such file|no source files|does not exist", re.I)
# BuildKit names an internal reference before what matters: `...of ref 7002e78b...: "/x": not found`.
_REFERENCE = re.compile(r"^failed to calculate checksum of ref \S+: ")


def explain(steps: tuple[Step, ...], error: str) -> LabkitError:
    """The problem of a failed build, from the failed step and the builder's own words."""
    step = next((s for s in steps if s.state is State.FAILED), None)
    said = step.error if step and step.error else error
    log = step.log if step else ""
    if "no space left on device" in (said + log).lower():
        return _no_space(step, said)
    if step is None:
        return _other(said)
    if step.instruction.keyword == "FROM":
        return _no_base(step, said)
    if step.instruction.keyword in ("COPY", "ADD") and _MISSING.search(said):
        return _no_source(step, said)
    return _failed_run(step, said)


def _place(step):
    return _("Line {line}: {text}").format(line=step.instruction.line, text=step.instruction.text)


def _no_space(step, said):
    return BuildError(
        _("The disk of the engine is full."),
        f"{_place(step)}\n{said}" if step else said,
        _(
            "Free some room: `docker system df` shows what takes it. lab.clean() removes only "
            "what labkit made."
        ),
        stderr=said,
    )


def _no_base(step, said):
    return BuildError(
        _("The base image {image} cannot be had.").format(image=step.instruction.arguments[0]),
        said,
        _("Check its name. `python3 start.py doctor` says which base images are here."),
        stderr=said,
    )


def _no_source(step, said):
    sources = step.instruction.arguments[:-1]
    return BuildError(
        _("{keyword} did not find what it was to copy: {sources}.").format(
            keyword=step.instruction.keyword, sources=", ".join(sources)
        ),
        f"{_place(step)}\n{_REFERENCE.sub('', said)}",
        _(
            "Check the name. Only files in the folder that is built are seen, less those that "
            ".dockerignore names."
        ),
        stderr=said,
    )


def _failed_run(step, said):
    code = step.exit_code
    logged = code is not None and step.log.strip()
    what = (
        _("The command ended with exit code {code}.") if code is not None else _("The step failed.")
    )
    return BuildError(
        what.format(code=code),
        _place(step) if logged else f"{_place(step)}\n{said}",
        _(
            "Read its last lines of log above, mend the line, build again: the steps before it "
            "come from the cache."
        )
        if logged
        else _("Mend the line and build again: the steps before it come from the cache."),
        stderr=said,
    )


def _other(said):
    return BuildError(
        _("The builder stopped outside of any step."),
        said,
        _("Read what it says. `python3 start.py doctor` checks the engine."),
        stderr=said,
    )
