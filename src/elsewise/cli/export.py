"""``elsewise export``."""

from elsewise.cli.next_step import say_next
from elsewise.cli.options import AsJson, Cascade, CascadeChange, Engine, ModelPath, Precision, Threads
from elsewise.cli.output import description, print_json, to_stderr
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import print_gate, print_promise
from elsewise.data.defaults import CASCADE_CHANGE
from elsewise.progress import showing


def export(
    model: ModelPath,
    engine: Engine = "auto",
    precision: Precision = "auto",
    cascade: Cascade = False,
    cascade_change: CascadeChange = CASCADE_CHANGE,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Certify MODEL on one more engine or precision.

    This is one more look at the certify rows that MODEL keeps.
    """
    from elsewise.fitting.export import export as export_model

    with showing(f"opening {model}") as progress:
        made = export_model(
            model,
            engine=engine,
            precision=precision,
            cascade=cascade,
            cascade_change=cascade_change,
            threads=threads,
            progress=progress,
            note=to_stderr,
        )
    wrote(model)
    if as_json:
        print_json({"model": str(model), **description(made)})
        return
    print_gate(made.provenance.gate)
    print_promise(made)
    to_stderr(f"written: {model}")
    say_next("threshold", model)
