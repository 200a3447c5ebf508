"""``augpipe recipes``: the shipped recipes, what a recipe can say, and checking one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from . import shared

app = typer.Typer(no_args_is_help=True, help="List, show and check recipes; what they can say, and their JSON schema.")

Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A shipped recipe's name, or a .yaml file.")]

Names = Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Names of shipped recipes, or .yaml files.")]


@app.command("list", epilog="Example: augpipe recipes list")
@shared.handled
def list_(debug: shared.Debug = False) -> None:
    """The shipped recipes."""
    import yaml

    from augpipe.recipe.load import shipped

    typer.echo(
        shared.table([(name, yaml.safe_load(text).get("description", "")) for name, text in shipped().items()], "")
    )


@app.command(epilog="Example: augpipe recipes show detection > my.yaml")
@shared.handled
def show(
    name: Name,
    expanded: Annotated[
        bool, typer.Option("--expanded", help="With every default written out and policies as groups; means the same.")
    ] = False,
    ops: shared.Ops = None,
    debug: shared.Debug = False,
) -> None:
    """Print a recipe's text, to start one's own from."""
    from augpipe.recipe.load import load
    from augpipe.recipe.printing.expanded import expanded as written_out

    recipe = load(name, ops=ops or ())
    typer.echo((written_out(recipe) if expanded else recipe.text).rstrip("\n"))


@app.command(epilog="Example: augpipe recipes check my.yaml --set steps.affine.rotate='[-5, 5]'")
@shared.handled
def check(names: Names, overrides: shared.Set = None, ops: shared.Ops = None, debug: shared.Debug = False) -> None:
    """Check recipes, and say what each costs, and which of its steps do nothing.

    Operations of one's own have to give the same result twice, and in another process.
    """
    from augpipe.core.errors import RecipeError

    mistakes = []
    for name in names:
        try:
            _check(name, overrides or (), ops or ())
        except RecipeError as error:
            mistakes.append(str(error))
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def _check(name: str, overrides: Sequence[str], ops: Sequence[str]) -> None:
    from augpipe.recipe.fuse import most_warps
    from augpipe.recipe.idle import idle_steps
    from augpipe.recipe.load import load
    from augpipe.recipe.own.check import require_the_same_again

    recipe = load(name, overrides, ops)
    operations = sum(1 for _ in recipe.leaves())
    warps = most_warps(recipe)
    typer.echo(
        f"{name}: fine, {shared.plural(operations, 'operation')}, at most {shared.plural(warps, 'warp')} a picture"
    )
    if warps > 1:
        typer.echo("a move behind blur, noise, erase, jpeg or 'cut: true' resamples the picture again; put moves first")
        if any(leaf.operation.bends for leaf in recipe.leaves()):
            typer.echo("so does a mesh (elastic and the like) behind another, beside a perspective, or behind bars")
    for remark in require_the_same_again(recipe, elsewhere=True) if recipe.ops else ():
        typer.echo(remark)
    for remark in idle_steps(recipe.nodes):
        typer.echo(remark)


@app.command("import", epilog="Example: augpipe recipes import aug.yaml -o my.yaml")
@shared.handled
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What A.save or A.to_dict wrote, or an args.yaml.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="YAML", help="The recipe; stdout if not given.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="JSON", help="What became of each transform, as JSON.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if anything is missing.")] = False,
    debug: shared.Debug = False,
) -> None:
    """Make a recipe of a pipeline of Albumentations or of Ultralytics' args.yaml, and say what is different."""
    from augpipe.core.errors import RecipeError, one_line
    from augpipe.recipe.importing.files import import_file

    targets = [shared.text_to(name, option, file) for name, option in ((output, "--output"), (report, "--report"))]
    found = import_file(file)
    if targets[1] is not None:
        shared.save(targets[1], f"{json.dumps(found.report(), indent=2)}\n".encode())
    if found.text and targets[0] is not None:
        shared.save(targets[0], found.text.encode())
    elif found.text:
        typer.echo(found.text.rstrip("\n"))
    typer.echo("\n".join([*(line.text() for line in found.lines), found.summary()]), err=output is None)
    if not found.text:
        raise RecipeError(f"{one_line(file, 4096)}: nothing of it can be written as a recipe; see the lines above")
    if strict and found.counts()["missing"]:
        raise typer.Exit(1)


@app.command(epilog="Example: augpipe recipes operations affine")
@shared.handled
def operations(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="An operation, a group of steps or a policy.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list instead, with types, bounds and defaults of parameters.")
    ] = False,
    debug: shared.Debug = False,
) -> None:
    """What a recipe can do; with a NAME, the parameters of that."""
    from augpipe.core.errors import RecipeError, one_line
    from augpipe.recipe.messages import nearest
    from augpipe.recipe.operation.base import CUSTOM
    from augpipe.recipe.printing import catalogue

    known = catalogue.names()
    if name is not None and name.startswith(CUSTOM):
        raise RecipeError(
            f"'{one_line(name, 80)}' is an operation of one's own: its parameters are in its file; "
            "this lists those that come with augpipe"
        )
    if name is not None and name not in known:
        near = nearest(name, known, "'augpipe recipes operations'")
        raise RecipeError(f"unknown operation '{one_line(name, 80)}'{near}")
    named = known if name is None else [name]
    if as_json:
        typer.echo(json.dumps([catalogue.entry(one) for one in named], indent=2))
    elif name is None:
        typer.echo(shared.table(catalogue.table(), ""))
    else:
        _tell(name)


def _tell(name: str) -> None:
    """An operation, a group or a policy for people."""
    from augpipe.recipe import reference_docs
    from augpipe.recipe.ops import OPERATIONS

    rows = reference_docs.parameters(name)
    if name not in reference_docs.GROUPS:
        rows += reference_docs.common_parameters()
    typer.echo(f"{name}: {reference_docs.summary(name)}\n")
    for row in rows:
        typer.echo(f"  {row.name:<16}{row.meaning}")
        typer.echo(f"  {'':<16}{row.written}{f' ({row.default})' if row.default else ''}")
    if reference_docs.exactly_one(name):
        typer.echo(f"\nExpected: {reference_docs.exactly_one(name)}.")
    if name in OPERATIONS:
        typer.echo("\nLabels:")
        fates = reference_docs.fate_of_labels(name)
        for effect, kinds in fates:
            typer.echo(f"  {effect:<16}{kinds}")
        typer.echo(f"  {'untouched':<16}{'all others' if fates else 'all'}")
    if name in OPERATIONS and OPERATIONS[name].typical:
        typer.echo(f"\nBy its name alone:\n  - {reference_docs.usual_step(name)}")
    example = reference_docs.example(name).replace("\n", "\n  ")
    typer.echo(f"\nExample:\n  - {example}")


@app.command(epilog="Example: augpipe recipes schema > recipe.schema.json")
@shared.handled
def schema(debug: shared.Debug = False) -> None:
    """Print the JSON schema of recipes, for editors."""
    from augpipe.recipe.schema import recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=2))
