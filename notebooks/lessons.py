"""Keep the lessons in order: the same notebooks in Russian and English, run for real.

    python notebooks/lessons.py check                       say what is wrong
    python notebooks/lessons.py sync                        bring ru's new and changed cells to en
    python notebooks/lessons.py translated LESSON CELL...   these cells of en are up to date again
    python notebooks/lessons.py rename LESSON OLD NEW       give a cell another id, in both
    python notebooks/lessons.py run [LESSON...] [--lang ru] run all cells and keep what they show

A lesson is one file name in two folders: `ru/02-dockerfile.ipynb` is written first,
`en/02-dockerfile.ipynb` is its translation. Cells belong together by their id, code is the same
in both, and each translated text keeps the hash of the Russian text that it was made from.

To change a lesson: open the Russian notebook in JupyterLab, edit, save. Then `sync`; translate
what it names, in the English notebook; `translated`; `run`; `check`. To add one: save a new
notebook in `ru`, give its cells speaking ids with `rename`, and go on in the same way.

`run` starts where a learner starts: an empty folder, and a base on which nothing has been built.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
LANGUAGES = ("ru", "en")
SOURCE, TRANSLATION = LANGUAGES
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
SILENT = "no-output"  # the tag of a code cell that shows nothing by its nature
RAISES = "raises-exception"  # nbval's and nbclient's tag of a cell whose error is the lesson
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ID = re.compile(r"[a-z]+(-[a-z0-9]+)*")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_CODE_LINES = 5


# Reading and writing


def names(folder: Path = HERE) -> list[str]:
    """The names of all lessons, in their order."""
    return sorted({path.stem for code in LANGUAGES for path in (folder / code).glob("*.ipynb")})


def read(folder: Path, language: str, name: str):
    return nbformat.read(folder / language / f"{name}.ipynb", as_version=4)


def write(notebook, folder: Path, language: str, name: str) -> None:
    nbformat.write(notebook, folder / language / f"{name}.ipynb")


def digest(text: str) -> str:
    """What a translation keeps of its source: 12 digits of the text's sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def translates(cell) -> str | None:
    return cell.metadata.get("labkit", {}).get("translates")


def stale(source, translation) -> list[str]:
    """The ids of the texts whose source is not what they were translated from."""
    texts = {cell.id: cell.source for cell in source.cells if cell.cell_type != "code"}
    return [
        cell.id
        for cell in translation.cells
        if cell.id in texts and translates(cell) != digest(texts[cell.id])
    ]


# check


def check(folder: Path = HERE) -> list[str]:
    """All that is wrong with the lessons, a line each."""
    problems = []
    for name in names(folder):
        missing = [c for c in LANGUAGES if not (folder / c / f"{name}.ipynb").exists()]
        problems += [f"{code}/{name}: is missing (`sync` makes en from ru)" for code in missing]
        if missing:
            continue
        pair = {code: read(folder, code, name) for code in LANGUAGES}
        for code, notebook in pair.items():
            problems += [f"{code}/{name}: {text}" for text in _alone(notebook, folder / code)]
        problems += [f"{TRANSLATION}/{name}: {text}" for text in _together(**pair)]
    return problems


def _alone(notebook, folder):
    ids = [cell.id for cell in notebook.cells]
    yield from (f"the id {i} is there twice" for i in sorted(set(ids)) if ids.count(i) > 1)
    for cell in notebook.cells:
        if not _ID.fullmatch(cell.id):
            yield f"the id {cell.id} does not speak (`rename` gives another)"
    if notebook.metadata != METADATA:
        yield "the notebook's metadata is not the usual (`run` puts it right)"
    count, before = 0, None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            count += 1
            problems = [*_code(cell, count), *([] if before == "markdown" else ["no prose before"])]
        else:
            problems = _text(cell, folder)
        before = cell.cell_type
        yield from (f"{cell.id}: {text}" for text in problems)


