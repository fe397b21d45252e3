"""Our own wire: every task, job and picture, under `/v1/fantascope`."""

from fantascope.serve.own.replies import error_reply
from fantascope.serve.own.routes import router

__all__ = ["error_reply", "router"]
