"""The tests. The package is imported before every one of them, and so before the modules whose calls are checked."""

from tests import checked

checked.install()
