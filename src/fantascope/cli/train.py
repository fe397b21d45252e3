"""`fantascope train` and `fantascope data` (filled from the recipes)."""

import typer

app = typer.Typer(help="x")
data = typer.Typer(help="x")


@app.callback()
def _a() -> None: ...
@data.callback()
def _b() -> None: ...
