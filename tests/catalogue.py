"""labkit's Russian catalogue: `python -m tests.catalogue` takes in new messages and compiles it.

Then translate what is empty in labkit/locale/ru/LC_MESSAGES/labkit.po and run it again.
"""

import sys
from pathlib import Path

from babel.messages import extract, mofile, pofile
from babel.messages.catalog import Catalog

ROOT = Path(__file__).parent.parent
PO = ROOT / "labkit/locale/ru/LC_MESSAGES/labkit.po"
MO = PO.with_suffix(".mo")
SOURCES = [*sorted((ROOT / "labkit").glob("*.py")), ROOT / "start.py"]


def messages() -> Catalog:
    """Every message in the sources, with the file where it stands."""
    catalogue = Catalog(project="labkit", charset="utf-8")
    for file in SOURCES:
        with file.open("rb") as source:
            for _line, message, _comments, _context in extract.extract("python", source):
                catalogue.add(message, locations=[(str(file.relative_to(ROOT)), None)])
    return catalogue


def translated() -> Catalog:
    """The Russian catalogue as it is in the .po file."""
    with PO.open("rb") as file:
        return pofile.read_po(file, locale="ru")


def main() -> int:
    """Update the .po file, compile the .mo file; 1 while something is not translated."""
    catalogue = translated() if PO.exists() else Catalog(locale="ru", charset="utf-8")
    catalogue.update(messages(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        pofile.write_po(file, catalogue, width=100, sort_output=True, omit_header=False)
    with MO.open("wb") as file:
        mofile.write_mo(file, translated())
    empty = [m.id for m in catalogue if m.id and not m.string]
    print(f"{len(catalogue)} messages, {len(empty)} not translated")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
