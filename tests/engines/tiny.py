"""Builders of tiny random checkpoints from the real classes of every family; each is built once a session.

Every builder returns a folder (or a file) and is pure in its arguments. `spec_of` makes the Spec that goes with it.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from fantascope.request import Imagine
from fantascope.spec import Defaults, Licence, Sizes, Spec

ROOT = Path(tempfile.mkdtemp(prefix="fantascope-tiny-"))
atexit.register(shutil.rmtree, ROOT, ignore_errors=True)

SIDE = 64
"""Side of the pictures of the Stable Diffusion families here, in pixels."""

MERGES = 200
"""Merges of the small tokenizers."""


def spec_of(place: Path, family: str, **more: Any) -> Spec:
    """Return a Spec for a tiny checkpoint."""
    kind = "file" if place.suffix == ".safetensors" else "dir"
    defaults = Defaults(width=SIDE, height=SIDE, steps=3, guidance=4.0, sampler="ddim")
    row: dict[str, Any] = {
        "name": f"tiny-{place.stem}",
        "title": "tiny",
        "source": f"{kind}:{place}",
        "family": family,
        "licence": Licence(spdx="CC0-1.0"),
        "sizes": Sizes(native=SIDE, min=8, max=128, multiple=8),
        "defaults": defaults,
    }
    return Spec(**(row | more))


def ask(prompt: str = "a red cat on a mat", **more: Any) -> Imagine:
    """Return a resolved request."""
    row: dict[str, Any] = {
        "prompt": prompt,
        "n": 1,
        "width": SIDE,
        "height": SIDE,
        "upscale": 1,
        "steps": 3,
        "guidance": 4.0,
        "guidance_rescale": 0.0,
        "sampler": "ddim",
        "schedule": "default",
        "seed": 7,
        "clip_skip": 0,
    }
    return Imagine(**(row | more))


@cache
def words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges of a small byte-pair tokenizer with CLIP's first merges."""
    from fantascope.engines.latent_parts import clip_tokenizer

    full = clip_tokenizer().get_vocab()
    names = sorted(full, key=full.__getitem__)[: 512 + MERGES] + ["<|startoftext|>", "<|endoftext|>"]
    import gzip

    from fantascope.engines.latent_parts import MERGES as SHIPPED

    lines = gzip.decompress(SHIPPED.read_bytes()).decode().splitlines()[:MERGES]
    return {name: k for k, name in enumerate(names)}, [(a, b) for a, b in (line.split() for line in lines)]


def clip_words(pad: str = "<|endoftext|>") -> Any:
    """Return a small CLIP tokenizer."""
    from transformers import CLIPTokenizer

    vocabulary, merges = words()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=77)


def clip(projected: bool = False, act: str = "quick_gelu", layers: int = 3, vocabulary: int | None = None) -> Any:
    """Return a random CLIP text model of width 32."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    count = vocabulary if vocabulary is not None else len(words()[0])
    config = CLIPTextConfig(
        vocab_size=count,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=1,
        hidden_act=act,
        projection_dim=32,
        bos_token_id=count - 2,
        eos_token_id=2,
        pad_token_id=1,
    )
    torch.manual_seed(1)
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def vae(scale: float = 0.18215, widths: tuple[int, ...] = (32, 32, 32, 32), channels: int = 4, **more: Any) -> Any:
    """Return a random f8 autoencoder."""
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(2)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=channels,
        sample_size=SIDE,
        scaling_factor=scale,
        **({"norm_num_groups": widths[0]} | more),
    ).eval()


def unet(cross: int = 32, **more: Any) -> Any:
    """Return a random UNet with two levels of 32 and 64 channels."""
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(3)
    plain: dict[str, Any] = {
        "sample_size": SIDE // 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": cross,
        "attention_head_dim": 8,
    }
    return UNet2DConditionModel(**(plain | more)).eval()


def schedule(**more: Any) -> Any:
    """Return Stable Diffusion's scheduler."""
    from diffusers import DDIMScheduler

    plain: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
    }
    return DDIMScheduler(**(plain | more))


def saved(name: str, pipe: Any) -> Path:
    """Write a pipeline as a folder, with a licence."""
    folder = ROOT / name
    pipe.save_pretrained(folder, safe_serialization=True)
    (folder / "LICENSE").write_text("CC0 1.0 Universal\n", "utf-8")
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\nTiny and random.\n", "utf-8")
    return folder


