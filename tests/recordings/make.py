"""Record real builds on every engine: `python -m tests.recordings.make`.

Each file is one build by one builder of one engine; it says itself of which and when. The tests
read them through the same code as a live build.
"""

import contextlib
import tempfile
from pathlib import Path

from labkit import Lab
from tests.conftest import serve, write_recipe

HERE = Path(__file__).parent
RECIPES = {
    "web": "RUN mkdir /www && echo built > /www/built\nCOPY index.html /www/\nENV GREETING=hello\n"
    'ENTRYPOINT ["busybox", "httpd", "-f", "-p", "5000", "-h", "/www"]',
    "fails": "ENV WORD=last\nRUN echo $WORD words; exit 7\nWORKDIR /never\nCMD true",
    "missing": "RUN sleep 0.5\nRUN true\nCOPY nothing.txt /\nRUN true",
    "stages": "ARG N=1\nRUN echo made-$N > /made\nFROM labkit-test/tiny:1\nWORKDIR /app\nENV A=1\n"
    "COPY --from=0 /made .\nRUN true\nCMD cat made",
}


def main() -> None:
    for name in ("docker-20.10", "docker-26.1", "docker-26.1-containerd", "podman"):
        with serve(name) as machine:
            for builder in machine.engine.builders:
                _record(machine, Lab(builder, machine.engine))


def _record(machine, lab):
    for recipe, lines in RECIPES.items():
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            write_recipe(Path(recipe), machine.base, lines, {"index.html": "hello\n"})
            for turn in ("first", "again"):
                build = lab.build(recipe, tag=f"recorded-{recipe}", show=False)
                file = HERE / f"{recipe}-{turn}.{machine.name}.{lab.builder}.json"
                if "/var/" in str(build.recording.events):
                    continue  # Podman tells paths of the machine.
                build.recording.save(file)
                print(file.name, build.states())
    lab.clean()


if __name__ == "__main__":
    main()
