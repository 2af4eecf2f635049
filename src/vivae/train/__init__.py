"""Training: recipes, cleaned footage, the loop, checkpoints.

`vivae.train` is this package and also, called, the verb: `vivae.train("base", "my_videos/")`; see
`vivae.app.training.train` for its arguments.
"""

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    """A module cannot otherwise share its name with a function, and the command line's names are fixed."""

    def __call__(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        from vivae.app.training import train

        return train(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule
