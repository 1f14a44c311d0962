"""The data set that a config names, as what to import."""

from strop.pipeline.config import Config
from strop.pipeline.data.chunks import Chunking
from strop.pipeline.data.importing import Request
from strop.pipeline.data.locations import location
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.data.wording import CONFIG


def configured_request(config: Config) -> Request:
    """The data that a config names, read as its `data` says."""
    said = config.data
    rule = SplitRule(
        dev_share=config.dev_share,
        gate_share=config.gate_share,
        seed=config.seed,
        test_share=said.test_share,
        by=said.split_by,
        time_field=said.time_field,
        wording=CONFIG,
    )
    chunks = Chunking(said.chunk_words, said.chunk_overlap) if said.chunk_words else None
    path = location(config.dataset)
    return Request(said.format, path, Options(dict(said.columns), CONFIG), rule, chunks)
