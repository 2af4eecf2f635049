"""Typed errors: each says in one sentence what was wrong, with which file, and what to do."""


class VivaeError(Exception):
    """Base of every error that vivae raises on purpose."""


class InputError(VivaeError):
    """The input or the request cannot be used as given."""


class FormatError(InputError):
    """A file is damaged, truncated or not of the expected format."""


class ModelMismatch(FormatError):
    """A file was made with another model than the one at hand."""


class UnsupportedError(InputError):
    """A valid request that this version, build or machine cannot serve."""


class OutputError(VivaeError):
    """The result could not be written (disk full, no permission, target exists)."""


class Interrupted(VivaeError):
    """Work was stopped by a signal; what is kept and how to go on is in the message."""
