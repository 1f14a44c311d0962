from strop.pipeline.config.changes import with_values
from strop.pipeline.config.data import Data
from strop.pipeline.config.evaluation import Decision, Evaluation, GuardSet
from strop.pipeline.config.execution import EXECUTION, Execution
from strop.pipeline.config.first_stage import Bm25, FirstStage, VectorIndex
from strop.pipeline.config.losses import Loss
from strop.pipeline.config.mining import GIVEN, Curriculum, Guard, Mining, Pool, Quotas
from strop.pipeline.config.models import BUNDLED, BiEncoder, Reranker
from strop.pipeline.config.presets import CHANGES, with_preset
from strop.pipeline.config.run import Config
from strop.pipeline.config.section import IN_WORDS, Name, Section
from strop.pipeline.config.training import Lora, Training

__all__ = [
    "BUNDLED",
    "CHANGES",
    "EXECUTION",
    "GIVEN",
    "IN_WORDS",
    "BiEncoder",
    "Bm25",
    "Config",
    "Curriculum",
    "Data",
    "Decision",
    "Evaluation",
    "Execution",
    "FirstStage",
    "Guard",
    "GuardSet",
    "Lora",
    "Loss",
    "Mining",
    "Name",
    "Pool",
    "Quotas",
    "Reranker",
    "Section",
    "Training",
    "VectorIndex",
    "with_preset",
    "with_values",
]
