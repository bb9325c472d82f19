"""What must not be wrong anywhere: the modules that publish, verify, load and let in, with their tests.

`make coverage` runs these tests and fails where a line or a branch of these modules is never taken; `make mutation`
changes the modules bit by bit, and fails where too many changes go unseen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    # publish
    "contract/staging.py": ("staging", "store", "system_refusals", "publish_faults"),
    "contract/store.py": ("store", "system_refusals", "pruning", "signing", "publish_faults"),
    "contract/promotion_log.py": (
        *("promotion_log", "promotion_bounds", "long_texts"),
        *("system_refusals", "promotion_faults"),
    ),
    "contract/names.py": ("names", "store"),
    # verify
    "contract/artifact.py": ("artifact", "long_texts", "signing", "bit_flips"),
    "contract/manifest.py": ("manifest", "long_texts", "artifact"),
    "contract/trust.py": ("trust", "signing"),
    "contract/signing.py": ("signing", "long_texts", "system_refusals", "keys", "trust"),
    "contract/keys.py": ("keys", "long_texts", "signing", "system_refusals"),
    "contract/bundles.py": ("bundles",),
    # load
    "contract/trying.py": ("trying",),
    "contract/golden.py": ("golden", "artifact"),
    "contract/formats/pickles.py": ("pickle_policy", "hostile_pickles"),
    "contract/formats/joblib.py": ("joblib", "long_texts", "shared_arrays", "travelling", "pickle_policy"),
    "serving/loading.py": ("loading", "compatibility", "trust", "trying", "pickle_policy"),
    # access
    "serving/access/caller.py": ("access_unlimited", "access_door"),
    "serving/access/credentials.py": ("access_unlimited", "access_door"),
    "serving/access/door.py": ("access_unlimited", "access_settings", "access_tokens", "access_door"),
    "serving/access/followed.py": ("access_keys", "long_texts", "access_settings", "access_tokens"),
    "serving/access/key_file.py": ("access_keys", "long_texts", "system_refusals"),
    "serving/access/keys.py": ("access_keys",),
    "serving/access/porter.py": ("access_door",),
    "serving/access/recent.py": ("access_recent",),
    "serving/access/rules.py": ("access_unlimited", "access_door"),
    "serving/access/schemes.py": ("access_unlimited", "access_door"),
    "serving/access/sight.py": ("access_unlimited", "access_door"),
    "serving/access/token_keys.py": ("access_tokens",),
    "serving/access/tokens.py": ("access_tokens",),
    "serving/at_once.py": ("at_once",),
    # limits
    "contract/limits.py": ("limits",),
    "serving/limiting/charging.py": ("access_unlimited", "limiting_service"),
    "serving/limiting/rates.py": ("limiting", "limiting_alone", "access_unlimited", "limiting_service"),
    "serving/limiting/rules.py": ("limiting",),
    "serving/limiting/settings.py": ("limiting", "limiting_alone", "limiting_service"),
    "serving/limiting/shared.py": ("limiting_alone", "redis"),
    "serving/limiting/windows.py": ("limiting", "limiting_alone"),
}
"""Of each module the files of its tests, those first that see the most."""
REDIS = shutil.which("redis-server")
NEED_REDIS = ("serving/limiting/shared.py",)
"""`make unit-redis` puts one on the machine."""
ENVIRONMENT = {"TEST_REDIS_SERVER": REDIS or ""}
"""What the tests want to be told."""
COVERAGE = """\
[run]
branch = true
parallel = true
patch = subprocess
data_file = {folder}/data
include = {root}/contract/*, {root}/serving/*
[report]
include = {modules}
exclude_also = if TYPE_CHECKING:
show_missing = true
skip_covered = true
fail_under = 100
"""


def guarded() -> list[str]:
    """The modules whose tests can run here."""
    if REDIS is None:
        print(f"Without redis-server {' and '.join(NEED_REDIS)} cannot be held to this: see `make unit-redis`.")
    return [module for module in TESTS if REDIS or module not in NEED_REDIS]


def test_files(*modules: str) -> list[str]:
    """The tests of these modules."""
    names = dict.fromkeys(name for module in modules for name in TESTS[module])
    return [f"tests/test_{name}.py" for name in names]


def main() -> int:
    """Run the tests under coverage, also in the processes they start; tell what was never run."""
    folder = ROOT / "build" / "coverage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = folder / "settings.ini"
    modules = guarded()
    listed = ", ".join(str(ROOT / module) for module in modules)
    settings.write_text(COVERAGE.format(folder=folder, root=ROOT, modules=listed), encoding="utf-8")

    def coverage(*arguments: str) -> int:
        command = [sys.executable, "-m", "coverage", arguments[0], f"--rcfile={settings}", *arguments[1:]]
        return subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, check=False).returncode

    failed = coverage("run", "-m", "pytest", "--quiet", *test_files(*modules))
    return coverage("report") or failed


if __name__ == "__main__":
    sys.exit(main())
