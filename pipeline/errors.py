"""The error that bad input raises; the command line prints it as one line and exits with 2."""


class InputError(ValueError):
    """Input that a person can mend: names the thing, the value found and the way out."""
