"""What clients of the A1111 web UI send. Fields that nobody knows are ignored, as they are there; None is not given.

Names and ranges are the web UI's. There are no defaults here: what was not sent is the model's to fill in, but for what
`translate` says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fantascope.explain import explain
from fantascope.request import MAX_COUNT, MAX_SIDE

Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Side = Annotated[int, Field(ge=0, le=MAX_SIDE)]
Large = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Number = float | None


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Painting(Body):
    """What txt2img and img2img have in common."""

    prompt: str | None = None
    negative_prompt: str | None = None
    styles: list[str] | None = None
    seed: Whole | None = None
    subseed: Whole | None = None
    subseed_strength: Share | None = None
    seed_resize_from_h: Whole | None = None
    seed_resize_from_w: Whole | None = None
    sampler_name: str | None = None
    sampler_index: str | None = None
    scheduler: str | None = None
    batch_size: Count | None = None
    n_iter: Count | None = None
    steps: Steps | None = None
    cfg_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    width: Large | None = None
    height: Large | None = None
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool | None = None
    do_not_save_grid: bool | None = None
    eta: Number = None
    denoising_strength: Share | None = None
    s_min_uncond: Number = None
    s_churn: Number = None
    s_tmax: Number = None
    s_tmin: Number = None
    s_noise: Number = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool | None = None
    refiner_checkpoint: str | None = None
    refiner_switch_at: Number = None
    disable_extra_networks: bool | None = None
    script_name: str | None = None
    script_args: list[Any] | None = None
    send_images: bool | None = None
    save_images: bool | None = None
    alwayson_scripts: dict[str, Any] | None = None
    force_task_id: str | None = None


class Txt2Img(Painting):
    """Body of `txt2img`."""

    enable_hr: bool | None = None
    firstphase_width: Side | None = None
    firstphase_height: Side | None = None
    hr_scale: Annotated[float, Field(ge=0, le=64)] | None = None
    hr_upscaler: str | None = None
    hr_second_pass_steps: Annotated[int, Field(ge=0, le=1000)] | None = None
    hr_resize_x: Side | None = None
    hr_resize_y: Side | None = None
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str | None = None
    hr_negative_prompt: str | None = None


class Img2Img(Painting):
    """Body of `img2img`."""

    init_images: list[str] | None = None
    resize_mode: Literal[0, 1, 2, 3] | None = None
    image_cfg_scale: Number = None
    mask: str | None = None
    mask_blur: Annotated[float, Field(ge=0, le=128)] | None = None
    mask_blur_x: Annotated[float, Field(ge=0, le=128)] | None = None
    mask_blur_y: Annotated[float, Field(ge=0, le=128)] | None = None
    inpainting_fill: Literal[0, 1, 2, 3] | None = None
    inpaint_full_res: bool | None = None
    inpaint_full_res_padding: Whole | None = None
    inpainting_mask_invert: int | None = None
    initial_noise_multiplier: Number = None
    include_init_images: bool | None = None


class Extras(Body):
    """What `extra-single-image` and `extra-batch-images` have in common."""

    resize_mode: Literal[0, 1] | None = None
    gfpgan_visibility: Share | None = None
    codeformer_visibility: Share | None = None
    upscaling_resize: Annotated[float, Field(gt=0, le=64)] | None = None
    upscaling_resize_w: Large | None = None
    upscaling_resize_h: Large | None = None
    upscaling_crop: bool | None = None
    upscaler_1: str | None = None
    upscaler_2: str | None = None
    extras_upscaler_2_visibility: Share | None = None


class ExtraSingle(Extras):
    """Body of `extra-single-image`."""

    image: str = ""


class FileData(Body):
    """One picture of several."""

    data: str
    name: str | None = None


class ExtraBatch(Extras):
    """Body of `extra-batch-images`."""

    imageList: Annotated[list[FileData], Field(max_length=MAX_COUNT)]  # noqa: N815 (the wire's own name)


class PngInfo(Body):
    """Body of `png-info`."""

    image: str


class Interrogate(Body):
    """Body of `interrogate`."""

    image: str = ""
    model: str | None = None


class Unit(Body):
    """One unit of the ControlNet extension."""

    enabled: bool | None = None
    module: str | None = None
    model: str | None = None
    weight: Annotated[float, Field(ge=0, le=2)] | None = None
    image: str | dict[str, Any] | None = None
    input_image: str | dict[str, Any] | None = None
    mask: str | None = None
    mask_image: str | None = None
    resize_mode: str | int | None = None
    processor_res: float | None = None
    threshold_a: Number = None
    threshold_b: Number = None
    guidance: Share | None = None
    guidance_start: Share | None = None
    guidance_end: Share | None = None
    control_mode: str | int | None = None
    pixel_perfect: bool | None = None
    hr_option: str | None = None


class Detect(Body):
    """Body of `/controlnet/detect`; webuiapi's older name of the pictures is read, too."""

    controlnet_module: str | None = None
    controlnet_input_images: list[str] | None = None
    controlnet_images: list[str] | None = None
    controlnet_processor_res: float | None = None
    controlnet_threshold_a: Number = None
    controlnet_threshold_b: Number = None
    controlnet_masks: list[str] | None = None


Kind = TypeVar("Kind", bound=Body)


def read(kind: type[Kind], data: Any) -> Kind:
    """Return a body that is right.

    Raises:
        RequestError: a field is out of range or of the wrong kind; `param` names it.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise explain(error, kind) from None
