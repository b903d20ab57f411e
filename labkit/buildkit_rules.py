"""What BuildKit is going to do with a Recipe, and what it counts into each cache key.

Source: moby/buildkit v0.13.2, the one in Docker 26.1. `dockerfile2llb/convert.go` makes operations
of instructions; `solver/llbsolver/ops/exec.go` (RUN) and `file.go` (COPY, ADD, WORKDIR) say what
counts; `buildkit_files.py` has how files count. Each method names what it follows.
"""

import posixpath

from labkit import expand
from labkit.buildkit_files import chomped, heredoc, taken
from labkit.expand import Unclear
from labkit.files import clean, mark
from labkit.operations import (
    PATH,
    SHELL,
    UNKNOWN,
    Input,
    Operation,
    Scene,
    absolute,
    arg_pairs,
    base_of,
    flag,
    octal,
    outer_args,
    pairs,
    scene_on,
    trigger,
    unread,
)
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe

_REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")
_EXPERIMENTAL = ("parents", "exclude", "device")


def operations(recipe: Recipe) -> tuple[Operation, ...]:
    """All that BuildKit would do, stage by stage; stages that nothing needs are left out.

    Source: isReachable of dockerfile2llb/convert.go.
    """
    return _Reading(recipe).operations()


class _Reading:
    def __init__(self, recipe: Recipe):
        self.recipe, self.dockerfile = recipe, recipe.dockerfile
        self.escape = recipe.dockerfile.escape
        self.stages = recipe.dockerfile.stages
        self.ambiguous = len(set(self.stages)) < len(self.stages)
        self.done: list[Operation] = []
        self.scenes: dict[int, Scene] = {}
        self.platform = next((b.platform for b in recipe.bases.values()), "linux/amd64")
        self.outer = outer_args(recipe, self.platform)

    def operations(self):
        final = self.dockerfile.final_stage(self.recipe.target)
        for number in sorted(self.dockerfile.needed(final, self.recipe.build_args)):
            start, *rest = self.dockerfile.stage(number)
            self.scenes[number] = self._begin(number, start)
            for instruction in rest:
                self._take(instruction, self.scenes[number])
        return tuple(self.done)

    def _take(self, instruction, scene, hidden=False):
        act = getattr(self, "on_" + instruction.keyword.lower(), None)
        if act is None:
            return  # CMD, LABEL, EXPOSE, ...: written into the config, no operation.
        self.hidden = hidden
        try:
            if self.ambiguous:
                raise Unclear(", ".join(self.stages))  # Which stage a step is of is not told.
            act(instruction, scene)
        except Unclear as error:
            reason = unread(str(error))
            if instruction.changes_files:
                self._add(instruction, scene, {"raw": instruction.raw}, unclear=reason)
            else:
                scene.doubt = instruction.raw  # A variable has a value that is not known.

    def _add(self, instruction, scene, facts, inputs=(), **more):
        operation = Operation(
            instruction,
            facts,
            scene.head,
            tuple(inputs),
            variables=dict(scene.env),
            origins=dict(scene.origins),
            hidden=self.hidden,
            skips_cache=self.recipe.no_cache and instruction.keyword != "WORKDIR",
            **more,
        )
        self.done.append(operation)
        scene.head = len(self.done) - 1
        return scene.head

    def _word(self, text, scene):
        if scene.doubt and "$" in text:
            raise Unclear(scene.doubt)
        return expand.word(text, scene.env, self.escape)

    def _begin(self, number, start) -> Scene:
        """FROM: an image counts by the chain of its layers, not by its name.

        Source: ensureCacheKeys in source/containerimage/pull.go.
        """
        self.hidden = False
        parent = self.dockerfile.base_stage(number, self.recipe.build_args)
        name = self.dockerfile.base(number, self.recipe.build_args)
        facts, scene, unclear = {}, Scene(), None
        if parent is not None:
            scene = self.scenes[parent].copy()
            facts = {"stage": parent}
        elif name != "scratch":
            base = base_of(self.recipe, name)
            unclear = None if base else unread(name)
            facts = {"base": base.key if base else name}
            if base and self._platform(start) not in (None, base.platform):
                unclear = unread(start.text)
            scene = scene_on(base, kept_env=dict(base.env)) if base else scene
        scene.kept_env.setdefault("PATH", PATH)
        for key, value in scene.kept_env.items():  # They go before an ARG of the stage below.
            _put(scene, key, value, scene.origins.get(key, "ENV"))
        self.done.append(Operation(start, facts, scene.head, unclear=unclear))
        scene.head = len(self.done) - 1
        triggers, scene.triggers = scene.triggers, ()
        for text in triggers:  # dispatchOnBuildTriggers
            self._trigger(text, start, scene)
        return scene

    def _trigger(self, text, start, scene):
        try:
            self._take(trigger(text, start), scene, hidden=True)
        except Unclear as error:
            self.hidden = True
            self._add(start, scene, {"raw": text}, unclear=unread(str(error)))

    def _platform(self, start):
        written = flag(start, "platform")
        return expand.word(written, self.outer, self.escape) if written else None

    def on_env(self, instruction, scene):
        """ENV: the variables of a line see those above it; a new value moves to the end.

        Source: AddOrReplace in client/llb/meta.go; the order is in the key of each RUN.
        """
        found = [(self._word(k, scene), self._word(v, scene)) for k, v in pairs(instruction)]
        for name, value in found:
            scene.kept_env[name] = value
            _put(scene, name, value, "ENV")

    def on_arg(self, instruction, scene):
        """ARG: from here on a variable like another; one without a value is none.

        Source: dispatchArg. Predefined proxy variables count only where an ARG names them.
        """
        written = [(n, v if v is None else self._word(v, scene)) for n, v in arg_pairs(instruction)]
        for name, value in written:
            value = self.recipe.build_args.get(name, value)
            if value is None:
                value = self.outer.get(name)
            if value == UNKNOWN:
                raise Unclear(instruction.raw)
            if value is not None:
                _put(scene, name, value, "ARG")

    def on_user(self, instruction, scene):
        scene.user = self._word(instruction.arguments[0], scene)

    def on_shell(self, instruction, scene):
        scene.shell = instruction.arguments

    def on_onbuild(self, instruction, scene):
        scene.triggers += (instruction.raw.split(None, 1)[1],)

    def on_workdir(self, instruction, scene):
        """WORKDIR: makes the folder, for the USER in force. The way to / makes nothing.

        A whole path is kept as it is written for the RUNs below: /app and /app/ differ there.
        Source: dispatchWorkdir; NormalizeWorkdir of util/system/path.go.
        """
        path = self._word(instruction.arguments[0], scene)
        folder = absolute(scene.folder, path)
        scene.folder = path if path.startswith("/") else folder
        if scene.folder != "/":
            self._add(instruction, scene, {"folder": folder, "owner": scene.user})

    def on_run(self, instruction, scene):
        """RUN: command, all variables in their order, folder, user, network, mounts.

        Source: CacheMap of ops/exec.go, dispatchRun.
        """
        if scene.doubt:
            raise Unclear(scene.doubt)
        facts = {
            "command": self._command(instruction, scene),
            "env": tuple(scene.env.items()),
            "folder": scene.folder,
            "user": scene.user,
            "network": flag(instruction, "network") or "default",
            "security": flag(instruction, "security") or "sandbox",
        }
        mounts = [self._mount(m[8:], scene) for m in instruction.flags if m.startswith("--mount=")]
        facts["mounts"] = tuple(found for found, _input in mounts)
        # The mount of a secret has input 0 in the protocol, so the whole file system below is hashed
        # (client/llb/exec.go leaves Input out; getMountDeps of ops/exec.go).
        by_content = any(found[0] in ("secret", "ssh") for found, _input in mounts)
        inputs = [i for _found, i in mounts if i]
        # A mount of the very stage below is the same input, so that one is hashed, too.
        by_content = by_content or any(self._is_below(i, scene) for i in inputs)
        self._files(instruction, scene, facts, inputs, by_content=by_content)

    def _is_below(self, given, scene):
        number = scene.head
        while number is not None and "stage" in self.done[number].facts:
            number = self.done[number].below
        same = getattr(given, "operation", None)
        return same is not None and same == number

    def _command(self, instruction, scene):
        if instruction.json:
            return instruction.arguments
        text = instruction.arguments[0] if instruction.arguments else ""
        if instruction.heredocs:
            text, script = heredoc(text, instruction.heredocs)
            if script:  # It is run as a file of this name.
                return script, text
        return (*(scene.shell or SHELL), text)

    def _mount(self, text, scene):
        """(what counts of a --mount, the files it brings or None).

        Read-only bind mounts count by their files. Of a cache mount id and sharing are
        left out, save that the default ones are told from others; of a secret the content is.
        Source: dispatchRunMounts, checkShouldClearCacheOpts and getMountDeps of ops/exec.go.
        """
        given = {}
        for word in text.split(","):
            name, sign, value = word.partition("=")
            given[_MOUNT.get(name, name)] = self._word(value, scene) if sign else "true"
        kind = given.pop("type", "bind")
        to, source, origin = (given.pop(k, "") for k in ("target", "source", "from"))
        target = absolute(scene.folder, to) if to else ""
        owner = {k: given.pop(k) for k in ("uid", "gid", "mode") if k in given}
        if owner or kind == "secret":
            usual = "755" if kind == "cache" else "400"
            mode = octal(owner.get("mode", usual))
            given["owner"] = (owner.get("uid", "0"), owner.get("gid", "0"), mode)
        if kind == "secret":
            target, given["id"] = _secret(given.get("id") or source, target)
        if kind == "cache":
            own = given.pop("id", None) in (None, target)
            plain = given.pop("sharing", "shared") == "shared"
            given["default"] = own and plain
        if kind == "bind":
            given["ro"] = given.pop("rw", "false") != "true" and given.pop("ro", "true") == "true"
        found = (kind, target, *sorted(given.items()))
        if kind == "bind" or (kind == "cache" and origin):
            return found, self._source(origin, [source or "/"], scene)
        return found, None

    def on_copy(self, instruction, scene):
        self._files(instruction, scene, *self._copied(instruction, scene))

    on_add = on_copy

    def _copied(self, instruction, scene):
        """COPY and ADD: destination, last names of the sources, owner, mode; and the files.

        Source: CacheMap of ops/file.go (`p.Src = path.Base(p.Src)`), dispatchCopy.
        """
        if any(flag(instruction, name) for name in _EXPERIMENTAL):
            raise Unclear(instruction.text)
        *written, to = instruction.arguments
        sources = [w for w in written if not w.startswith("<<")]
        sources = [self._word(w, scene) for w in sources]
        documents = self._documents(instruction, written, scene)
        facts = {
            "destination": self._destination(to, scene),
            "owner": self._word(flag(instruction, "chown") or "", scene),
            "mode": octal(self._word(flag(instruction, "chmod") or "", scene)),
            "unpack": instruction.keyword == "ADD",
            "names": tuple([posixpath.basename(clean(s)) or "/" for s in sources]),
            "documents": documents,
        }
        origin = flag(instruction, "from")
        local = [s for s in sources if not s.startswith(_REMOTE) or instruction.keyword == "COPY"]
        inputs = [self._source(origin, local, scene)] if local else []
        inputs += [self._remote(s, instruction) for s in sources if s not in local]
        return facts, inputs

    def _destination(self, to, scene):
        """Where it goes, as a whole path; a slash at its end counts (pathRelativeToWorkingDir)."""
        to = self._word(to, scene)
        path = absolute(scene.folder, to)
        slash = to in ("", ".") or to.endswith("/")
        return path.rstrip("/") + "/" if slash else path

    def _documents(self, instruction, written, scene):
        """The names and texts of heredocs; variables are put in unless the name is quoted."""
        marks = [w for w in written if w.startswith("<<")]
        found = []
        for word, (name, content) in zip(marks, instruction.heredocs):
            content = chomped(word, content)
            plain = '"' in word or "'" in word
            found.append((name, content if plain else expand.text(content, scene.env)))
        return tuple(found)

    def _files(self, instruction, scene, facts, inputs, **more):
        """Add an operation that takes files; with --link it stands on nothing, and is merged.

        Where the image store cannot merge, --link means nothing.
        Source: dispatchCopy (CapMergeOp, llb.Merge), ops/merge.go.
        """
        gone = next((i for i in inputs if isinstance(i, Reason)), None)
        if gone:
            kind = "missing" if gone.rule is Rule.MISSING else "unclear"
            self._add(instruction, scene, facts, **{kind: gone})
        elif not self.recipe.merges or flag(instruction, "link") in (None, "false"):
            self._add(instruction, scene, facts, inputs, **more)
        elif facts.get("mode"):
            raise Unclear("--link --chmod")  # Merged since BuildKit 0.14, copied before.
        else:
            below, scene.head = scene.head, None
            copied = self._add(instruction, scene, facts, inputs)
            scene.head, self.hidden = below, True
            self._add(instruction, scene, {"merge": True}, [Input(operation=copied)])

    def _source(self, origin, paths, scene):
        """The Input of these paths: of the context, of another stage, or of an image."""
        if not origin:
            files = self.recipe.files
            return files.once(("buildkit", *paths), lambda: taken(files, paths))
        path = "\0".join(sorted(paths))
        number = self.dockerfile.named(origin)
        if number is not None:
            if number not in self.scenes:
                raise Unclear(origin)  # A later stage, or one that only an ONBUILD names.
            return Input(operation=self.scenes[number].head, path=path)
        base = base_of(self.recipe, origin)
        return Input(key=mark(("image", base.key, path))) if base else unread(origin)

    def _remote(self, source, instruction):
        """ADD of an address: what it gives is known beforehand only with --checksum.

        Source: CacheKey of source/http/httpsource.go.
        """
        checksum = flag(instruction, "checksum")
        if checksum and source.startswith("http"):
            return Input(key=mark(("http", checksum, posixpath.basename(source))))
        return Reason(Rule.REMOTE, (source,))


_MOUNT = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "readonly": "ro",
    "readwrite": "rw",
}


def _secret(name, target):
    """(target, id) of a secret, of which one gives the other (dispatchSecret)."""
    name = name or posixpath.basename(target)
    return target or f"/run/secrets/{posixpath.basename(name)}", name


def _put(scene, name, value, origin):
    scene.env.pop(name, None)
    scene.env[name], scene.origins[name] = value, origin
