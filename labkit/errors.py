"""What can go wrong, each error in three parts: what failed, what was tried, what to do next.

LabkitError
|-- EngineError          no engine can be used
|   |-- NoEngine             nothing answers and none can be started
|   |-- EngineClosed         a socket is there, but closed to this user
|   `-- EngineStopped        an engine is installed, but does not run
|-- InputError           what the learner gave cannot be used
|   |-- DockerfileError      the Dockerfile cannot be read
|   |-- FolderError          the folder to build from is missing or has no Dockerfile
|   `-- TagError             a tag or name that the engine refuses
|-- BuildError           the builder itself broke (a failed step is a Build, not an error)
|-- BaseError            the base image cannot be had
|-- ContainerError       a container did not start or did not answer
|-- ExperimentError      an experiment broke off; it has what was measured before
`-- Interrupted          the learner stopped it
"""

from labkit.words import _


class LabkitError(Exception):
    """A foreseeable fault; shown without a traceback in a notebook.

    `what` failed, what was `tried`, what to do `next_step`: texts in the learner's language.
    `command` and `stderr` keep what a subprocess was asked and said.
    """

    def __init__(self, what, tried="", next_step="", *, command="", stderr=""):
        super().__init__(what)
        self.what, self.tried, self.next_step = what, tried, next_step
        self.command, self.stderr = command, stderr

    def parts(self) -> list[tuple[str, str]]:
        """The parts that are not empty, as (label, text)."""
        rows = [
            (_("Failed"), self.what),
            (_("Tried"), self.tried),
            (_("Next"), self.next_step),
        ]
        return [(label, text) for label, text in rows if text]

    def __str__(self):
        return "\n".join(f"{label}: {text}" for label, text in self.parts())

    def _render_traceback_(self):
        """IPython asks an exception for these lines instead of a traceback."""
        return str(self).splitlines()


class EngineError(LabkitError):
    """No engine can be used."""


class NoEngine(EngineError):
    """Nothing answers and none can be started."""


class EngineClosed(EngineError):
    """A socket is there, but closed to this user."""


class EngineStopped(EngineError):
    """An engine is installed, but does not run."""


class InputError(LabkitError):
    """What the learner gave cannot be used."""


class DockerfileError(InputError):
    """The Dockerfile cannot be read."""


class FolderError(InputError):
    """The folder to build from is missing or has no Dockerfile."""


class TagError(InputError):
    """A tag or name that the engine refuses."""


class BuildError(LabkitError):
    """The builder itself broke; a step that fails is a Build with a FAILED step instead."""


class BaseError(LabkitError):
    """The base image cannot be had."""


class ContainerError(LabkitError):
    """A container did not start or did not answer."""


class ExperimentError(LabkitError):
    """An experiment broke off at an edit; `measured` is the Experiment of the builds before it."""

    def __init__(self, title, error, measured):
        kept = _("Builds measured before it: {count}; they are kept in lab.measured.")
        super().__init__(
            _("The experiment broke off at “{title}”: {what}").format(title=title, what=error.what),
            "\n".join(filter(None, [error.tried, kept.format(count=len(measured))])),
            error.next_step,
            command=error.command,
            stderr=error.stderr,
        )
        self.measured = measured


class Interrupted(LabkitError):
    """The learner stopped it."""
