"""`strop promote`: a person's word on a challenger that won, where the config asks for it."""

from strop.cli.mine import config_of
from strop.cli.options import existing_store
from strop.cli.output import console, print_json
from strop.cli.running import prefect_server, shown


def run_promote(name: str, store: str, *, note: str, json: bool) -> None:
    """Promote the challenger of a run and say what became of it."""
    opened = existing_store(store)
    run = config_of(opened, name).name
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.promote import approve

        outcome = shown(out, lambda: approve(run, opened.location, note))
    if json:
        print_json({"run": run, "decision": outcome})
    else:
        out.print(outcome)
