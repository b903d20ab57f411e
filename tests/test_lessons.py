"""The lessons as files: in step, run, clean. And the tool that keeps them so."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

from notebooks import lessons

SANITIZE = Path(__file__).with_name("sanitize.cfg")
PLAIN = "$ docker build -t webapp webapp\n"
COMMANDS = {
    "BuildKit with a stand-in": "$ docker build "
    "--build-context ubuntu:24.04=docker-image://labkit/base:debian-12 -t webapp webapp\n",
    "classic with a stand-in": "$ sed '1s#ubuntu:24.04#labkit/base:debian-12#' webapp/Dockerfile "
    "| DOCKER_BUILDKIT=0 docker build -t webapp -f - webapp\n",
    "BuildKit": PLAIN,
    "classic": "$ DOCKER_BUILDKIT=0 docker build -t webapp webapp\n",
}


def test_lessons_are_in_order():
    assert lessons.check() == []


def test_there_are_lessons():
    assert {"00-start", "02-dockerfile", "03-layers"} <= set(lessons.names())


# The tool, on a lesson of two cells


@pytest.fixture
def folder(tmp_path):
    """A lesson in both languages with which all is well."""
    text = new_markdown_cell("Привет", id="greeting")
    code = new_code_cell("1 + 1", id="sum-of-two", execution_count=1)
    code.outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=1)]
    save(tmp_path, "ru", [text, code])
    translation = new_markdown_cell("Hello", id="greeting")
    translation.metadata["labkit"] = {"translates": lessons.digest("Привет")}
    save(tmp_path, "en", [translation, code])
    return tmp_path


def save(folder, language, cells):
    (folder / language).mkdir(exist_ok=True)
    notebook = new_notebook(metadata=nbformat.from_dict(lessons.METADATA), cells=cells)
    lessons.write(notebook, folder, language, "00-a")


def change(folder, language, change_cells):
    notebook = lessons.read(folder, language, "00-a")
    change_cells(notebook.cells)
    lessons.write(notebook, folder, language, "00-a")


def test_nothing_is_wrong_with_a_good_lesson(folder):
    assert lessons.check(folder) == []


def stripped(cells):
    cells[1].outputs = []


def never_run(cells):
    cells[1].outputs, cells[1].execution_count = [], None


def in_error(cells):
    cells[1].outputs = [new_output("error", ename="E", evalue="", traceback=[])]


def random_id(cells):
    cells[1].id = "3f2a9c10-77"


def other_code(cells):
    cells[1].source = "1 + 2"


def code_without_prose(cells):
    cells.reverse()


def russian_code(cells):
    cells[1].source = "# привет"


def dead_link(cells):
    cells[0].source = "[next](01-none.ipynb)"


def widget_model(cells):
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "f00"}}
    cells[1].outputs = [new_output("display_data", data)]


def long_code(cells):
    cells[1].source = "1\n" * 6


FAULTS = {
    stripped: "sum-of-two: shows nothing",
    never_run: "sum-of-two: was not run",
    in_error: "sum-of-two: ended in an error",
    random_id: "the id 3f2a9c10-77 does not speak",
    other_code: "sum-of-two: other code than in ru",
    code_without_prose: "sum-of-two: no prose before",
    russian_code: "sum-of-two: code is the same in each language",
    dead_link: "greeting: the link 01-none.ipynb leads nowhere",
    widget_model: "sum-of-two: holds time stamps or widget models",
    long_code: "sum-of-two: more than 5 lines",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(folder, fault):
    change(folder, "en", fault)
    assert any(FAULTS[fault] in problem for problem in lessons.check(folder))


def test_a_silent_cell_may_be_tagged(folder):
    def silence(cells):
        stripped(cells)
        cells[1].metadata["tags"] = [lessons.SILENT]

    for language in lessons.LANGUAGES:
        change(folder, language, silence)
    assert lessons.check(folder) == []


def test_a_missing_translation_is_found_and_made(folder):
    (folder / "en/00-a.ipynb").unlink()
    assert lessons.check(folder) == ["en/00-a: is missing (`sync` makes en from ru)"]
    assert lessons.sync(folder) == ["00-a greeting"]
    lessons.translated("00-a", ["greeting"], folder)
    assert lessons.read(folder, "en", "00-a").cells[1].execution_count is None


def test_a_changed_source_makes_its_translation_stale(folder):
    change(folder, "ru", lambda cells: cells[0].update(source="Здравствуй"))
    problem = "en/00-a: greeting: ru has changed since this was translated (then `translated`)"
    assert lessons.check(folder) == [problem]
    assert lessons.sync(folder) == ["00-a greeting"]
    assert lessons.check(folder) == [problem], "sync does not translate"
    lessons.translated("00-a", ["greeting"], folder)
    assert lessons.check(folder) == []


def test_sync_keeps_translations_and_outputs(folder):
    before = (folder / "en/00-a.ipynb").read_bytes()
    assert lessons.sync(folder) == []
    assert (folder / "en/00-a.ipynb").read_bytes() == before


def test_sync_brings_new_cells_and_changed_code(folder):
    def grow(cells):
        other_code(cells)
        cells.append(new_markdown_cell("Ещё", id="more"))

    change(folder, "ru", grow)
    assert lessons.sync(folder) == ["00-a more"]
    cells = lessons.read(folder, "en", "00-a").cells
    assert [cell.id for cell in cells] == ["greeting", "sum-of-two", "more"]
    assert (cells[0].source, cells[1].source, cells[1].outputs) == ("Hello", "1 + 2", [])


def test_rename_works_in_both_languages(folder):
    lessons.rename("00-a", "greeting", "hello", folder)
    renamed = [lessons.read(folder, code, "00-a").cells[0].id for code in lessons.LANGUAGES]
    assert renamed == ["hello", "hello"]
    assert lessons.check(folder) == []


def test_what_differs_from_run_to_run_is_taken_out(folder):
    notebook = lessons.read(folder, "ru", "00-a")
    clean = nbformat.writes(lessons.normal(notebook))
    notebook.metadata["widgets"] = {"state": {}}
    notebook.metadata["language_info"]["version"] = "3.11.2"
    notebook.cells[1].metadata["execution"] = {"iopub.status.busy": "2026-11-24"}
    assert nbformat.writes(lessons.normal(notebook)) == clean


# The sanitize file of nbval


def sanitized(text):
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text


def test_the_sanitize_file_is_ascii_and_says_why():
    text = SANITIZE.read_text(encoding="ascii")
    sections = re.split(r"(?m)^\[.+\]\n", text)[1:]
    assert len(sections) == len(get_sanitize_patterns(text)) == text.count("regex: ")
    assert all(len(section.split("regex: ")[0]) > 40 for section in sections)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_each_builder_prints_one_command(command):
    assert sanitized(command) == PLAIN


@pytest.mark.parametrize("here", ["here", "здесь"])
def test_a_stand_in_is_the_same_as_ubuntu(here):
    row = "1  cached  FROM ubuntu:24.04"
    assert sanitized(f"{row}, {here} labkit/base:debian-12\n2  ran") == f"{row}\n2  ran"


@pytest.mark.parametrize(
    "line", ["Pulling ubuntu:24.04 …\n", "Готовлю labkit/base:debian-12 (полминуты) …\n"]
)
def test_a_base_may_have_to_be_made_first(line):
    assert sanitized(line + "$ docker build -t a a\n") == "$ docker build -t a a\n"


def test_what_a_lesson_says_stays():
    for text in ("HTTP 200: Hello from a container!", "2  cached  RUN pip install flask", "True"):
        assert sanitized(text) == text
