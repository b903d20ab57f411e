"""The builders: a `Request` -> a `Recording`, while every event is told as it comes.

BuildKit is reached by the docker CLI, since the SDK has only the classic builder; that one by
the SDK. Both leave the image in the engine with labkit's label on it, and both give equal Builds
for equal input, apart from what truly differs:

- Metadata (ENV, ENTRYPOINT, ...) has no step in BuildKit: it takes its neighbour's state.
- `no_cache` leaves WORKDIR and metadata CACHED in BuildKit; the classic builder runs them again.
- A RUN that changes nothing leaves a layer of 0 bytes in BuildKit, none in the classic builder.
- A COPY whose source is missing breaks BuildKit's build off at once: the RUN above it may be RAN
  or NOT_REACHED, by chance. The classic builder has run it by then.
- BuildKit leaves out a stage that nothing needs (NOT_REACHED); the classic builder builds it.
- Sizes: the containerd store counts blocks on disk, Podman the layer's tar, the others the files.
"""

import itertools
import json
import shlex
import signal
import subprocess
import tempfile
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import docker

from labkit import buildkit_stream, context
from labkit.classic_events import built, is_log
from labkit.engine import FAULTS, Engine, speaking
from labkit.errors import BuildError, Interrupted
from labkit.layers import BUILDKIT_COMMENT
from labkit.progress import TAIL_BYTES
from labkit.recording import Recording
from labkit.words import _

LABEL = "labkit"


@dataclass(frozen=True)
class Request:
    """What is to be built. `dockerfile` is a path; `text` is what it holds.

    `froms` are the (line, base as written) of each FROM whose base has a stand-in.
    """

    folder: Path
    dockerfile: Path
    text: str
    tag: str = ""
    target: str | None = None
    build_args: dict = field(default_factory=dict)
    no_cache: bool = False
    stands_in: tuple[str, str] | None = None
    froms: tuple[tuple[int, str], ...] = ()

    @property
    def label(self) -> str:
        """The label's value: the name that the image had when labkit built it."""
        return self.tag or "-"


def build(engine: Engine, builder: str, request: Request, tell) -> Recording:
    """Build with "buildkit" or "classic"; `tell(seconds, event)` hears every event.

    Raises BuildError where the builder itself breaks and Interrupted when the learner stops it.
    A step that fails is no error: the recording has it.
    """
    run = {"buildkit": _buildkit, "classic": _classic}[builder]
    recorder = Recorder(tell)
    stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
    image_id = run(engine, request, recorder)
    seconds = recorder.clock()
    facts = describe(engine, image_id) if image_id else {}
    return Recording(
        builder=builder,
        dockerfile=request.text,
        events=recorder.events(),
        stands_in=request.stands_in,
        tag=request.tag,
        target=request.target,
        build_args=request.build_args,
        command=command(builder, request),
        versions=engine.versions(),
        started=stamp,
        seconds=seconds,
        **facts,
    )


def describe(engine: Engine, image: str) -> dict:
    """The image's inspect, its history and what layer counts are needed to read them."""
    with speaking(_("The engine does not tell about the image {name}.").format(name=image)):
        inspected = engine.client.api.inspect_image(image)
        inspected.pop("GraphDriver", None)  # Paths of the engine's machine, of no use here.
        history = _without_label(engine.client.api.history(image))
        return {
            "image": inspected,
            "history": history,
            "layer_counts": _layer_counts(engine.client.api, history),
        }


def _without_label(history):
    """The history less the row of the label that labkit adds: the classic builder makes one."""
    rows = tuple(history)
    newest = rows[0].get("CreatedBy") or "" if rows else ""
    added = f"LABEL {LABEL}=" in newest.replace('"', "")  # Podman quotes, Docker does not.
    return rows[1:] if added else rows


def _layer_counts(api, history):
    """How many layers the images on either side of a row of 0 bytes have (classic only)."""
    counts = {}
    for row, before in zip(history, history[1:]):
        text = row.get("CreatedBy") or ""
        unclear = not row.get("Size") and ("#(nop)" not in text or "WORKDIR" in text)
        if unclear and row.get("Comment") != BUILDKIT_COMMENT and str(row["Id"]).startswith("sha256:"):
            for image in (row["Id"], before["Id"]):
                if str(image).startswith("sha256:") and image not in counts:
                    counts[image] = len(api.inspect_image(image)["RootFS"]["Layers"])
    return counts


