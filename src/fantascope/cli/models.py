"""`fantascope models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fantascope.cli.lines import emit
from fantascope.errors import InvalidValue
from fantascope.spec import SPECS, Spec, catalogue, find_spec, keep_spec, valid_name

app = typer.Typer(help="List, show, add, remove and export models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="name of a model")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


def _specs() -> dict[str, Spec]:
    from fantascope.settings import Settings

    return catalogue(Settings.from_env().models)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the models that are known, with licence and where they come from."""
    from fantascope.reports.weights import bytes_of
    from fantascope.settings import Settings

    settings = Settings.from_env()
    for spec in catalogue(settings.models).values():
        size = bytes_of(spec, settings)
        if as_json:
            facts = {"name": spec.name, "title": spec.title, "source": spec.source, "family": spec.family}
            more = {"licence": spec.licence.spdx, "commercial": spec.licence.commercial}
            emit("model", facts | more | {"here": size is not None, "bytes": size or 0})
        else:
            mark = "*" if spec.name == settings.model else " "
            shown = "not here" if size is None else f"{size / 1e6:,.0f} MB"
            print(f"{mark} {spec.name:<14} {spec.licence.spdx:<44} {shown:>10}  {spec.source}")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show one model: licence, sizes, defaults, and the hash of every weights file that is here."""
    from fantascope.engines.weights import sha256
    from fantascope.reports.weights import files_of
    from fantascope.settings import Settings

    spec = find_spec(name, _specs())
    files = files_of(spec, Settings.from_env())
    hashes = {name: sha256(path, Settings.from_env()) for name, path in (files or {}).items()}
    if as_json:
        emit("model", spec.model_dump(mode="json") | {"files": hashes})
        return
    licence, sizes, defaults = spec.licence, spec.sizes, spec.defaults
    rows = [
        ("name", spec.name),
        ("title", spec.title),
        ("from", spec.source + ("  (not on this machine)" if files is None else "")),
        ("family", spec.family + (f" · {spec.pipeline}" if spec.pipeline else "")),
        ("licence", licence.spdx + (f" · {licence.url}" if licence.url else "")),
        ("commercial", {True: "yes", False: "no", None: "read the conditions"}[licence.commercial]),
        ("conditions", licence.conditions or "-"),
        ("sizes", f"{sizes.min} to {sizes.max} in steps of {sizes.multiple}, at home at {sizes.native}"),
        ("upscaler", f"x{spec.upscaler}" if spec.upscaler else "-"),
        ("defaults", f"{defaults.width}x{defaults.height}, {defaults.steps} steps {defaults.sampler}"),
        ("ledger", spec.training_ledger or "no record of its training pictures"),
        ("model card", spec.card or "none cited"),
    ]
    for key, value in rows + [("weights", f"{digest}  {file}") for file, digest in hashes.items()]:
        print(f"{key:<11} {value}")


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="dir:FOLDER, file:PATH.safetensors or hub:OWNER/NAME")],
    name: Annotated[str, typer.Option("--name", help="what to call it")],
    licence: Annotated[str | None, typer.Option("--licence", help="SPDX id, if the model does not state it")] = None,
) -> None:
    """Add a model to the catalogue. Its files are checked, and nothing in them is run."""
    from fantascope.engines.identify import inspect
    from fantascope.settings import Settings

    settings = Settings.from_env()
    if valid_name(name) in catalogue(settings.models):
        raise InvalidValue(f"There is a model {name!r} already.", param="name", hint=f"fantascope models show {name}")
    spec = inspect(source, settings, licence, name)
    keep_spec(spec, settings.models)
    print(f"added {spec.name}: {spec.title}, {spec.licence.spdx}")


@app.command()
def remove(name: Name) -> None:
    """Forget a model that was added. Its files stay where they are."""
    from fantascope.settings import Settings

    if name in SPECS and not (Settings.from_env().models / f"{name}.json").is_file():
        raise InvalidValue(f"{name} is part of Fantascope and cannot be removed.", param="name")
    path = Settings.from_env().models / f"{valid_name(name)}.json"
    if not path.is_file():
        find_spec(name, _specs())
    path.unlink()
    print(f"removed {name}")


@app.command()
def export(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="a folder that does not exist yet")],
) -> None:
    """Write a complete diffusers folder that `StableDiffusionPipeline.from_pretrained` loads."""
    from fantascope.engines.folder import export_folder
    from fantascope.settings import Settings

    print(export_folder(find_spec(name, _specs()), folder, Settings.from_env()))
