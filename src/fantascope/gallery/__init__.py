"""The gallery: content-addressed files, an index of them and the cost ledger.

    folder/
      gallery.db          index, receipts and ledger (SQLAlchemy Core; SQLite in WAL mode unless a URL is given)
      objects/ab/cdef….png  the bytes of `sha256:abcdef…`, written once, never changed
      objects/tmp/        files being written; a name starts with the owner that writes it
      locks/              one locked file per open gallery: who is alive, whatever happened to the rest
      thumbs/             small copies, made again when missing

`records` holds what is handed out, `files` the folder, `schema` tables, migrations and connections, `index` and
`ledger` the rows, `plans` and `pots` the rules of credits, `appeals` what was refused and decided, `pictures` all
decoding, `check` verify and sweep, `store` the class that joins them. Importing this package does not import
SQLAlchemy; opening a gallery does.
"""

from fantascope.gallery.records import Balance, Decision, Entry, Expiring, Line, Problem, Refusal
from fantascope.gallery.store import Gallery

__all__ = ["Balance", "Decision", "Entry", "Expiring", "Gallery", "Line", "Problem", "Refusal"]
