"""labkit's own words in the learner's language, English or Russian (gettext).

English is the source: `_("built")` returns "built" unless the Russian catalogue
`locale/ru/LC_MESSAGES/labkit.po` holds a translation. The language is asked for at every
call, so a change of LABKIT_LANG takes effect at once.
"""

import functools
import gettext
import locale
import os
from pathlib import Path

LANGUAGES = ("en", "ru")
_CATALOGUES = Path(__file__).with_name("locale")


def language() -> str:
    """The language in force: "en" or "ru".

    LABKIT_LANG decides; else the lesson's folder (`notebooks/ru`); else the locale of the
    system; else English.
    """
    return _from_environment() or _from_folder() or _from_locale() or "en"


def _known(name: str | None) -> str | None:
    code = (name or "").lower()[:2]
    return code if code in LANGUAGES else None


def _from_environment() -> str | None:
    return _known(os.environ.get("LABKIT_LANG"))


def _from_folder() -> str | None:
    parts = Path.cwd().parts
    after = [b for a, b in zip(parts, parts[1:]) if a == "notebooks"]
    return _known(after[-1]) if after and after[-1] in LANGUAGES else None


def _from_locale() -> str | None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return _known(os.environ[name])
    return _known(locale.getlocale()[0])


@functools.lru_cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("labkit", _CATALOGUES, [code], fallback=True)


def _(message: str) -> str:
    """The message in the learner's language; the message itself where none is known."""
    return _catalogue(language()).gettext(message) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """`one` or `many`, by the plural rules of the learner's language."""
    return _catalogue(language()).ngettext(one, many, count)
