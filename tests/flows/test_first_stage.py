"""What the first stage refuses before any work; `tests/end_to_end` has the stages it makes."""

from pathlib import Path

import pytest

from strop.flows.first_stage import check_sources
from strop.pipeline.config import BiEncoder, Config, FirstStage, Mining, Pool


def config(*sources: str, encoders: tuple[str, ...] = ()) -> Config:
    pools = tuple(Pool(source=source) for source in sources)
    more = {name: BiEncoder() for name in encoders}
    return Config(mining=Mining(more_pools=pools), first_stage=FirstStage(more_encoders=more))


def test_retrievers_encoders_and_files_are_sources(tmp_path: Path) -> None:
    run = tmp_path / "my.run"
    run.write_text("q1 Q0 p1 1 1.0 x\n")
    check_sources(config("dense", "bm25", "fused", "given", "small", str(run), encoders=("small",)))


def test_a_source_from_nowhere_is_refused_with_its_place_and_those_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mining\.more_pools\[1\]\.source = 'bm52'.*bm25.*small"):
        check_sources(config("bm25", "bm52", encoders=("small",)))
    with pytest.raises(ValueError, match="no such file"):
        check_sources(config(str(tmp_path)))


def test_an_encoder_may_not_take_a_retriever_s_name() -> None:
    with pytest.raises(ValueError, match=r"first_stage\.more_encoders\.bm25: a name that strop"):
        check_sources(config(encoders=("bm25",)))
