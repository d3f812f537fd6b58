"""Every path of every job, as stories that are told over HTTP to a whole installation.

What plays them differs: `tests/replay/record.py` saves the histories of a release, and tests play them with crashes,
cancellations and counters put in. A path that is written here is taken by all of them.
"""

from tests.paths import applications, carts, certificates, learning, orders, recurring, refunds, reports  # noqa: F401
from tests.paths.scene import PATHS, Path, Scene

__all__ = ["PATHS", "Path", "Scene"]
