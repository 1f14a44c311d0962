"""How a passage reads as one text."""


def passage_text(title: str, text: str) -> str:
    """What models read of a passage: its title, if any, and its text."""
    return f"{title} {text}".strip()
