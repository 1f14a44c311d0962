"""`strop demo`: three real rounds on the documentation of the installed Python packages."""

from pathlib import Path
from typing import Any

from rich.console import Console

from strop.artifacts.store import Store
from strop.cli.options import where
from strop.cli.output import console
from strop.cli.results import relative
from strop.cli.running import prefect_server, shown
from strop.cli.runs import show_results
from strop.pipeline.config import (
    BiEncoder,
    Config,
    Decision,
    Evaluation,
    FirstStage,
    Guard,
    Mining,
    Quotas,
    Reranker,
    Training,
)


def run_demo(
    store: str, *, seed: int, small: bool, json: bool, profile: Path | None = None
) -> None:
    """Build the data, run the rounds, show the table and what to try next."""
    opened = Store(store)
    out = console(stderr=json)
    out.print(INTRODUCTION.format(negatives=GROUP_SIZES[small] - 1), markup=True)
    with prefect_server(out) as server:
        from strop.flows.import_data import import_docs
        from strop.flows.improve import improve

        def work() -> Any:
            dataset = import_docs(opened.location, SMALL_SIZES if small else SIZES, seed)
            config = demo_config(dataset.id, seed=seed, small=small)
            return config, improve(config, opened.location)

        config, reason = shown(out, work, profile=profile)
    show_results(config, opened, json=json, extra={"decision": reason, "ui": server.ui_url})
    if not json:
        print_next(out, relative(opened.location))


def print_next(out: Console, place: str) -> None:
    """What to try next with the store at a place."""
    steps = {f"strop artifacts ls{where(place)}": LOOK, **NEXT}
    width = max(map(len, steps))
    lines = [f"  {command:<{width}}  {does}" for command, does in steps.items()]
    out.print("\n".join(["\nTry next:", *lines]), soft_wrap=True, markup=False, highlight=False)


def demo_config(dataset: str, *, seed: int, small: bool) -> Config:
    """The demo's config: groups smaller and passages shorter than usual, so that it fits a CPU."""
    name = f"demo{'-small' if small else ''}{'' if seed == 1 else f'-seed-{seed}'}"
    return Config(
        name=name,
        dataset=dataset,
        seed=seed,
        rounds=3,
        bi_encoder=BiEncoder(max_tokens=64),
        first_stage=FirstStage(depth=100),
        reranker=Reranker(max_tokens=64, max_query_tokens=20, batch_tokens=2048),
        mining=Mining(
            pool_size=4 if small else 12,
            window_size=20 if small else 100,
            group_size=GROUP_SIZES[small],
            queries_per_round=16 if small else 400,
            quotas=Quotas(reranker_hard=0.45, random=0.55),
            guard=Guard(margin=-3.0, first_stage_margin=-0.15),
        ),
        training=Training(
            learning_rate=1e-4,
            schedule="linear",
            warmup_share=0.06,
            groups_per_step=1,
            dropout=0.0,
            micro_batch_tokens=1024,
            frozen_layers=2,
        ),
        evaluation=Evaluation(depth=4 if small else 10),
        decision=Decision(min_gate_queries=20),
    )


INTRODUCTION = """[bold]strop demo[/]: a docstring's first sentence is the query, the rest of the \
docstring the passage to find.
[dim]Bi-encoder and reranker base: MiniLM-L6, bundled. Groups of 1:{negatives} and pairs of 64 \
tokens, so that it fits two CPU cores; the default is 1:15 and 256.[/]"""

LOOK = "every stage's artifact, with its id and headline figures"
NEXT = {
    "strop ui": "the flow runs, their logs and artifacts in the Prefect UI",
    "strop init && strop import beir DIR": "your own data: a BEIR folder and a config",
}

GROUP_SIZES = {False: 8, True: 6}
"""Members of a group: of the demo, and of the small one."""
SIZES = {"passages": 3500, "train": 1200, "dev": 150, "gate": 600, "test": 420}
SMALL_SIZES = {"passages": 300, "train": 60, "dev": 20, "gate": 20, "test": 30}
