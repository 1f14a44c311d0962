"""`strop ui`: open the Prefect UI, or stop the managed server."""

import webbrowser

from strop.cli.output import console
from strop.cli.server import ensure_server, stop_server


def open_ui(*, stop: bool, show: bool) -> None:
    """Open the UI in a browser, print its address alone for scripts, or stop the server."""
    out = console()
    if stop:
        out.print("stopped" if stop_server() else "no managed server was running")
        return
    beside = console(stderr=show)
    server = ensure_server(lambda text: beside.print(text, style="dim"))
    out.print(server.ui_url)
    if not show:
        webbrowser.open(server.ui_url)