def sd_parts(version: int) -> dict[str, Any]:
    """Return the modules of SD 1.x or 2.x."""
    if version == 1:
        return {"unet": unet(), "vae": vae(), "text_encoder": clip()}
    linear = {"use_linear_projection": True, "attention_head_dim": (1, 1)}
    return {"unet": unet(**linear), "vae": vae(), "text_encoder": clip(act="gelu")}


def xl_parts() -> dict[str, Any]:
    """Return the modules of SDXL base."""
    text = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "transformer_layers_per_block": (2, 2)}
    levels = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (1, 1),
        "use_linear_projection": True,
    }
    return {
        "unet": unet(64, projection_class_embeddings_input_dim=6 * 8 + 32, **text, **levels),
        "vae": vae(0.13025, force_upcast=True),
        "text_encoder": clip(),
        "text_encoder_2": clip(projected=True, act="gelu"),
    }


@cache
def sd(version: int = 1, velocity: bool = False) -> Path:
    """Build SD 1.x or 2.x as a diffusers folder."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline(
        **sd_parts(version),
        tokenizer=clip_words(),
        scheduler=schedule(prediction_type="v_prediction" if velocity else "epsilon"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return saved(f"sd{version}{'v' if velocity else ''}", pipe)


@cache
def pix2pix() -> Path:
    """Build InstructPix2Pix, whose network also sees the picture's latents, as a diffusers folder."""
    from diffusers import StableDiffusionInstructPix2PixPipeline

    parts = sd_parts(1) | {"unet": unet(32, in_channels=8)}
    pipe = StableDiffusionInstructPix2PixPipeline(
        **parts,
        tokenizer=clip_words(),
        scheduler=schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return saved("pix2pix", pipe)


@cache
def xl() -> Path:
    """Build SDXL base as a diffusers folder."""
    from diffusers import StableDiffusionXLPipeline

    pad = clip_words(pad="!")
    pipe = StableDiffusionXLPipeline(
        **xl_parts(), tokenizer=clip_words(), tokenizer_2=pad, scheduler=schedule(), add_watermarker=False
    )
    return saved("xl", pipe)


def refiner_unet() -> Any:
    """Return the network of the SDXL refiner: one text encoder, five size ids."""
    return unet(
        32,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=5 * 8 + 32,
        transformer_layers_per_block=2,
        attention_head_dim=(1, 1),
        use_linear_projection=True,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


@cache
def refiner() -> Path:
    """Build the SDXL refiner as a diffusers folder."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    parts = xl_parts()
    pipe = StableDiffusionXLImg2ImgPipeline(
        vae=parts["vae"],
        text_encoder=None,
        text_encoder_2=parts["text_encoder_2"],
        tokenizer=None,
        tokenizer_2=clip_words(pad="!"),
        unet=refiner_unet(),
        scheduler=schedule(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    return saved("refiner", pipe)


@cache
def embedded() -> Path:
    """Build a checkpoint like the embedded one: BERT in its compact form, plain autoencoder, an upscaler."""
    import torch
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, BertTokenizer

    from fantascope.engines.compact import NAME, compact
    from fantascope.engines.latent_upscaler import Upscaler

    letters = [chr(c) for c in range(97, 123)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), "cat", "red"]
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    config.use_attention_mask = True
    torch.manual_seed(5)
    encoder = BertModel(config, add_pooling_layer=False).eval()
    (ROOT / "vocab").mkdir(exist_ok=True)
    (ROOT / "vocab" / "vocab.txt").write_text("\n".join(tokens) + "\n")
    pipe = StableDiffusionPipeline(
        unet=unet(layers_per_block=1),
        vae=vae(1.0, mid_block_add_attention=False),
        text_encoder=encoder,
        tokenizer=BertTokenizer.from_pretrained(str(ROOT / "vocab"), model_max_length=32),
        scheduler=schedule(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
            set_alpha_to_one=True,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder = saved("embedded", pipe)
    packed = compact({name: weight.numpy() for name, weight in encoder.state_dict().items()})
    (folder / "text_encoder" / "model.safetensors").unlink()
    save_file({name: torch.from_numpy(weight) for name, weight in packed.items()}, folder / "text_encoder" / NAME)
    tokenizer = Tokenizer(models.WordPiece({t: k for k, t in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(tokens[:5])
    tokenizer.enable_truncation(32)
    tokenizer.enable_padding(length=32)
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    torch.manual_seed(6)
    up = Upscaler(8, 2, 4)
    (folder / "upscaler").mkdir()
    settings = {"kind": "compact", "features": 8, "layers": 2, "scale": 4, "act": "prelu"}
    (folder / "upscaler" / "config.json").write_text(json.dumps(settings))
    save_file(
        {name: weight.half() for name, weight in up.state_dict().items()}, folder / "upscaler" / "model.safetensors"
    )
    return folder


def qwen_words() -> Any:
    """Return a small Qwen2 tokenizer of single bytes, with the marks its chat templates use."""
    from transformers import Qwen2Tokenizer

    vocabulary = {name: k for k, name in enumerate(list(words()[0])[:256])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary | {"<|endoftext|>": 256}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    return tokenizer


def t5() -> tuple[Any, Any]:
    """Return a random T5 encoder of width 32 and its tokenizer."""
    import torch
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((chr(c), -3.0) for c in range(97, 123))]
    torch.manual_seed(4)
    config = T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return T5EncoderModel(config).eval(), T5Tokenizer(vocab=pieces, extra_ids=2, model_max_length=512)


def flow(**more: Any) -> Any:
    """Return the scheduler of the flow families."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


@cache
def sd3() -> Path:
    """Build Stable Diffusion 3."""
    import torch
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
    )
    large, large_words = t5()
    return saved(
        "sd3",
        StableDiffusion3Pipeline(
            transformer=transformer,
            scheduler=flow(),
            vae=vae(1.5, (16, 16), shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
            text_encoder=clip(projected=True),
            text_encoder_2=clip(projected=True),
            text_encoder_3=large,
            tokenizer=clip_words(),
            tokenizer_2=clip_words(),
            tokenizer_3=large_words,
        ),
    )


@cache
def flux(distilled: bool = False) -> Path:
    """Build FLUX, with guidance as an input of the network (dev) or without (schnell)."""
    import torch
    from diffusers import FluxPipeline, FluxTransformer2DModel

    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=distilled,
    )
    large, large_words = t5()
    return saved(
        f"flux{'-dev' if distilled else ''}",
        FluxPipeline(
            scheduler=flow(),
            vae=vae(1.5, (16, 16), channels=1, shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
            text_encoder=clip(),
            tokenizer=clip_words(),
            text_encoder_2=large,
            tokenizer_2=large_words,
            transformer=transformer,
        ),
    )


@cache
def qwen_image() -> Path:
    """Build Qwen-Image."""
    import torch
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    autoencoder = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return saved(
        "qwen-image",
        QwenImagePipeline(
            transformer=transformer,
            vae=autoencoder,
            scheduler=flow(),
            text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
            tokenizer=qwen_words(),
        ),
    )


@cache
def z_image() -> Path:
    """Build Z-Image."""
    import torch
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        qk_norm=True,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    with torch.no_grad():
        transformer.x_pad_token.fill_(1.0)
        transformer.cap_pad_token.fill_(1.0)
    config = Qwen3Config(
        vocab_size=300,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
    )
    return saved(
        "z-image",
        ZImagePipeline(
            scheduler=flow(),
            vae=vae(0.3611, (16, 16), channels=16, shift_factor=0.1159),
            text_encoder=Qwen3Model(config).eval(),
            tokenizer=qwen_words(),
            transformer=transformer,
        ),
    )


@cache
def sana() -> Path:
    """Build Sana."""
    import torch
    from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

    torch.manual_seed(0)
    transformer = SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    autoencoder = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocabulary = {name: k for k, name in enumerate([*marks, "▁", *(chr(c) for c in range(33, 127)), "\n"])}
    config = Gemma2Config(
        head_dim=16,
        hidden_size=8,
        intermediate_size=64,
        num_attention_heads=2,
        num_hidden_layers=1,
        num_key_value_heads=2,
        vocab_size=len(vocabulary),
    )
    return saved(
        "sana",
        SanaPipeline(
            tokenizer=GemmaTokenizer(vocab=vocabulary, merges=[]),
            text_encoder=Gemma2Model(config).eval(),
            vae=autoencoder,
            transformer=transformer,
            scheduler=flow(shift=7.0),
        ),
    )
