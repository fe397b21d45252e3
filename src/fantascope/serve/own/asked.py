"""What our own wire takes beside the requests of tasks: query parameters, and the bodies of small commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fantascope.gallery.index import Filters
from fantascope.gallery.people import MAX_DAYS, MAX_LABEL
from fantascope.gallery.pictures import THUMB_SIDES
from fantascope.gallery.records import read_time
from fantascope.request import MAX_SEED, MAX_TEXT
from fantascope.serve.fair import Priority
from fantascope.serve.links import DAY, LIFE
from fantascope.serve.own.shapes import Shape

MOST_LISTED = 200
MOST_SKIPPED = 1_000_000
MOST_CREDITS = 10**9
WEEK = 7 * DAY
CLEAN = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
"""No control characters but tabs and line feeds."""

Words = Annotated[str, Field(max_length=MAX_TEXT, pattern=CLEAN)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9._-]+$")]
Why = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True)


class WaitQuery(_Query):
    wait: bool = Field(False, description="answer when the job is done, with what it made")


class JobsQuery(_Query):
    status: Literal["queued", "running", "done", "failed", "cancelled"] | None = None
    limit: int = Field(50, ge=1, le=MOST_LISTED)
    offset: int = Field(0, ge=0, le=MOST_SKIPPED)


Time = Annotated[str, Field(max_length=40, pattern=CLEAN, json_schema_extra={"format": "date-time"})]
"""ISO 8601, a day or a moment; UTC where it names no zone."""


class FilterQuery(_Query):
    text: str | None = Field(None, max_length=400, pattern=CLEAN, description="words that all stand in the prompt")
    model: str | None = Field(None, max_length=64, pattern=CLEAN)
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
    given: bool | None = Field(None, description="true: handed in; false: made here")
    since: Time | None = Field(None, description="kept then or later: a day or a moment, UTC where it names no zone")
    until: Time | None = Field(None, description="kept before then")

    def filters(self) -> Filters:
        """Return what the gallery is to be limited to.

        Raises:
            InvalidValue: a time is none, or nothing can be between the two.
        """
        since, until = (
            None if text is None else read_time(text, name)
            for name, text in (("since", self.since), ("until", self.until))
        )
        return Filters(self.text, self.model, self.seed, None, self.given, since, until)


class SearchQuery(FilterQuery):
    limit: int = Field(20, ge=1, le=MOST_LISTED)


class LikeQuery(SearchQuery):
    like: str = Field(max_length=80, pattern=CLEAN, description="id of a picture")


class GalleryQuery(FilterQuery):
    limit: int = Field(50, ge=1, le=MOST_LISTED)
    before: str | None = Field(None, max_length=80, pattern=CLEAN, description="id of the last of the page before")


class LimitQuery(_Query):
    limit: int = Field(50, ge=1, le=MOST_LISTED)


class SideQuery(_Query):
    side: int = Field(256, ge=THUMB_SIDES[0], le=THUMB_SIDES[1], description="longer side, pixels")


class LifeQuery(_Query):
    seconds: int = Field(LIFE, ge=1, le=WEEK)


class TopQuery(_Query):
    top: int = Field(8, ge=1, le=50, description="drawings of each thing")


class ForceQuery(_Query):
    force: bool = Field(False, description="also when others were made from it")


class PromptBody(Shape):
    prompt: Words
    model: str | None = Field(None, max_length=64, pattern=CLEAN)
    grammar: Literal["plain", "a1111"] | None = None


class ExpandBody(Shape):
    prompt: Annotated[Words, Field(min_length=1, max_length=2000)]
    strength: float = Field(0.6, ge=0, le=1, allow_inf_nan=False)
    seed: int = Field(0, ge=0, le=MAX_SEED)
    model: str | None = Field(None, max_length=64, pattern=CLEAN)


class JudgeBody(Shape):
    text: Annotated[Words, Field(min_length=1)]


class AppealBody(Shape):
    why: Why


class DecideBody(Shape):
    verdict: Literal["allow", "uphold"]
    why: Why


class UserBody(Shape):
    name: Name
    plan: Annotated[str, Field(max_length=64, pattern=CLEAN)]
    operator: bool = False


class ChangeBody(Shape):
    plan: Annotated[str, Field(max_length=64, pattern=CLEAN)] | None = None
    disabled: bool | None = None
    operator: bool | None = None


class TokenBody(Shape):
    label: str = Field("", max_length=MAX_LABEL, pattern=CLEAN)
    days: float | None = Field(None, gt=0, le=MAX_DAYS, allow_inf_nan=False)


class PriorityBody(Shape):
    priority: Priority


class TopupBody(Shape):
    credits: float = Field(gt=0, le=MOST_CREDITS, allow_inf_nan=False)
    note: str = Field("", max_length=200, pattern=CLEAN)


BODIES: tuple[type[BaseModel], ...] = (
    PromptBody,
    ExpandBody,
    JudgeBody,
    AppealBody,
    DecideBody,
    UserBody,
    ChangeBody,
    TokenBody,
    TopupBody,
    PriorityBody,
)
