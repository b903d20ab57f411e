"""What the classic builder is going to do with a Recipe, and what it counts into each cache key.

Source: moby/moby v20.10.24 and v26.1.5. `builder/dockerfile/dispatchers.go` says what text each
instruction is compared by, `internals.go` and `imageprobe.go` how it is looked up;
`classic_files.py` has how files count. A step is found among the children of the
image below it, so all that was set above it counts through that image.
"""

import posixpath
import re

from labkit import expand
from labkit.classic_files import taken
from labkit.expand import Unclear
from labkit.files import mark
from labkit.operations import (
    PROXIES,
    SHELL,
    UNKNOWN,
    Input,
    Operation,
    Scene,
    arg_pairs,
    base_of,
    flag,
    outer_args,
    pairs,
    scene_on,
    trigger,
    unread,
)
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe

_UNKNOWN_FLAGS = ("link", "parents", "exclude", "checksum", "keep-git-dir", "chmod", "mount")
_UNKNOWN_FLAGS += ("network", "security")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)")
_UNITS = {"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}


def operations(recipe: Recipe) -> tuple[Operation, ...]:
    """All that the classic builder would do: every stage in turn, up to the one asked for.

    Source: dispatchDockerfileWithCancellation of builder.go.
    """
    return _Reading(recipe).operations()


class _Reading:
    def __init__(self, recipe: Recipe):
        self.recipe, self.dockerfile = recipe, recipe.dockerfile
        self.escape = recipe.dockerfile.escape
        self.done: list[Operation] = []
        self.scenes: dict[int, Scene] = {}
        self.outer = outer_args(recipe, "")
        self.hidden = False

    def operations(self):
        for number in range(self.dockerfile.final_stage(self.recipe.target) + 1):
            start, *rest = self.dockerfile.stage(number)
            self.scenes[number] = self._begin(number, start)
            for instruction in rest:
                self._take(instruction, self.scenes[number])
        return tuple(self.done)

    def _take(self, instruction, scene):
        try:
            if scene.doubt:
                raise Unclear(scene.doubt)
            if any(flag(instruction, name) for name in _UNKNOWN_FLAGS):
                raise Unclear(instruction.flags[0])
            facts, inputs = getattr(self, "on_" + instruction.keyword.lower())(instruction, scene)
            gone = next((i for i in inputs if isinstance(i, Reason)), None)
            kind = {Rule.MISSING: "missing"}.get(gone.rule, "unclear") if gone else ""
            self._add(
                instruction, scene, facts, () if gone else inputs, **({kind: gone} if gone else {})
            )
        except Unclear as error:
            self._add(instruction, scene, {"raw": instruction.raw}, unclear=unread(str(error)))

    def _add(self, instruction, scene, facts, inputs=(), **more):
        operation = Operation(
            instruction,
            {"keyword": instruction.keyword} | facts,
            scene.head,
            tuple(inputs),
            variables=dict(self._values(scene)),
            origins=dict(scene.origins),
            hidden=self.hidden,
            skips_cache=self.recipe.no_cache,
            **more,
        )
        self.done.append(operation)
        scene.head = len(self.done) - 1

    def _values(self, scene):
        """What a word sees: ENV goes before an ARG of the same name (Env beats ARG)."""
        return self._proxies() | scene.args | scene.env

    def _proxies(self):
        """The build arguments that need no ARG; 20.10 does not know ALL_PROXY (buildargs.go)."""
        older = {"ALL_PROXY", "all_proxy"} if self.recipe.engine < (26, 1) else set()
        return {k: v for k, v in self.recipe.build_args.items() if k in PROXIES - older}

    def _word(self, text, scene):
        return expand.word(text, self._values(scene), self.escape)

    def _words(self, words, scene):
        return tuple(self._word(word, scene) for word in words)

    def _begin(self, number, start) -> Scene:
        """FROM: an image counts by its id (initializeStage)."""
        parent = self.dockerfile.base_stage(number, self.recipe.build_args)
        name = self.dockerfile.base(number, self.recipe.build_args)
        scene, facts, unclear = Scene(), {}, None
        if parent is not None:
            scene, facts = self.scenes[parent].copy(), {"stage": parent}
            scene.origins = {n: o for n, o in scene.origins.items() if o != "ARG"}
        elif name != "scratch":
            base = base_of(self.recipe, name)
            unclear = None if base else unread(name)
            facts = {"base": base.image_id if base else name}
            scene = _scene(base) if base else scene
        self.done.append(Operation(start, facts, scene.head, unclear=unclear))
        scene.head = len(self.done) - 1
        triggers, scene.triggers = scene.triggers, ()
        self.hidden = True
        for text in triggers:
            self._trigger(text, start, scene)
        self.hidden = False
        return scene

    def _trigger(self, text, start, scene):
        try:
            self._take(trigger(text, start), scene)
        except Unclear as error:
            self._add(start, scene, {"raw": text}, unclear=unread(str(error)))

    def on_env(self, instruction, scene):
        """ENV: names and values in the order of the line, variables put in (dispatchEnv)."""
        found = tuple((self._word(k, scene), self._word(v, scene)) for k, v in pairs(instruction))
        for name, value in found:
            scene.env[name], scene.origins[name] = value, "ENV"
        return {"pairs": found}, ()

    def on_label(self, instruction, scene):
        """LABEL: like ENV (dispatchLabel)."""
        found = tuple((self._word(k, scene), self._word(v, scene)) for k, v in pairs(instruction))
        return {"pairs": found}, ()

    def on_arg(self, instruction, scene):
        """ARG: its default counts, not the value that is given (dispatchArg)."""
        told = []
        written = [(n, v if v is None else self._word(v, scene)) for n, v in arg_pairs(instruction)]
        for name, value in written:
            told.append(name if value is None else f"{name}={value}")
            given = self.recipe.build_args.get(name, value)
            given = self.outer.get(name) if given is None else given
            if given == UNKNOWN:
                raise Unclear(instruction.raw)
            scene.args.pop(name, None)
            if given is not None:
                scene.args[name] = given
                scene.origins.setdefault(name, "ARG")
        return {"text": " ".join(told)}, ()

    def on_run(self, instruction, scene):
        """RUN: the command, and each ARG above it that has a value, used or not.

        Source: dispatchRun, prependEnvOnCmd, FilterAllowed of buildargs.go.
        """
        if instruction.heredocs:
            raise Unclear("<<")
        found = {k: v for k, v in scene.args.items() if k not in scene.env}
        given = self._proxies().keys() - scene.env.keys()
        undeclared = ("|0",) if given and not found else ()
        args = tuple(sorted(f"{k}={v}" for k, v in found.items())) or undeclared
        return {"command": self._command(instruction, scene), "args": args}, ()

    def _command(self, instruction, scene):
        if instruction.json:
            return instruction.arguments
        return (*(scene.shell or SHELL), *instruction.arguments[:1])

    def on_cmd(self, instruction, scene):
        return {"command": self._command(instruction, scene)}, ()

    def on_entrypoint(self, instruction, scene):
        """ENTRYPOINT; an empty one over another is never found again (daemon/commit.go, merge)."""
        command = self._command(instruction, scene)
        if (scene.config.get("entrypoint") and not any(command)) or tuple(command) == ("",):
            scene.doubt = instruction.text if tuple(command) == ("",) else scene.doubt
            raise Unclear(instruction.text)
        scene.config["entrypoint"] = any(command)
        return {"command": command}, ()

    def on_shell(self, instruction, scene):
        scene.shell = instruction.arguments
        return {"command": instruction.arguments}, ()

    def on_user(self, instruction, scene):
        before, scene.user = scene.user, self._word(instruction.arguments[0], scene)
        if before and not scene.user:  # As with ENTRYPOINT.
            raise Unclear(instruction.text)
        return {"text": scene.user}, ()

    def on_workdir(self, instruction, scene):
        """WORKDIR: a relative path is put after the one above (dispatchWorkdir)."""
        path = self._word(instruction.arguments[0], scene)
        joined = posixpath.join(scene.folder, path)
        cleaned = posixpath.normpath("/" + joined.lstrip("/"))
        plain = not path.startswith("/") or self.recipe.engine >= (26, 1)
        scene.folder = cleaned if plain else path
        return {"text": scene.folder}, ()

    def on_expose(self, instruction, scene):
        """EXPOSE: the ports sorted as they are written (parseExpose)."""
        return {"text": " ".join(self._words(sorted(instruction.arguments), scene)).split()}, ()

    def on_volume(self, instruction, scene):
        return {"text": self._words(instruction.arguments, scene)}, ()

    def on_stopsignal(self, instruction, scene):
        return {"text": self._word(instruction.arguments[0], scene)}, ()

    def on_maintainer(self, instruction, _scene):
        return {"text": instruction.arguments[0]}, ()

    def on_onbuild(self, instruction, scene):
        text = instruction.raw.split(None, 1)[1]
        scene.triggers += (text,)
        return {"text": text}, ()

    def on_healthcheck(self, instruction, scene):
        """HEALTHCHECK: its values. One over another is stored changed from 26.1 on: never found."""
        kind = instruction.arguments[0].upper()
        if scene.config.get("health") and self.recipe.engine >= (24, 0):
            raise Unclear(instruction.text)
        scene.config["health"] = True
        told = {k: v for k, _s, v in (f[2:].partition("=") for f in instruction.flags)}
        told = {k: _value(k, v) for k, v in told.items()} if kind != "NONE" else {}
        told = {k: v for k, v in told.items() if v}
        return {
            "text": (instruction.json, kind, instruction.arguments[1:], tuple(sorted(told.items())))
        }, ()

    def on_copy(self, instruction, scene):
        """COPY and ADD: owner and destination as written, and the files (performCopy)."""
        if instruction.heredocs:
            raise Unclear("<<")
        *sources, to = self._words(instruction.arguments, scene)
        facts = {
            "owner": self._word(flag(instruction, "chown") or "", scene),
            "destination": to,
        }
        origin = flag(instruction, "from")
        if origin:
            return facts, [self._elsewhere(origin, sources)]
        remote = [s for s in sources if s.startswith(("http://", "https://"))]
        if remote and instruction.keyword == "ADD":
            return facts, [Reason(Rule.REMOTE, (remote[0],))]
        files = self.recipe.files
        return facts, [files.once(("classic", *sources), lambda: taken(files, sources))]

    on_add = on_copy

    def _elsewhere(self, origin, sources):
        path = "\0".join(sources)
        number = self.dockerfile.named(origin)
        if number in self.scenes:
            return Input(operation=self.scenes[number].head, path=path)
        base = base_of(self.recipe, origin)
        return Input(key=mark((base.image_id, path)), path=path) if base else unread(origin)


def _scene(base) -> Scene:
    set_already = {"health": "Healthcheck", "entrypoint": "Entrypoint"}
    return scene_on(
        base,
        env=dict(base.env),
        config={name: bool(base.config.get(key)) for name, key in set_already.items()},
        doubt=_doubt(base),
    )


def _doubt(base):
    """What of a base keeps its steps from being found again (daemon/commit.go, merge)."""
    if base.config.get("Entrypoint") == [""]:
        return "ENTRYPOINT"
    return "WORKDIR" if base.folder and posixpath.normpath(base.folder) != base.folder else ""


def _value(name, text):
    return int(text) if name == "retries" and text.isdigit() else _nanoseconds(text)


def _nanoseconds(text):
    parts = _DURATION.findall(text)
    if "".join(n + u for n, u in parts) != text or not parts:
        return text
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
