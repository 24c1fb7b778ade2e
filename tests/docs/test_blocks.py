"""Every fenced block of the pages is run by a test, as it stands there, or says why it cannot be."""

import ast
import json
import re
import subprocess
from collections import Counter

from tests.support.claims import claimed
from tests.support.markdown import PAGES, ROOT, SHELLS, blocks

# How many blocks of a page are still to be looked at. A page that loses its last one loses its line.
NOT_YET: Counter[str] = Counter()

BLOCKS = [one for page in PAGES for one in blocks(str(page.relative_to(ROOT)))]


def test_every_block_is_run_by_a_test_or_says_why_not() -> None:
    """To run one: a comment above it in the page, and `@runs(page, name)` above the test (tests/support/claims.py).

    Otherwise a line above it, `*Not run by a test: why.*`, which tells the reader of the page.
    """
    left = [one for one in BLOCKS if one.reason is None and (one.page, one.name) not in claimed()]
    assert Counter(one.page for one in left) <= NOT_YET, "\n".join(map(str, left))


def test_no_block_says_that_it_is_not_run_and_is() -> None:
    assert [str(one) for one in BLOCKS if one.reason and (one.page, one.name) in claimed()] == []
    assert [str(one) for one in BLOCKS if one.reason is not None and len(one.reason) < 20] == []


def test_every_block_that_a_test_claims_is_there_once() -> None:
    named = Counter((one.page, one.name) for one in BLOCKS)
    assert {claim: named[claim] for claim in claimed()} == dict.fromkeys(claimed(), 1)


def test_no_fence_is_missed() -> None:
    """Each ``` opens or closes a block that is found."""
    fences = {page: len(re.findall(r"^[\s>]*(?:```|~~~)", page.read_text("utf-8"), re.MULTILINE)) for page in PAGES}
    found = Counter(one.page for one in BLOCKS)
    assert {str(page.relative_to(ROOT)): 2 * found[str(page.relative_to(ROOT))] for page in PAGES} == {
        str(page.relative_to(ROOT)): count for page, count in fences.items()
    }


def test_every_block_is_at_least_of_its_language() -> None:
    """Those that are not run, too."""
    for one in BLOCKS:
        if one.language in SHELLS:
            done = subprocess.run(
                ["bash", "-n"], input=one.text, capture_output=True, text=True, timeout=10, check=False
            )
            assert (done.returncode, done.stderr) == (0, ""), one
        elif one.language == "python":
            ast.parse(one.text, str(one))
        elif one.language == "json":
            json.loads(one.text)
