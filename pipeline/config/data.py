"""How the data set is read, where the config names its files and no imported artifact."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from strop.pipeline.config.section import Section


class Data(Section):
    """How `dataset` is read, where it is a folder or a file; as `strop import` would."""

    format: Literal["beir", "flagembedding", "trec", "huggingface", "table"] = "beir"
    """The format of the files."""
    columns: dict[str, str] = Field(default={})
    """Which column is what, by strop's names: query, query_id, passage, passage_id, title,
    negative, grade, score, split, weight, group_id, parent_id."""
    test_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of train queries kept as test when the data set has no test split."""
    split_by: Literal["query", "source", "time"] = "query"
    """What decides where a query goes: its group, the document of its first positive, or when it
    was asked."""
    time_field: str = Field(default="time", min_length=1)
    """The queries' field to cut by time."""
    chunk_words: int | None = Field(default=None, ge=8, le=100_000)
    """Words of a chunk that longer passages are cut into; a document ranks like its best chunk
    (MaxP). Null cuts none."""
    chunk_overlap: int = Field(default=0, ge=0)
    """Words that a chunk has in common with the one before."""

    @field_validator("columns")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        from strop.pipeline.data.readers.options import COLUMNS

        for name in value:
            if name not in COLUMNS:
                raise ValueError(f"{name!r} is unknown, expected one of {', '.join(COLUMNS)}")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.chunk_words is None and self.chunk_overlap:
            raise ValueError("data.chunk_overlap needs data.chunk_words")
        if self.chunk_words is not None and self.chunk_overlap >= self.chunk_words:
            raise ValueError(
                f"data.chunk_overlap = {self.chunk_overlap} is not below "
                f"data.chunk_words = {self.chunk_words}"
            )
        return self
