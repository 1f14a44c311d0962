"""The model artifact: a content fingerprint of a model on this machine, without its weights."""

import json
from typing import Any

from strop.artifacts.manifest import Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.progress import Progress
from strop.tasks.models_by_name import kept_reranker, model_by_name
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("import model")
def import_model(place: Place, name: str, what: str | None = None) -> Any:
    """Fingerprint a model; a model that was trained anew under the same name gets another id.

    One that is a reranker of the store stands in its lineage. Raises `InputError` for one that is
    not there, which names ``what`` it was given as: the config's key, or an option.
    """
    store = place.open()
    kept, folder = kept_reranker(store, name, what), model_by_name(store, name, what)
    inputs = {"reranker": kept.ref} if kept else {}
    recipe = Recipe("model", "import model", 1, {"files": folder.sha256_by_file}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        text = json.dumps(folder.sha256_by_file, indent=1, sort_keys=True)
        (attempt.folder / "files.json").write_text(text, encoding="utf-8")
        return {"name": name, "files": len(folder.sha256_by_file)}

    return carry_out(place, recipe, compute)
