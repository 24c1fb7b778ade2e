"""What PostgreSQL's own client library reads in a URL: that of the package whose programs the tests run."""

import ctypes
import functools

from .postgres import installed


class _Option(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    found = ctypes.CDLL(str(installed().parent / "lib" / "libpq.so.5"))
    for function in (found.PQconndefaults, found.PQconninfoParse):
        function.restype = ctypes.POINTER(_Option)
    return found


def options() -> dict[str, str | None]:
    """Return the name of each option that there is, and its variable."""
    library = _library()
    found = library.PQconndefaults()
    named = {option.keyword.decode(): option.envvar and option.envvar.decode() for option in _each(found)}
    library.PQconninfoFree(found)
    return named


def read(url: str) -> dict[str, str] | None:
    """Return what a URL sets, by the names of options; None if libpq refuses it."""
    library = _library()
    found = library.PQconninfoParse(url.encode(), None)
    if not found:
        return None
    values = {option.keyword.decode(): option.val.decode(errors="replace") for option in _each(found) if option.val}
    library.PQconninfoFree(found)
    return values


def _each(found: "ctypes._Pointer[_Option]") -> list[_Option]:
    named: list[_Option] = []
    while found[len(named)].keyword:
        named.append(found[len(named)])
    return named
