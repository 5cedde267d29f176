"""``preventable train``: learn the text model again."""

from __future__ import annotations

from pathlib import Path

import click

from preventable.classify.examples import assemble, audit_ids, read_rows, readings
from preventable.classify.training import check_enough, held_out_rows, save, train
from preventable.cli import output
from preventable.errors import InputError, OutputError
from preventable.taxonomy.loader import builtin


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Where to write the model.")
@click.option("--held-out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the folds' predictions.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def command(data: Path, out: Path, held_out: Path | None, quiet: bool) -> None:
    """Learn the text model from labelled records (JSON Lines, .zst allowed: id, source, title, text, cwe).

    Records of the built-in audit are left out; the built-in training readings are added. At least 50 records must have
    a label. Takes some six minutes on two cores for 20,000 texts.

    \b
    Example: preventable train advisories-dev.jsonl.zst --out weakness.npz
    """

    def said(message: str) -> None:
        if not quiet:
            click.echo(f"preventable: {message}", err=True)

    for path in filter(None, (out, held_out)):
        if not path.parent.is_dir():
            raise OutputError("no such directory", file=str(path.parent), hint="Make it first, or name another")
    taxonomy = builtin()
    rows, digest = read_rows(data)
    examples = assemble(rows, taxonomy, readings(), audit_ids())
    check_enough(examples, len(rows), data)
    taught = {e.id for e in examples}
    untold = [r for r in rows if r.source == "kernel" and r.id not in taught]  # the audit's, and those that say nothing
    try:
        trained = train(examples, digest, taxonomy, ask=untold, said=said)
    except InputError as error:
        error.file = str(data)
        raise
    model = save(trained, out)
    if held_out is not None:
        columns = ("id", "source", "drawn", "stands_for", "truth", "second", "predicted", "strict", "broad")
        held_out.write_text(output.render_rows(held_out_rows(trained), "csv", columns), encoding="utf-8")
    said(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {len(model.classes)} classes, {model.card.rows}")
