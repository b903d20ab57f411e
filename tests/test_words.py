"""labkit's words are there in both languages, and the right one is chosen."""

import re
from io import BytesIO

import pytest
from babel.messages import mofile

from labkit import units, words
from tests import catalogue

FIELDS = re.compile(r"\{\w+")


def test_every_message_is_translated():
    known = {m.id: m.string for m in catalogue.translated() if m.id}
    missing = [m.id for m in catalogue.messages() if m.id and not known.get(m.id)]
    assert missing == [], "run: python -m tests.catalogue, then translate"
    assert len(known) == len(catalogue.messages()), "run: python -m tests.catalogue"


def test_a_translation_has_the_fields_of_its_message():
    for message in catalogue.translated():
        if message.id and isinstance(message.id, str):
            assert sorted(FIELDS.findall(message.id)) == sorted(FIELDS.findall(message.string))


def test_the_compiled_catalogue_is_that_of_the_po_file():
    compiled = BytesIO()
    mofile.write_mo(compiled, catalogue.translated())
    assert catalogue.MO.read_bytes() == compiled.getvalue(), "run: python -m tests.catalogue"


@pytest.fixture
def bare(monkeypatch, tmp_path):
    for name in ("LABKIT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_the_variable_decides(bare):
    bare.setenv("LANG", "en_GB.UTF-8")
    bare.setenv("LABKIT_LANG", "ru")
    assert words.language() == "ru" and words._("cached") == "из кэша"


def test_else_the_folder_of_the_lesson(bare, tmp_path):
    (tmp_path / "notebooks/ru").mkdir(parents=True)
    bare.setenv("LANG", "en_GB.UTF-8")
    bare.chdir(tmp_path / "notebooks/ru")
    assert words.language() == "ru"


def test_else_the_locale(bare):
    bare.setenv("LANG", "ru_RU.UTF-8")
    assert words.language() == "ru"


def test_else_english(bare):
    bare.setenv("LANG", "de_DE.UTF-8")
    assert words.language() == "en" and words._("cached") == "cached"


def test_numbers_are_written_as_in_russian(monkeypatch):
    monkeypatch.setenv("LABKIT_LANG", "ru")
    assert units.size(78_100_000) == "78,1 МБ"
    assert units.duration(7.26) == "7,3 с"
