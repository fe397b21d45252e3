"""Policy as data: what may be asked for, under which licence, and what it costs. docs/policy.md explains the rules."""

from fantascope.policy.cost import quote
from fantascope.policy.licence import check_licence
from fantascope.policy.picture import Judge, check_pictures
from fantascope.policy.text import Explanation, Policy

__all__ = ["Explanation", "Judge", "Policy", "check_licence", "check_pictures", "quote"]
