"""Which build of Argon2 hashes here: the portable one of its package, or one that this machine's processor runs faster.

Both are of the same source and make the same hashes. `deploy/build-argon2` puts the second one into the virtualenv. Its
name says of which version of the package it is, and for which processors: after an upgrade it is not found, rather than
out of date. The package takes the module that is there when it is first imported, so the choice comes before that.
"""

import sys
from functools import cache
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import structlog

from auth_service.settings import X86_64_V3, runs_x86_64_v3

log = structlog.get_logger()

PORTABLE = "portable"
PACKAGE = "argon2-cffi-bindings"
_MODULE = "_argon2_cffi_bindings._ffi"
# Of the reference implementation's own tests (src/test.c): this is the hash of this password.
_KNOWN = b"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
_PASSWORD, _OTHER = b"password", b"passwore"


def place() -> Path:
    """Return where the build for x86-64-v3 has to lie; raises PackageNotFoundError without the package."""
    return Path(sys.prefix, "lib", "argon2", f"{PACKAGE}-{version(PACKAGE)}-{X86_64_V3}.abi3.so")


@cache
def choose() -> None:
    """Let this process hash with the faster build, if it is there, works, and no other has been imported.

    The first call decides, and says so if there is one that does not work.
    """
    if _MODULE in sys.modules or not runs_x86_64_v3():
        return
    try:
        file = place()
        if file.exists():
            sys.modules[_MODULE] = _tried(file)
    except (ImportError, OSError, AttributeError, ValueError) as error:  # no reason not to hash
        sys.modules.pop(_MODULE, None)  # where loading it has put it
        log.warning("hashing.build_unusable", because=f"{type(error).__name__}: {error}")


def running() -> str:
    """Return which build this process hashes with: `portable` or `x86-64-v3`."""
    file = getattr(sys.modules.get(_MODULE), "__file__", None)
    return X86_64_V3 if file and X86_64_V3 in Path(file).name else PORTABLE


def _tried(file: Path) -> ModuleType:
    """Return the module.

    Raises:
        ImportError: it cannot be loaded here.
        AttributeError: it is another module.
        ValueError: it does not compute Argon2.
    """
    spec = spec_from_file_location(_MODULE, file)
    if not spec or not spec.loader:
        raise ImportError(f"{file}: no extension module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    lib = module.lib
    answers = [lib.argon2_verify(_KNOWN, password, len(password), lib.Argon2_id) for password in (_PASSWORD, _OTHER)]
    if answers != [lib.ARGON2_OK, lib.ARGON2_VERIFY_MISMATCH]:
        raise ValueError(f"{file}: a known answer is wrong")
    return module
