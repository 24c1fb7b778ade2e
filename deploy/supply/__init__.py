"""What the service is built from: known vulnerabilities of the locks, and a bill of materials of the image."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
