"""A lesson as it is asked for: a frozen request, whose fields are options of the command and fields of the wire.

What a surface adds beside it is where things are: folders, a device, what to do about a run that was stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field

from fantascope.errors import InvalidValue
from fantascope.request import MAX_SEED, Picture, Request, Text

if TYPE_CHECKING:
    from fantascope.personal.lesson import Lesson

Method = Literal["lora", "dreambooth", "textual-inversion"]
Targets = Literal["attention", "all-linear", "all"]
Optimiser = Literal["adamw", "muon", "adamw8bit"]
Precision = Literal["fp32", "bf16"]

METHODS: tuple[str, ...] = get_args(Method)
TARGETS: tuple[str, ...] = get_args(Targets)
OPTIMISERS: tuple[str, ...] = get_args(Optimiser)
PRECISIONS: tuple[str, ...] = get_args(Precision)

MOST_SENT = 100
"""Most photos of a request; the command takes folders with more."""

Word = Annotated[Text, Field(max_length=64)]
Sentence = Annotated[Text, Field(max_length=2000)]


class Personalise(Request):
    """Teach a model a subject from a few photos: an adapter to paint it anywhere.

    `None` means not given: the default of the base and the method is taken.
    """

    task: Literal["personalise"] = "personalise"
    photos: tuple[Picture, ...] = Field(min_length=1, max_length=MOST_SENT, description="photos of the subject")
    captions: tuple[Sentence, ...] = Field(
        (), max_length=MOST_SENT, description="what is said of each photo, as many as photos; empty texts say nothing"
    )
    name: Word = Field(description="the word that will stand for the subject; it means nothing yet")
    kind: Word = Field(description="the class, what the subject is: dog, mug, alien …")
    licence: str = Field("", max_length=200, description="SPDX id of what is made: that of your photos")
    consent: Sentence = Field("", description='who says yes to this, in a sentence: "I took these photos"')
    people: Sentence = Field("", description='who is shown and agrees, if photos show people: "It is me"')
    method: Method = Field("lora", description=", ".join(METHODS))
    base: str | None = Field(None, max_length=64, description="name of the model to teach (fantascope models list)")
    steps: int | None = Field(None, ge=1, le=100_000, description="training steps")
    batch: int | None = Field(None, ge=1, le=256, description="pictures of the subject a step")
    rate: float | None = Field(None, ge=0, le=1000, allow_inf_nan=False, description="highest learning rate")
    targets: Targets | None = Field(None, description=f"layers that LoRA changes: {', '.join(TARGETS)}")
    rank: int | None = Field(None, ge=1, le=512, description="rank of the LoRA factors")
    alpha: float | None = Field(
        None, ge=0.001, le=10_000, allow_inf_nan=False, description="scale of the LoRA factors; the rank if not given"
    )
    dropout: float | None = Field(None, ge=0, le=0.9, allow_inf_nan=False, description="dropout before the factors")
    text: bool | None = Field(None, description="LoRA in the text encoders, too")
    dora: bool | None = Field(None, description="LoRA that learns a magnitude of every output, too")
    tokens: int | None = Field(None, ge=1, le=16, description="vectors of a textual inversion")
    prior: float | None = Field(
        None, ge=0, le=10, allow_inf_nan=False, description="weight of pictures of the class; 0 uses none"
    )
    class_pictures: int | None = Field(None, ge=0, le=2000, description="pictures of the class, painted once")
    class_batch: int | None = Field(None, ge=1, le=256, description="pictures of the class a step")
    variants: int | None = Field(
        None, ge=1, le=100, description="pictures made of a photo on a plain ground, on other grounds"
    )
    companions: int | None = Field(
        None, ge=0, le=500, description="pictures made of the subject beside other things; 0 makes none"
    )
    ema: float | None = Field(
        None, ge=0, le=0.9999, allow_inf_nan=False, description="decay of a running mean of the weights; 0 keeps none"
    )
    warmup: int | None = Field(None, ge=0, le=100_000, description="steps over which the rate rises from 0")
    cooldown: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="share of the steps, at the end, over which it falls to 0"
    )
    decay: float | None = Field(None, ge=0, le=10, allow_inf_nan=False, description="weight decay")
    gamma: float | None = Field(
        None, ge=0, le=1000, allow_inf_nan=False, description="gamma of min-SNR weighting; 0 is off"
    )
    dropped: float | None = Field(None, ge=0, le=1, allow_inf_nan=False, description="share of captions left out")
    lean: float | None = Field(
        None, ge=0.1, le=10, allow_inf_nan=False, description="below 1, noisy times are learnt more often"
    )
    optimiser: Optimiser | None = Field(None, description=", ".join(OPTIMISERS))
    precision: Precision | None = Field(
        None, description=f"{' or '.join(PRECISIONS)} (autocast); what the device is quicker in if not given"
    )
    checkpointing: bool = Field(False, description="less memory, more time")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seeds weights, noise and grounds")
    pictures: int | None = Field(None, ge=1, le=100_000, description="steps between two sheets of fixed prompts")
    save: int | None = Field(None, ge=1, le=100_000, description="steps between two saves")
    samples: int = Field(6, ge=0, le=8, description="pictures of the sealed sample grid; 0 paints none")

    def lesson(self, **where: Any) -> Lesson:
        """Return the lesson, with what the surface says of places: `photos`, `run`, `device` …

        Raises:
            InvalidValue: there are captions, and not as many as photos.
        """
        if self.captions and len(self.captions) != len(self.photos):
            raise InvalidValue(
                f"There are {len(self.captions)} captions of {len(self.photos)} photos; give one each, which may be "
                "empty, or none.",
                param="captions",
            )
        from fantascope.personal.lesson import Lesson  # late: every command reads this module for its options

        told = {name: getattr(self, name) for name in Personalise.model_fields if name not in NOT_OF_LESSONS}
        return Lesson(**{"photos": ()} | told | where)


NOT_OF_LESSONS = ("task", "photos", "captions")
"""Fields that a `Lesson` has elsewhere: it names files, whose captions lie beside them."""
