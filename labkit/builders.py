"""The builders: a `Request` -> a `Recording`, while every event is told as it comes.

BuildKit is reached by the docker CLI, since the SDK has only the classic builder; that one by
the SDK. Both leave the image in the engine with labkit's label on it, and both give equal Builds
for equal input, apart from what truly differs:

- Metadata (ENV, ENTRYPOINT, ...) has no step in BuildKit: it takes its neighbour's state.
- `no_cache` leaves a WORKDIR that stands right on the base CACHED in BuildKit, and metadata with
  it; the classic builder runs everything again.
- A RUN that changes nothing leaves a layer of 0 bytes in BuildKit, none in the classic builder.
- A COPY whose source is missing breaks BuildKit's build off at once: the RUN above it may be RAN
  or NOT_REACHED, by chance. The classic builder has run it by then.
- The classic builder knows no heredoc, --mount, --chmod and --link: labkit or the engine says so.
- BuildKit leaves out a stage that nothing needs (NOT_REACHED); the classic builder builds it.
- Sizes: the containerd store counts blocks on disk, Podman the layer's tar, the others the files.
"""

import json
import signal
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import docker

from labkit import buildkit_stream, context
from labkit.classic_events import built, is_log
from labkit.engine import FAULTS, Engine, speaking
from labkit.errors import BuildError, Interrupted
from labkit.layers import BUILDKIT_COMMENT
from labkit.recorder import Recorder
from labkit.recording import Recording
from labkit.request import Request, buildkit_options, command
from labkit.words import _

LABEL = "labkit"


def build(engine: Engine, builder: str, request: Request, tell) -> Recording:
    """Build with "buildkit" or "classic"; `tell(seconds, event)` hears every event.

    Raises BuildError where the builder itself breaks and Interrupted when the learner stops it.
    A step that fails is no error: the recording has it.
    """
    recorder = Recorder(tell)
    stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
    image_id = _RUN[builder](engine, request, recorder)
    seconds = recorder.clock()
    facts = _facts(engine, builder, request, image_id) if image_id else {}
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


def _facts(engine, builder, request, image_id):
    """What the engine tells of the new image.

    Docker 26.1's containerd store sometimes throws away a layer that the new image shares with the
    one that had its name before; the same build once more, all from the cache, brings it back.
    """
    try:
        return describe(engine, image_id)
    except BuildError:
        if engine.store != "containerd":
            raise
    again = _RUN[builder](engine, request, Recorder(lambda _at, _event: None))
    return describe(engine, again or image_id)


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
        if (
            unclear
            and row.get("Comment") != BUILDKIT_COMMENT
            and str(row["Id"]).startswith("sha256:")
        ):
            for image in (row["Id"], before["Id"]):
                if str(image).startswith("sha256:") and image not in counts:
                    counts[image] = len(api.inspect_image(image)["RootFS"]["Layers"])
    return counts


def _buildkit(engine, request, recorder) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "metadata.json")
        own = ["--progress=rawjson", f"--metadata-file={told}", f"--label={LABEL}={request.label}"]
        argv = [*engine.buildx_command, "build", *own, *buildkit_options(request)]
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
    except docker.errors.APIError as error:
        if error.status_code != 400:
            raise _broken(error) from error
        recorder.add({"error": str(error.explanation)})  # The engine refuses the Dockerfile.
        return None
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


_RUN = {"buildkit": _buildkit, "classic": _classic}
