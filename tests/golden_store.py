"""Write the golden store of this version: `python -m tests.golden_store` in a checkout.

A store of each format version stays as it is for good: it shows that newer versions read it and
give the same ids. Only a new format version adds another one.
"""

import shutil
from pathlib import Path

from strop.artifacts.mark import FORMAT
from tests.store_world import store_world

GOLDEN = Path(__file__).parent / "golden" / f"store-{FORMAT}"
NOT_KEPT = ("pins", "index", "gc", "work")
"""What is no part of a store's content."""


def write() -> None:
    """Make the store; refuses to write over one."""
    store = store_world(GOLDEN)
    for name in NOT_KEPT:
        shutil.rmtree(store.root / name, ignore_errors=True)
    shutil.rmtree(store.root / "runs" / "tiny" / "lease")


if __name__ == "__main__":
    if GOLDEN.exists():
        raise SystemExit(f"{GOLDEN}: is there already; golden stores are never written anew")
    write()