class Recorder:
    """Keeps the events of a build, of every step's log the tail alone.

    `tell(seconds, event)` hears each event and says which step it speaks of, as its position.
    """

    def __init__(self, tell):
        self._tell, self._began = tell, time.monotonic()
        self._count, self._kept = itertools.count(), []
        self._tails, self._bytes = defaultdict(deque), Counter()
        self._dropped = Counter()

    def clock(self) -> float:
        """Seconds since the build began."""
        return time.monotonic() - self._began

    def add(self, event: dict, log_bytes: int | None = None) -> None:
        """Take in an event; one that is a piece of log says how many bytes it has."""
        at = round(self.clock(), 4)
        position = self._tell(at, event)
        entry = (next(self._count), at, event)
        if log_bytes is None:
            self._kept.append(entry)
            return
        tail = self._tails[position]
        tail.append((*entry, log_bytes))
        self._bytes[position] += log_bytes
        while self._bytes[position] > TAIL_BYTES and len(tail) > 1:
            gone = tail.popleft()[3]
            self._bytes[position] -= gone
            self._dropped[position] += gone

    def events(self) -> tuple:
        """All that was kept, in the order in which it came."""
        logs = [entry[:3] for tail in self._tails.values() for entry in tail]
        events = [(at, event) for _n, at, event in sorted(self._kept + logs, key=lambda e: e[0])]
        for position, count in self._dropped.items():
            note = {"labkit": {"step": position, "dropped_bytes": count}}
            events.append((events[-1][0], note))
        return tuple(events)


def _buildkit(engine, request, recorder) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "metadata.json")
        own = ["--progress=rawjson", f"--metadata-file={told}", f"--label={LABEL}={request.label}"]
        argv = [*engine.buildx_command, "build", *own, *_buildkit_options(request)]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=engine.environ,
            start_new_session=True,  # Ctrl-C reaches us alone; we tell the builder.
        )
        try:
            words = buildkit_stream.read(process.stderr, recorder.add)
            process.wait()
        except BaseException as error:
            _stop(process)
            if isinstance(error, KeyboardInterrupt):
                raise interrupted() from error
            raise
        finally:
            process.stderr.close()
        if process.returncode == 0:
            # The digest that the engine knows it by; --iidfile gives the config's, which the
            # containerd store does not look up.
            return json.loads(told.read_text())["containerimage.digest"]
        recorder.add({"labkit": {"stderr": words}})
        return None


def _stop(process):
    """Ask the CLI to cancel the build, as Ctrl-C does; end it if it does not."""
    process.send_signal(signal.SIGINT if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def interrupted() -> Interrupted:
    return Interrupted(
        _("The build was stopped."),
        _("The step that ran was broken off; no image was made."),
        _("Run the cell again: the steps that were finished come from the cache."),
    )


def _classic(engine, request, recorder) -> str | None:
    responses = []
    api = docker.APIClient(base_url=engine.host, version=engine.api, timeout=None)
    api.hooks["response"].append(lambda response, **_kw: responses.append(response))
    try:
        with context.tar(request) as (archive, name):
            return _listen(_post(api, archive, name, request), recorder)
    except KeyboardInterrupt as error:
        raise interrupted() from error
    except FAULTS as error:
        raise _broken(error) from error
    finally:
        for response in responses:  # A build ends when its client hangs up.
            response.close()
        api.close()


def _post(api, archive, name, request):
    return api.build(
        fileobj=archive,
        custom_context=True,
        dockerfile=name,
        tag=request.tag or None,
        target=request.target or "",
        buildargs=request.build_args,
        nocache=request.no_cache,
        labels={LABEL: request.label},
        rm=True,
        forcerm=True,
        decode=True,
    )


def _listen(events, recorder):
    image_id, failed = None, False
    for event in events:
        text = event.get("stream", "")
        recorder.add(event, len(text) if is_log(text) else None)
        failed = failed or "error" in event
        image_id = (event.get("aux") or {}).get("ID") or built(text) or image_id
    return None if failed else image_id


def _broken(error):
    said = getattr(error, "explanation", None) or str(error)
    return BuildError(
        _("The engine broke off the build."),
        str(said),
        _("`python3 start.py doctor` says whether the engine still answers."),
        stderr=str(error),
    )


def command(builder: str, request: Request) -> str:
    """The line that does the same in a terminal."""
    if builder == "buildkit":
        return shlex.join(["docker", "build", *_buildkit_options(request)])
    argv = ["docker", "build", *_options(request)]
    if not request.stands_in:
        return "DOCKER_BUILDKIT=0 " + shlex.join([*argv, *_file(request), str(request.folder)])
    edits = ";".join(f"{n}s#{written}#{request.stands_in[1]}#" for n, written in request.froms)
    edit = shlex.quote(edits)
    file = shlex.quote(str(request.dockerfile))
    piped = shlex.join([*argv, "-f", "-", str(request.folder)])
    return f"sed {edit} {file} | DOCKER_BUILDKIT=0 {piped}"


def _buildkit_options(request):
    argv = []
    if request.stands_in:
        written, here = request.stands_in
        argv += ["--build-context", f"{written}=docker-image://{here}"]
    return [*argv, *_options(request), *_file(request), str(request.folder)]


def _options(request):
    argv = ["-t", request.tag] if request.tag else []
    argv += ["--target", request.target] if request.target else []
    for name, value in request.build_args.items():
        argv += ["--build-arg", f"{name}={value}"]
    return [*argv, "--no-cache"] if request.no_cache else argv


def _file(request):
    default = request.dockerfile == request.folder / "Dockerfile"
    return [] if default else ["-f", str(request.dockerfile)]
