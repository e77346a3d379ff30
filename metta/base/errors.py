"""The kinds of error a command may end with; each carries one sentence for the user."""


class InputError(Exception):
    """The user gave something wrong (flag, configuration, file, checkpoint, address): exit status 2.

    The message is one sentence that names what was wrong and what is allowed.
    """


class RunError(Exception):
    """Something failed while running that was not wrong in the input (disk, non-finite loss): exit status 1."""


class InUseError(InputError):
    """Another process works on the same thing; the same command may succeed later: exit status 75."""
