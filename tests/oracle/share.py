"""What share of the steps of real Dockerfiles is not predicted, and why; they are only parsed.

    python -m tests.oracle.share DOCKERFILES.json

The file holds a list of {"repository", "path", "text"}. Three questions are asked of each:
nothing has changed; one file of the context has changed; each line has changed in turn (an echo
is added to a RUN, another instruction gets another word). Every source that a COPY names is
taken to be there, every base to be the same. What hangs on the bytes that a changed RUN writes
cannot be known; the third question has it, and it is listed apart.
"""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from labkit import cache, dockerfile, expand
from labkit.errors import DockerfileError
from labkit.files import FOLDER, File, Files, clean, has_wildcard
from labkit.reasons import Rule
from labkit.recipes import Base, Recipe


def recipe(text: str, builder: str) -> Recipe:
    """The Dockerfile with a context that holds all that it takes."""
    parsed = dockerfile.parse(text)
    names = {*parsed.images(), *_copied_from(parsed)}
    bases = {name: Base(name, name) for name in names}
    return Recipe(parsed, context(parsed), bases=bases, builder=builder)


def _copied_from(parsed):
    return {
        w.partition("from=")[2].split(",")[0]
        for i in parsed.instructions
        for w in i.flags
        if "from=" in w
    }


def context(parsed) -> Files:
    """A file for each source; a pattern gets one that it matches, a folder one inside."""
    files = {"app.txt": File("file", 0o644, 1, "a")}
    for instruction in parsed.instructions:
        if instruction.keyword in ("COPY", "ADD"):
            for source in instruction.arguments[:-1]:
                _add(files, clean(expand.loose(source.strip("\"'"), {})))
        for flag in instruction.flags:
            source = flag.partition("source=")[2] or flag.partition("src=")[2]
            _add(files, clean(source.split(",")[0]))
    return Files(dict(sorted(files.items())))


def _add(files, path):
    if has_wildcard(path):
        path = path.replace("*", "x").replace("?", "x").replace("[", "").replace("]", "")
    parts = path.split("/") if path else []
    for end in range(1, len(parts)):
        files["/".join(parts[:end])] = File(FOLDER, 0o755)
    if path and path not in files:
        files[path] = File("file", 0o644, 1, path)


def edited(text: str):
    """The texts with one line changed, one after the other."""
    lines = text.split("\n")
    for instruction in dockerfile.parse(text).instructions:
        if (
            instruction.keyword in ("RUN", "ENV", "LABEL")
            and not instruction.heredocs
            and not instruction.json
        ):
            last = instruction.end_line - 1
            more = {"RUN": " && echo labkit", "ENV": "x", "LABEL": "x"}[instruction.keyword]
            yield "\n".join([*lines[:last], lines[last].rstrip() + more, *lines[last + 1 :]])


def questions(text: str, builder: str):
    """(question, prediction) of each."""
    first = recipe(text, builder)
    memory = cache.Memory().after(first)
    yield "nothing changed", memory.predict(first)
    changed = dict(first.files.files)
    name = next(n for n, f in changed.items() if f.kind != FOLDER)
    changed[name] = replace(changed[name], digest="new")
    yield "a file changed", memory.predict(replace(first, files=Files(changed)))
    for other in edited(text):
        try:
            yield "each line changed", memory.predict(recipe(other, builder))
        except DockerfileError:
            continue


def main() -> int:
    entries = json.loads(Path(sys.argv[1]).read_text())
    steps, unknown, faults = Counter(), Counter(), []
    for entry in entries:
        for builder in ("buildkit", "classic"):
            if builder == "classic" and _is_modern(entry["text"]):
                continue  # The classic builder refuses it.
            try:
                for question, prediction in questions(entry["text"], builder):
                    _count(steps, unknown, (builder, question), prediction)
            except Exception as error:
                faults.append(f"{entry['repository']} {entry['path']}: {error!r}")
    print(f"{len(entries)} Dockerfiles of {len({e['repository'] for e in entries})} repositories")
    for key, count in steps.items():
        reasons = Counter({r: n for (k, r), n in unknown.items() if k == key})
        told = ", ".join(f"{rule.value} {n / count:.2%}" for rule, n in reasons.most_common())
        other = sum(n for rule, n in reasons.items() if rule is not Rule.BYTES)
        print(
            f"{' '.join(key):28} {count:7} steps, not predicted {sum(reasons.values()) / count:.2%}, without bytes {other / count:.2%} ({told})"
        )
    print(*faults, sep="\n")
    return 1 if faults else 0


def _is_modern(text):
    flags = ("--mount", "--link", "--chmod", "--network", "--security", "--exclude", "--parents")
    instructions = dockerfile.parse(text).instructions
    return any(i.heredocs or any(f.startswith(flags) for f in i.flags) for i in instructions)


def _count(steps, unknown, key, prediction):
    steps[key] += len(prediction.steps)
    for verdict in prediction.steps:
        if verdict.state is None:
            unknown[key, verdict.reason.rule] += 1


if __name__ == "__main__":
    sys.exit(main())
