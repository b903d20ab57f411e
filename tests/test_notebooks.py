"""The lessons on a real engine: nbval runs every cell and compares what it shows, strictly.

The committed outputs are of a first run. So each run here gets a base on which nothing has been
built: its first builds run, though the engine's cache is left as it is.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks import lessons
from tests.conftest import found, with_docker_26
from tests.engines import machines

SANITIZE = Path(__file__).with_name("sanitize.cfg")
TIMEOUT_SECONDS = 1200


# Each language and each builder once: the code is the same in both languages, and every run builds
# the whole course. `LABKIT_TEST_LESSONS=all` runs the other pairs, too.
PAIRS = [("buildkit", "ru"), ("classic", "en")]
if os.environ.get("LABKIT_TEST_LESSONS") == "all":
    PAIRS += [("buildkit", "en"), ("classic", "ru")]


@with_docker_26
@pytest.mark.parametrize("builder, language", PAIRS)
@pytest.mark.skipif(
    bool(machines.why_not("docker-26.1")), reason="runs on the engine found instead"
)
def test_lessons(machine, builder, language, tmp_path):
    run_lessons(machine.engine, builder, language, tmp_path)


@pytest.mark.parametrize("language", lessons.LANGUAGES)
@pytest.mark.skipif(not machines.why_not("docker-26.1"), reason="runs on docker-26.1 instead")
def test_lessons_on_the_engine_found(language, tmp_path):
    engine = found()
    for builder in engine.builders:
        run_lessons(engine, builder, language, tmp_path / builder)


def run_lessons(engine, builder, language, tmp_path):
    """Run the lessons of a language in a copy of their folder; fail with nbval's words."""
    folder = tmp_path / "notebooks" / language
    folder.mkdir(parents=True)
    for name in lessons.names():
        shutil.copy(lessons.HERE / language / f"{name}.ipynb", folder)
    command = [
        *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no", "-q"),
        *("-p", "no:cacheprovider", f"--rootdir={folder}", f"--confcutdir={folder}"),
        *(f"--nbval-sanitize-with={SANITIZE}", f"--nbval-cell-timeout={TIMEOUT_SECONDS}", folder),
    ]
    with lessons.cold(engine) as base:
        environ = engine.environ | {"LABKIT_BUILDER": builder, "LABKIT_BASE": base}
        done = subprocess.run(
            command, env=lessons.plain(environ), cwd=folder, capture_output=True, text=True
        )
    if done.returncode:
        pytest.fail(f"{language}, {builder}:\n{done.stdout}\n{done.stderr}", pytrace=False)
    cells = sum(
        cell.cell_type == "code"
        for name in lessons.names()
        for cell in lessons.read(lessons.HERE, language, name).cells
    )
    assert f"{cells} passed" in done.stdout
