"""Addresses and ports: what answers at an API's address, and who holds a port."""

import http.client
import os
import urllib.error
import urllib.request

HOST = "127.0.0.1"
DEFAULT_PORT = 4217
ANSWER_SECONDS = 10.0
NO_API = "there is no Prefect API (its address ends in /api)"


class ServerUnavailable(Exception):
    """No Prefect server can be used: names the address or port, what was found, the way out."""


def complaint(api_url: str, seconds: float = ANSWER_SECONDS) -> str | None:
    """Return what is wrong with the Prefect API at an address; None when it is healthy."""
    handlers = [urllib.request.ProxyHandler({})] if is_local(api_url) else []
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(f"{api_url}/health", timeout=seconds) as answer:
            is_page = answer.headers.get_content_type() == "text/html"
    except urllib.error.HTTPError as error:
        error.close()
        return _complaint_about_status(error.code)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"nothing healthy answers there ({one_line(reason)})"
    return NO_API if is_page else None


def refused(error: BaseException) -> str | None:
    """What to say of an error that is a server's refusal of who asks; None for any other."""
    answer = getattr(error, "response", None)
    if getattr(answer, "status_code", None) not in (401, 403):
        return None
    return (
        f"the Prefect server at {os.environ.get('PREFECT_API_URL')} refuses to be asked; set "
        "PREFECT_API_AUTH_STRING to its USER:PASSWORD (PREFECT_API_KEY for Prefect Cloud)"
    )


def _complaint_about_status(code: int) -> str | None:
    if code in (401, 403):
        return None  # it is there; prefect knows the key
    return NO_API if code == 404 else f"its /health answers {code}"


def is_local(url: str) -> bool:
    """Say whether a URL means this machine, which no proxy may see."""
    return url.startswith((f"http://{HOST}:", "http://localhost:"))


def server_port() -> int:
    """Return the port that the managed server is to use."""
    text = os.environ.get("STROP_SERVER_PORT") or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ServerUnavailable(f"STROP_SERVER_PORT is {text!r}; it must be between 1 and 65535")
    return int(text)


def one_line(value: object) -> str:
    """Return a text short enough for an error's one line."""
    return " ".join(str(value).split())[:200]
