"""The part of `Gallery` that is about what pictures look like: which were not looked at yet, and which are alike.

It looks at nothing itself: vectors are made by whoever has a model, which is named by the sha256 of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fantascope.errors import InvalidValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fantascope.gallery.index import Filters
    from fantascope.gallery.records import Entry
    from fantascope.gallery.schema import Database

    Floats = NDArray[np.float32]


class Sight:
    """What `Gallery` does with what pictures look like. A view (`Gallery.of`) does it with what its account owns."""

    _only: str | None
    _database: Database
    if TYPE_CHECKING:

        def _entry(self, row: Any) -> Entry: ...

    def unseen(self, model: str, limit: int) -> tuple[list[str], int]:
        """Return ids of pictures that have no vector of this model, newest first, and how many there are in all."""
        from fantascope.gallery import looks

        with self._database.read() as tx:
            return looks.unseen(tx, model, limit, self._only)

    def enter_looks(self, model: str, vectors: Mapping[str, Floats | None]) -> None:
        """Write down what pictures look like; those that were removed meanwhile are left out.

        Args:
            vectors: Id -> (D,) of unit length, or None where a picture cannot be seen and is not to be asked for again.
        """
        from fantascope.gallery import looks

        with self._database.write(durable=False) as tx:
            for artifact, vector in vectors.items():
                looks.enter(tx, model, artifact, vector, self._only)

    def look_of(self, ref: str, model: str) -> tuple[str, Floats | None]:
        """Return the id of a picture, found as `get` does, and its vector where one of this model is known.

        Raises:
            NotFound, InvalidValue: as `get` says.
        """
        from fantascope.gallery import looks

        with self._database.read() as tx:
            return looks.look_of(tx, ref, model, self._only)

    def alike(
        self,
        vector: Floats,
        model: str,
        limit: int = 20,
        *,
        but: str | None = None,
        filters: Filters | None = None,
    ) -> list[tuple[Entry, float]]:
        """Return the pictures whose vectors are nearest, each with its distance, nearest first.

        The distance is 1 minus the cosine: 0 for the same picture, about 1 for one that has nothing in common with it.

        Args:
            vector: What is asked for, (D,).
            model: sha256 of the weights that made it.
            limit: At most this many, from 1 on.
            but: Id of a picture that is left out.
            filters: As for a listing.

        Raises:
            InvalidValue: `limit` is less than 1.
        """
        import numpy as np

        from fantascope.gallery import index, looks

        if limit < 1:
            raise InvalidValue(f"limit is 1 or more, not {limit}.", param="limit")
        with self._database.read() as tx:
            told = filters if filters is not None else index.Filters()
            ids, rows = looks.vectors(tx, model, len(vector), told, self._only)
        length = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
        distance = 1 - rows @ vector / np.maximum(length, 1e-9)
        nearest = [k for k in np.argsort(distance, kind="stable")[: limit + 1] if ids[k] != but][:limit]
        wanted = {ids[k]: round(max(0.0, float(distance[k])), 4) for k in nearest}
        with self._database.read() as tx:
            entries = {row.id: self._entry(row) for row in looks.named(tx, wanted, self._only)}
        return [(entries[id], apart) for id, apart in wanted.items() if id in entries]
