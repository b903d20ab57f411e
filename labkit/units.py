"""Bytes and seconds as text, in the learner's language."""

from labkit.words import _, language


def size(size_bytes: int | None) -> str:
    """Bytes as text with three digits, in powers of 1000 as `docker history` counts them.

    None, a size that is not known, is a dash.

    >>> import os; os.environ["LABKIT_LANG"] = "en"
    >>> size(0), size(87), size(4_990_000), size(239_400_000), size(None)
    ('0 B', '87 B', '4.99 MB', '239 MB', '–')
    """
    if size_bytes is None:
        return "–"
    value, units = float(size_bytes), [_("B"), _("kB"), _("MB"), _("GB"), _("TB")]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{_decimal(f'{value:.3g}')} {units[0]}"


def duration(seconds: float | None) -> str:
    """Seconds as text; None, a step that did not run, is an empty string.

    >>> import os; os.environ["LABKIT_LANG"] = "en"
    >>> duration(0.004), duration(7.26), duration(75.0), duration(None)
    ('0.0 s', '7.3 s', '1 min 15 s', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return _decimal(f"{seconds:.1f}") + " " + _("s")
    minutes, rest = divmod(round(seconds), 60)
    return " ".join((str(minutes), _("min"), str(rest), _("s")))


def _decimal(number: str) -> str:
    return number.replace(".", ",") if language() == "ru" else number
