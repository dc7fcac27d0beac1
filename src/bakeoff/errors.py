"""The errors a user can meet. Each says what was wrong and, as its hint, what to do about it."""


class BakeoffError(Exception):
    """What was wrong (`message`) and what to do (`hint`); the command prints them as its two lines."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message, self.hint = message, hint

    def __reduce__(self):
        return type(self), (self.message, self.hint)


class DataError(BakeoffError):
    """A data file or record is not what was expected: names the file, the row or field, what was found."""


class DigestError(BakeoffError):
    """A digest cannot be read: unknown form, binary, empty, too large."""


class UnknownPaper(BakeoffError):
    """No paper of the library goes by that slug."""


class PaperError(BakeoffError):
    """A paper file does not have the form that every paper file has."""


class StoreError(BakeoffError):
    """The store cannot be opened, read or written."""


class NotFitted(BakeoffError):
    """A method was used before `fit`."""

    def __init__(self, message: str = "this method has not been fitted", hint: str = "Call fit(...) first."):
        super().__init__(message, hint)


class OverBudget(BakeoffError):
    """An arm spent more than its budget allows."""


class MissingPackage(BakeoffError):
    """An optional package is not installed; the hint names the extra that brings it."""

    def __init__(self, package: str, extra: str):
        super().__init__(f"the package {package!r} is not installed", f"Install it with: pip install 'bakeoff[{extra}]'")
        self.package, self.extra = package, extra

    def __reduce__(self):
        return type(self), (self.package, self.extra)