def _code(cell, count):
    tags = cell.metadata.get("tags", [])
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if not cell.source.isascii():
        yield "code is the same in each language, so it is ASCII"
    if len(lines) > _CODE_LINES and not cell.source.startswith("%%writefile"):
        yield f"more than {_CODE_LINES} lines of code"
    if cell.execution_count != count:
        yield f"was not run in its turn: [{cell.execution_count or ' '}], not [{count}] (`run`)"
    elif not cell.outputs and SILENT not in tags:
        yield f"shows nothing; end it with something visible, or tag it {SILENT}"
    if RAISES not in tags and any(out.output_type == "error" for out in cell.outputs):
        yield "ended in an error"
    if "execution" in cell.metadata or any(_model(out) for out in cell.outputs):
        yield "holds time stamps or widget models (`run` takes them out)"


def _model(output):
    return output.get("data", {}).get(_WIDGET, {}).get("model_id")


def _text(cell, folder):
    for target in _LINK.findall(cell.source):
        if "://" not in target and not (folder / target).exists():
            yield f"the link {target} leads nowhere"


def _together(ru, en):
    source, translation = ({c.id: c for c in notebook.cells} for notebook in (ru, en))
    if list(source) != list(translation):
        yield f"other cells than in {SOURCE} (`sync`)"
    for id_ in source.keys() & translation.keys():
        ours, theirs = source[id_], translation[id_]
        if ours.cell_type != theirs.cell_type or _marks(ours) != _marks(theirs):
            yield f"{id_}: another kind or other tags than in {SOURCE} (`sync`)"
        elif ours.cell_type == "code" and ours.source != theirs.source:
            yield f"{id_}: other code than in {SOURCE} (`sync`)"
    for id_ in stale(ru, en):
        yield f"{id_}: {SOURCE} has changed since this was translated (then `translated`)"


def _marks(cell):
    return cell.metadata.get("tags", [])


# sync, translated, rename


def sync(folder: Path = HERE) -> list[str]:
    """Make en's cells those of ru; the texts that have to be translated, as `name cell`.

    Code is copied and loses its outputs where it has changed. A text that has no translation yet
    is copied as it is; one whose source has changed stays, and counts as stale.
    """
    waiting = []
    for path in sorted((folder / SOURCE).glob("*.ipynb")):
        name, ours = path.stem, read(folder, SOURCE, path.stem)
        there = (folder / TRANSLATION / path.name).exists()
        theirs = read(folder, TRANSLATION, name) if there else nbformat.v4.new_notebook()
        known = {cell.id: cell for cell in theirs.cells}
        theirs.metadata = ours.metadata
        theirs.cells = [_synced(cell, known.get(cell.id)) for cell in ours.cells]
        write(theirs, folder, TRANSLATION, name)
        waiting += [f"{name} {id_}" for id_ in stale(ours, theirs)]
    return waiting


def _synced(ours, theirs):
    if theirs is None or theirs.cell_type != ours.cell_type:
        cell = nbformat.from_dict(ours)
        return _unrun(cell) if cell.cell_type == "code" else cell
    if ours.cell_type == "code":
        cell = theirs if theirs.source == ours.source else _unrun(theirs)
        cell.source, cell.metadata = ours.source, ours.metadata
        return cell
    return theirs


def _unrun(cell):
    cell.outputs, cell.execution_count = [], None
    return cell


def translated(name: str, ids, folder: Path = HERE) -> None:
    """Note down that these texts say again what their source says."""
    texts = {cell.id: cell.source for cell in read(folder, SOURCE, name).cells}
    notebook = read(folder, TRANSLATION, name)
    for cell in notebook.cells:
        if cell.id in ids and cell.cell_type != "code":
            cell.metadata["labkit"] = {"translates": digest(texts[cell.id])}
    write(notebook, folder, TRANSLATION, name)


def rename(name: str, old: str, new: str, folder: Path = HERE) -> None:
    """Give a cell another id, in both languages."""
    for code in LANGUAGES:
        if (folder / code / f"{name}.ipynb").exists():
            notebook = read(folder, code, name)
            for cell in notebook.cells:
                cell.id = new if cell.id == old else cell.id
            write(notebook, folder, code, name)


# run


