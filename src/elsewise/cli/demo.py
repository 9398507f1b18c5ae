"""``elsewise demo``."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elsewise.cli.next_step import free_name, say_next
from elsewise.cli.options import AsJson, Epochs, OutFolder, Verbose, program
from elsewise.cli.output import description, print_json, print_table, to_stderr, to_stdout
from elsewise.cli.reports import save_with_report
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import print_judged, print_promise, print_strangers
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.sample import SampleRow
    from elsewise.rules.decisions import Decisions

EXAMPLES_EACH = 3
STRANGER = "what is the capital of France"  # of no concern to the shop
NEW_SHARE = 8  # one text in eight is kept as new mail


def demo(
    out: OutFolder = Path("elsewise-demo"), epochs: Epochs = None, verbose: Verbose = False, as_json: AsJson = False
) -> None:
    """Fit, certify and predict on built-in support texts, offline."""
    from elsewise.evaluation.strangers import strangers_of

    with showing("loading the libraries") as progress:
        shown = run_demo(out, progress=progress, note=to_stderr, epochs=epochs)
    wrote(out)
    if as_json:
        print_json({"folder": str(out), "reasons": shown.reasons(), **description(shown.classifier)})
        return
    print_promise(shown.classifier, whole=verbose)
    print_judged(shown.classifier.evaluation or {}, out / "model", verbose=verbose)
    print_table("Some of the new texts, and what was decided", ("text", "decision", "why"), shown.examples(), wide=True)
    asked = shown.classifier.decide([STRANGER])
    to_stdout(f'And "{STRANGER}"? {asked.sentence(0)}')
    print_strangers(strangers_of(shown.classifier))
    reasons = shown.reasons()
    answered = reasons.pop("answered", 0)
    why = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    left = f"{len(shown.new) - answered} left as Other" + (f" ({why})" if why else "")
    to_stdout(f"Of {len(shown.new)} new texts {answered} were answered and {left}.", bold=True)
    to_stderr(f"The report, to open in a browser: {out}/model/report.html", whole=True)
    say_next("predict", out / "model", out / "new.csv", "-o", free_name(str(out / "answers.csv")))
    to_stderr(f"With your own texts: {program()} check YOUR.csv --text-column TEXT --label-column LABEL", whole=True)


@dataclass(frozen=True, slots=True)
class Demo:
    """Results of the demo.

    Attributes
    ----------
    classifier, folder : Classifier, Path
        The fitted classifier, and the folder with support.csv, new.csv (both with labels) and model/.
    new, decisions : list of SampleRow, Decisions
        The new texts with their true labels, and the decisions on them.
    """

    classifier: "Classifier"
    folder: Path
    new: "list[SampleRow]"
    decisions: "Decisions"

    def examples(self) -> list[tuple[str, str, str]]:
        """Pick a few texts for each reason: text, decision, sentence."""
        from elsewise.rules.decisions import Reason

        reasons = self.decisions.reasons
        chosen = [i for reason in Reason for i in (reasons == reason).nonzero()[0].tolist()[:EXAMPLES_EACH]]
        return [(self.new[i].text, self.decisions.labels[i], self.decisions.sentence(i)) for i in chosen]

    def reasons(self) -> dict[str, int]:
        """Count the new texts by reason."""
        return dict(Counter(self.decisions.reasons.tolist()))


def run_demo(folder: Path, *, progress: Callable[[str, int, int], None] | None = None, **options: Any) -> Demo:
    """Write the sample, fit on it, save the model, and decide on new texts.

    Parameters
    ----------
    folder : Path
        Created if missing; InputError if it holds anything but an earlier demo.
    progress : callable, optional
        Called with (words, steps done, steps in all).
    **options
        As for `elsewise.fit`.
    """
    from elsewise.data.formats import open_writer
    from elsewise.data.sample import OUT_OF_SCOPE, support_texts
    from elsewise.fitting.fit import fit
    from elsewise.storage.sealed_folder import check_target

    check_target(folder / "model")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model").is_dir():
        raise InputError(f"{folder} holds other things than a demo; choose another folder with --out")
    rows = support_texts()
    new, known = rows[::NEW_SHARE], [row for i, row in enumerate(rows) if i % NEW_SHARE]
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("support.csv", known), ("new.csv", new)):
        with open_writer(folder / name, ("text", "label")) as writer:
            writer.write({"text": row.text, "label": row.label} for row in part)
    texts, labels = [row.text for row in known], [row.label for row in known]
    classifier = fit(texts, labels, out_of_scope_label=OUT_OF_SCOPE, progress=progress, **options)
    save_with_report(classifier, folder / "model", progress)
    return Demo(classifier, folder, new, classifier.decide([row.text for row in new]))
