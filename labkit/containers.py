"""Run a container and talk to it over HTTP."""

import http.client
import secrets
import shlex
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import docker

from labkit import views
from labkit.engine import FAULTS, Engine, speaking
from labkit.errors import ContainerError
from labkit.words import _

LABEL = "labkit.container"


@dataclass(frozen=True)
class Answer:
    """What a server answered; `text` is the body."""

    status: int
    text: str

    def __repr__(self):
        return f"<Answer {self.status}: {views.short(self.text.strip(), 60)}>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        page = views.box(views.paragraph(f"HTTP {self.status}"), views.code(self.text))
        return {"text/plain": f"HTTP {self.status}: {self.text}", "text/html": page}


@dataclass(frozen=True)
class Running:
    """A container that runs. `address` is where its port answers; `response` its first answer."""

    container: object = field(repr=False)
    address: str = ""
    response: Answer | None = None

    def get(self, path: str = "/") -> Answer:
        """Ask for a path; any status is an answer, 404 too.

        Raises ContainerError where the connection fails.
        """
        return _get(_url(self.address, path))

    def logs(self) -> str:
        """What the container has printed."""
        with speaking(_("The container is gone."), ContainerError):
            return self.container.logs().decode(errors="replace")


def command(image: str, port: int, environment: dict, command: list) -> str:
    """The line that runs the image in a terminal."""
    variables = [word for pair in environment.items() for word in ("-e", "=".join(pair))]
    port = ["-p", f"{port}:{port}"]
    return shlex.join(["docker", "run", "--rm", *port, *variables, image, *command])


@contextmanager
def run(engine: Engine, image: str, *, port: int, path: str = "/", seconds: float = 30, **options):
    """Run the image; wait until `port` answers on `path`; remove the container at the end.

    `options` go to the SDK's `containers.create`. Raises ContainerError where the container
    cannot start, ends, or does not answer within `seconds`; its log is in the error.
    """
    with _created(engine, image, port, options) as container:
        try:
            address = _address(engine, container, port)
            yield Running(container, address, _wait(container, _url(address, path), port, seconds))
        finally:
            _remove(container)


@contextmanager
def _created(engine, image, port, options):
    what = _("The container of {image} did not start.").format(image=image)
    name = f"labkit-{secrets.token_hex(6)}"
    options = {"name": name, "labels": {LABEL: name}, **options}
    with speaking(what, ContainerError):
        container = engine.client.containers.create(
            image, ports={f"{port}/tcp": ("127.0.0.1", None)}, detach=True, **options
        )
    try:
        with speaking(what, ContainerError):
            container.start()
    except BaseException:
        _remove(container)
        raise
    yield container


def _remove(container):
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    except FAULTS as error:
        raise ContainerError(
            _("The container was not removed."),
            str(error),
            _("Remove it: docker rm -f {id}").format(id=container.short_id),
        ) from error


def _ended(container):
    """Ask the engine anew; whether the container has ended."""
    with speaking(_("The container is gone."), ContainerError):
        container.reload()
    return container.status in ("exited", "dead")


def _address(engine, container, port):
    if _ended(container):
        raise _no_answer(container, _("It ended at once."))
    bound = (container.ports.get(f"{port}/tcp") or [None])[0]
    if not bound:
        raise _no_answer(container, _("The container published no port."))
    remote = urlsplit(engine.host)
    host = remote.hostname if remote.scheme in ("tcp", "ssh", "http", "https") else "127.0.0.1"
    return f"http://{host}:{bound['HostPort']}"


def _wait(container, url, port, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            return _get(url)
        except ContainerError as error:
            if _ended(container):
                raise _no_answer(container, _("It ended at once.")) from error
            if time.monotonic() > end:
                asked = _("Its port {port} was asked: {error}").format(port=port, error=error.tried)
                raise _no_answer(container, asked) from error
        time.sleep(0.1)


def _no_answer(container, tried):
    with speaking(_("The container is gone."), ContainerError):
        log = container.logs(tail=8).decode(errors="replace").strip()
    return ContainerError(
        _("The container does not answer."),
        "\n".join(part for part in (tried, log) if part),
        _("Read its log; check the port and that the server listens on 0.0.0.0, not on 127.0.0.1."),
    )


def _url(address, path):
    """The path may lack its slash and hold any letters, as in a browser."""
    return address + "/" + quote(path.removeprefix("/"), safe="/?=&%#:;,+@!$'()*~")


def _get(url):
    try:
        with _DIRECT.open(url, timeout=5) as response:
            return Answer(response.status, response.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(errors="replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ContainerError(
            _("The server does not answer."), f"{url}: {error}", _("Look at its log: .logs()")
        ) from error


# A proxy of the environment knows nothing of a port on this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
