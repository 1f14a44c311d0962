"""Work for a cluster whose worker dies over it, once."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.store import Store
from strop.pipeline.progress import Progress
from strop.tasks.work import Models


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; over a row that is ``fatal`` it kills its process, unless it did before."""

    fatal: int
    marker: Path | None

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        if self.fatal in rows["n"].to_pylist() and not (self.marker and self.marker.exists()):
            if self.marker:
                self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return pa.table({"n": pc.multiply(rows["n"], 2)})