def run(chosen=(), languages=LANGUAGES, folder: Path = HERE) -> None:
    """Run lessons on the engine that labkit finds, in an empty folder, and store their outputs."""
    from labkit.engine import find

    engine = find()
    for code in languages:
        with cold(engine, folder) as base:
            for name in chosen or names(folder):
                print(f"{code}/{name} …", flush=True)
                notebook = read(folder, code, name)
                _execute(notebook, code, engine.environ | {"LABKIT_BASE": base})
                write(normal(notebook, base), folder, code, name)


def _execute(notebook, language, environ):
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as top:
        place = Path(top, "notebooks", language)
        place.mkdir(parents=True)
        client = NotebookClient(
            notebook,
            timeout=1200,
            kernel_name="python3",
            coalesce_streams=True,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": place}},
            extra_arguments=["--log-level=ERROR"],  # ipykernel warns of its own TCP port
        )
        try:
            client.execute(env=plain(environ))
        except CellExecutionError as error:
            sys.exit(str(error))  # the lesson keeps the outputs that it had


def plain(environ: dict) -> dict:
    """The environment of a lesson's kernel: its folder tells the language, and it finds labkit."""
    values = {key: value for key, value in environ.items() if key != "LABKIT_LANG"}
    paths = [str(HERE.parent), values.get("PYTHONPATH")]
    return values | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def normal(notebook, base=None):
    """The notebook without what differs from run to run and tells nothing.

    A widget's model dies with its kernel: with an empty id JupyterLab shows nothing in its place.
    A cold base takes the name of the one that it was made from.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "labkit")}
        for output in cell.get("outputs", ()):
            if _model(output):
                output.data[_WIDGET]["model_id"] = ""
            if base:
                _replace(output.get("data", output), base, base.parent)
    return notebook


def _replace(texts, old, new):
    for key in ("text", "text/plain", "text/html"):
        if key in texts:
            texts[key] = texts[key].replace(old, new)


class Base(str):
    """The name of a cold base; `parent` is the base that it was made from."""

    parent = ""


@contextmanager
def cold(engine, folder: Path = HERE):
    """The name of a base on which nothing has been built: first builds on it really run.

    It is the usual base and one file that is new each time, so no build finds anything in the
    cache, and the cache is left alone. At the end what was built on it is removed, and the names
    that the lessons use stand again for the images that they stood for.
    """
    from labkit import base
    from labkit import cold as bases

    parent = base.choose(engine, print)
    made = Base(bases.derive(engine, parent))
    made.parent = parent
    before = {tag: _image(engine, tag) for tag in _tags(folder)}
    try:
        yield made
    finally:
        bases.remove(engine, made)
        for tag, image in before.items():
            if image and not _image(engine, tag):
                image.tag(tag)


def _tags(folder):
    """The names that the lessons give to images."""
    code = "\n".join(
        cell.source for name in names(folder) for cell in read(folder, SOURCE, name).cells
    )
    return sorted(set(re.findall(r'\btag="([^"]+)"', code)))


def _image(engine, name):
    from docker.errors import ImageNotFound

    try:
        return engine.client.images.get(name)
    except ImageNotFound:
        return None


# The command line


def parse(arguments):
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("check")
    commands.add_parser("sync")
    done = commands.add_parser("translated")
    done.add_argument("lesson")
    done.add_argument("cells", nargs="+", metavar="cell")
    named = commands.add_parser("rename")
    for argument in ("lesson", "old", "new"):
        named.add_argument(argument)
    running = commands.add_parser("run")
    running.add_argument("lessons", nargs="*", metavar="lesson")
    running.add_argument("--lang", choices=LANGUAGES)
    return parser.parse_args(arguments)


def main(arguments) -> int:
    """Do what the arguments say; the exit code."""
    options = parse(arguments)
    if options.command == "sync":
        for line in sync():
            print(f"to be translated: {line}")
    elif options.command == "translated":
        translated(options.lesson, options.cells)
    elif options.command == "rename":
        rename(options.lesson, options.old, options.new)
    elif options.command == "run":
        run(options.lessons, [options.lang] if options.lang else LANGUAGES)
    problems = check() if options.command in ("check", "run") else []
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
