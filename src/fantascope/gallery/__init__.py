"""The gallery: content-addressed files, an index of them and the cost ledger.

    folder/
      gallery.db          index, receipts and ledger (SQLAlchemy Core; SQLite in WAL mode unless a URL is given)
      objects/ab/cdef….png  the bytes of `sha256:abcdef…`, written once, never changed
      objects/tmp/        files being written; a name starts with the owner that writes it
      locks/              one locked file per open gallery: who is alive, whatever happened to the rest
      thumbs/             small copies, made again when missing

`records` holds what is handed out, `files` the folder, `tables` and `schema` the tables, their migrations and
connections, `index`, `ledger` and `jobs` the rows, `plans` and `pots` the rules of credits, `appeals` what was refused
and decided, `people` who may use a server, `pictures` all decoding, `check` verify and sweep, `backup` copies, `looks`
what pictures look like, `store`, `purse` and `sight` the class that joins them. Importing this package does not import
SQLAlchemy; opening a gallery does.
"""

from fantascope.gallery.records import Balance, Decision, Entry, Expiring, Line, Person, Problem, Refusal, Token
from fantascope.gallery.store import Gallery

__all__ = ["Balance", "Decision", "Entry", "Expiring", "Gallery", "Line", "Person", "Problem", "Refusal", "Token"]
