"""From where it is known how each builder decides: a file of its source for every `Rule`.

BuildKit as of moby/buildkit v0.13.2 (Docker 26.1), the classic builder as of moby/moby v20.10.24
and v26.1.5. What a rule set does not have is no rule of that builder.
"""

from labkit.reasons import Rule

_EDGE = "moby/buildkit solver/edge.go (probeCache, recalcCurrentState)"
_EXEC = "moby/buildkit solver/llbsolver/ops/exec.go (CacheMap)"
_FILE = "moby/buildkit solver/llbsolver/ops/file.go (CacheMap)"
_CONVERT = "moby/buildkit frontend/dockerfile/dockerfile2llb/convert.go"
_HASH = "moby/buildkit cache/contenthash/checksum.go (Checksum), filehash.go, tarsum.go"
BUILDKIT = {
    Rule.SAME: _EDGE,
    Rule.EARLIER: "moby/buildkit solver/cachemanager.go (Query, Save)",
    Rule.TWIN: "moby/buildkit solver/jobs.go (load): one vertex for one digest",
    Rule.PRESENT: "moby/buildkit source/containerimage/pull.go (CacheKey)",
    Rule.NEIGHBOUR: f"{_CONVERT} (commitToHistory): no operation",
    Rule.TEXT: f"{_EXEC}; {_FILE}",
    Rule.CONTENT: _HASH,
    Rule.MODE: _HASH,
    Rule.ADDED: _HASH,
    Rule.REMOVED: _HASH,
    Rule.RENAMED: f"{_HASH}; {_FILE}: path.Base of the source",
    Rule.ARG: f"{_CONVERT} (dispatchArg: AddEnv); {_EXEC}: Meta.Env",
    Rule.ENV: f"{_CONVERT} (dispatchEnv); {_EXEC}: Meta.Env",
    Rule.SETTING: f"{_EXEC}: Meta.Cwd, Meta.User; {_CONVERT} (withShell, dispatchWorkdir)",
    Rule.BASE: "moby/buildkit source/containerimage/pull.go (CacheKey)",
    Rule.ABOVE: _EDGE,
    Rule.ORDER: _EDGE,
    Rule.NEW: _EDGE,
    Rule.UNFINISHED: "moby/buildkit solver/edge.go (execOp): saved once it has run",
    Rule.NO_CACHE: f"{_CONVERT} (ignoreCache); solver/edge.go (IgnoreCache)",
    Rule.UNNEEDED: f"{_CONVERT} (isReachable)",
    Rule.STOPPED: f"{_CONVERT} (isReachable)",
    Rule.MISSING: f"{_HASH}: errNotFound",
    Rule.BROKEN: "moby/buildkit solver/edge.go (markFailed)",
    Rule.BYTES: f"{_FILE}: ComputeDigestFunc",
    Rule.REMOTE: "moby/buildkit source/http/httpsource.go (CacheKey)",
    Rule.FOLDER: "tonistiigi/fsutil diskwriter.go (HandleChange: rewriteMetadata, no NotifyCb)",
    Rule.UNREAD: "moby/buildkit frontend/dockerfile/shell/lex.go: more from version to version",
    Rule.OUTSIDE: _EDGE,
    Rule.COMMENT: "moby/buildkit frontend/dockerfile/parser/parser.go (isComment, ToLower)",
    Rule.MTIME: "moby/buildkit cache/contenthash/tarsum.go: all headers but mtime",
    Rule.IGNORED: "moby/buildkit frontend/dockerui/config.go (dockerignore)",
    Rule.UNUSED_ARG: f"{_CONVERT} (dispatchArg)",
    Rule.UNCOPIED: f"{_FILE}: addSelector",
}

_PROBE = "moby/moby builder/dockerfile/imageprobe.go (Probe)"
_COPY = "moby/moby builder/remotecontext/archive.go (Hash), pkg/tarsum"
_TEXT = "moby/moby builder/dockerfile/dispatchers.go, image/cache/compare.go"
_ARGS = "moby/moby builder/dockerfile/buildargs.go, dispatchers.go (prependEnvOnCmd)"
CLASSIC = {
    Rule.SAME: _PROBE,
    Rule.EARLIER: "moby/moby daemon/images/cache.go, image/cache/cache.go: the newest child",
    Rule.TWIN: _PROBE,
    Rule.PRESENT: "moby/moby builder/dockerfile/dispatchers.go (initializeStage)",
    Rule.TEXT: _TEXT,
    Rule.CONTENT: _COPY,
    Rule.MODE: _COPY,
    Rule.ADDED: _COPY,
    Rule.REMOVED: _COPY,
    Rule.RENAMED: f"{_COPY}: name",
    Rule.ARG: _ARGS,
    Rule.ENV: f"{_TEXT}: words are expanded first",
    Rule.SETTING: f"{_TEXT}: WORKDIR is resolved first",
    Rule.BASE: f"{_PROBE}: the parent's id",
    Rule.ABOVE: f"{_PROBE}: cacheBusted",
    Rule.ORDER: f"{_PROBE}: the parent's id",
    Rule.NEW: _PROBE,
    Rule.UNFINISHED: "moby/moby builder/dockerfile/internals.go (commitContainer)",
    Rule.NO_CACHE: _PROBE,
    Rule.STOPPED: "moby/moby builder/dockerfile/builder.go (target)",
    Rule.MISSING: "moby/moby builder/dockerfile/copy.go (getCopyInfosForSourcePaths)",
    Rule.BROKEN: "moby/moby builder/dockerfile/builder.go (dispatchDockerfileWithCancellation)",
    Rule.BYTES: "moby/moby builder/remotecontext/lazycontext.go (Hash)",
    Rule.REMOTE: "moby/moby builder/dockerfile/copy.go (downloadSource)",
    Rule.UNREAD: "moby/moby daemon/commit.go (merge); vendored shell/lex.go",
    Rule.OUTSIDE: _PROBE,
    Rule.COMMENT: "moby/buildkit frontend/dockerfile/parser/parser.go",
    Rule.MTIME: "moby/moby pkg/tarsum/versioning.go: v1 leaves mtime out",
    Rule.IGNORED: "docker-py utils/build.py (exclude_paths)",
    Rule.UNUSED_ARG: "moby/moby builder/dockerfile/buildargs.go (GetAllAllowed)",
    Rule.UNCOPIED: "moby/moby builder/dockerfile/copy.go",
}
SOURCES = {"buildkit": BUILDKIT, "classic": CLASSIC}
