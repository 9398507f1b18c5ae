"""``elsewise demo``."""

from pathlib import Path
from typing import Annotated

import typer

from elsewise.options import Epochs, Json, program
from elsewise.showing import description, print_evaluation, print_json, print_promise, print_table, progress_bar, tell


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where files and model go.")] = Path(
        "elsewise-demo"
    ),
    epochs: Epochs = None,
    as_json: Json = False,
) -> None:
    """Fit, certify and predict on a built-in sample of support texts, offline."""
    from elsewise.demo import run_demo

    with progress_bar() as progress:
        shown = run_demo(out, progress=progress, epochs=epochs)
    if as_json:
        print_json({"folder": str(out), "reasons": shown.reasons(), **description(shown.classifier)})
        return
    print_promise(shown.classifier)
    print_evaluation(shown.classifier.evaluation or {})
    print_table("Some of the new texts, and what was decided", ("text", "decision", "why"), shown.examples(), wide=True)
    answered = shown.reasons().get("answered", 0)
    tell(f"\nOf {len(shown.new)} new texts {answered} were answered and {len(shown.new) - answered} left as Other:")
    print_table("", ("reason", "texts"), [(reason, str(n)) for reason, n in sorted(shown.reasons().items())])
    name = program()
    tell(
        f"\nNext:\n"
        f"  {name} predict {out}/model {out}/new.csv -o {out}/answers.csv\n"
        f"  {name} evaluate {out}/model {out}/new.csv\n"
        f"  {name} fit YOUR.csv -o model --text-column TEXT --label-column LABEL"
    )
