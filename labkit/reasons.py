"""Why a step is cached or runs: a `Rule` with its facts, told in one sentence."""

import enum
from dataclasses import dataclass

from labkit.dockerfile import Instruction
from labkit.words import _


class Rule(enum.Enum):
    """What decided a step. The value is the name that stands in tables."""

    # cached
    SAME = "same"
    EARLIER = "seen earlier"
    TWIN = "equal step of another stage"
    PRESENT = "base is there"
    NEIGHBOUR = "metadata"
    # runs
    TEXT = "text changed"
    CONTENT = "file content"
    MODE = "file mode"
    ADDED = "file added"
    REMOVED = "file removed"
    RENAMED = "file renamed"
    ARG = "ARG changed"
    ENV = "ENV changed"
    SETTING = "setting above"
    BASE = "base changed"
    ABOVE = "a step above ran"
    ORDER = "another step below it"
    NEW = "never made"
    UNFINISHED = "not made last time"
    NO_CACHE = "no cache"
    # neither
    UNNEEDED = "stage not needed"
    STOPPED = "target reached"
    MISSING = "file missing"
    BROKEN = "after a failure"
    BYTES = "bytes of a RUN"
    REMOTE = "remote source"
    FOLDER = "folder mode"
    UNREAD = "not read"
    OUTSIDE = "outside"
    # what a real build showed
    REMEMBERED = "remembered from before"
    FORGOTTEN = "forgotten"
    BYTES_SAME = "bytes the same"
    BYTES_OTHER = "bytes changed"
    # changes that do not count
    COMMENT = "comment"
    MTIME = "mtime"
    IGNORED = "ignored file"
    UNUSED_ARG = "unused argument"
    UNCOPIED = "file not copied"


@dataclass(frozen=True, repr=False)
class Reason:
    """Why a step is cached or runs.

    `names` are the files or variables it is about; `cause` is the instruction that it goes back
    to; `build` is the number of the build, from 1, that made the step before.
    """

    rule: Rule
    names: tuple[str, ...] = ()
    cause: Instruction | None = None
    build: int | None = None

    @property
    def sentence(self) -> str:
        """The reason in one sentence, in the learner's language."""
        names = ", ".join(self.names)
        line = self.cause.line if self.cause else ""
        what = self.cause.keyword if self.cause else ""
        return _sentences()[self.rule].format(names=names, line=line, what=what, build=self.build)

    def __repr__(self):
        return self.sentence


def _sentences():
    return {
        Rule.SAME: _("Nothing that the builder counts has changed."),
        Rule.EARLIER: _("Build {build} made this very step, and the cache remembers it."),
        Rule.TWIN: _("An equal step of another stage gives its result."),
        Rule.PRESENT: _("The base image is there already."),
        Rule.NEIGHBOUR: _(
            "Metadata alone: BuildKit has no step for it; it goes with its neighbour."
        ),
        Rule.TEXT: _("The instruction has changed."),
        Rule.CONTENT: _("The content of {names} has changed."),
        Rule.MODE: _("The permissions of {names} have changed."),
        Rule.ADDED: _("{names} has been added to what it copies."),
        Rule.REMOVED: _("{names} is gone from what it copies."),
        Rule.RENAMED: _("{names} has another name: names count, too."),
        Rule.ARG: _("The build argument {names} has changed, and this step sees it."),
        Rule.ENV: _("The variable {names}, set above, has changed."),
        Rule.SETTING: _("{names}, set above, has changed."),
        Rule.BASE: _("The base image has changed."),
        Rule.ABOVE: _("The step of line {line} ({what}) runs again, and this one stands on it."),
        Rule.ORDER: _("It was made before, but on top of another step."),
        Rule.NEW: _("No build has made this step yet."),
        Rule.UNFINISHED: _("The build before did not finish this step."),
        Rule.NO_CACHE: _("The cache was switched off for this build."),
        Rule.UNNEEDED: _("No stage that is built needs this one."),
        Rule.STOPPED: _("The build ends with the stage that was asked for."),
        Rule.MISSING: _("There is no {names} in the build context: the step will fail."),
        Rule.BROKEN: _("The build breaks off at line {line}."),
        Rule.BYTES: _(
            "It takes files from what line {line} writes when it runs again: "
            "whether they are the same shows only then."
        ),
        Rule.REMOTE: _("It takes {names}, and what stands there shows only when it is fetched."),
        Rule.FOLDER: _(
            "The permissions of the folder {names} have changed: BuildKit notices it only where "
            "it has not kept the folder from a build before."
        ),
        Rule.UNREAD: _("labkit does not read {names} as every version of the builder does."),
        Rule.OUTSIDE: _("Builds outside this experiment may have left this step in the cache."),
        Rule.REMEMBERED: _("The cache remembers it from a build before those of this lab."),
        Rule.FORGOTTEN: _("The cache has forgotten it: it may have been cleaned since."),
        Rule.BYTES_SAME: _("What line {line} wrote is the same as before, so the cache has it."),
        Rule.BYTES_OTHER: _("What line {line} wrote is not the same as before."),
        Rule.COMMENT: _("Comments, blank lines and the case of an instruction do not count."),
        Rule.MTIME: _("Of {names} only the time has changed: times do not count."),
        Rule.IGNORED: _(".dockerignore leaves {names} out: it does not count."),
        Rule.UNUSED_ARG: _("No ARG takes {names}: it does not count."),
        Rule.UNCOPIED: _("No step takes {names}: it does not count."),
    }
