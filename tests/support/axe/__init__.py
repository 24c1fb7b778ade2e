"""axe-core: looks for what keeps somebody from using a page, in the browser that shows it.

package-lock.json pins it by hash; no script of it is run by npm.
"""

import shutil
import subprocess
from pathlib import Path

from tests.support.browser import Browser

HERE = Path(__file__).parent
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RUN = """
const {violations} = await axe.run(document, {runOnly: {type: "tag", values: args[0]}, resultTypes: ["violations"]});
return violations.map(({id, nodes}) => `${id}: ${nodes.map(({html, failureSummary}) => html + failureSummary)}`);
"""


class Axe:
    """The script, installed into a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self._script = (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")

    def barriers(self, browser: Browser) -> list[str]:
        """Return what is wrong with the page that is open. The policy of a page does not bind the test."""
        browser.driver.execute_script(self._script)
        found = browser.run(RUN, RULES)
        assert isinstance(found, list), found
        return found
