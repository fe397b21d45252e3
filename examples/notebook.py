"""What a notebook cell holds: the last line shows the picture."""

from fantascope import imagine

picture = imagine("a red car", seed=3)
picture  # noqa: B018
