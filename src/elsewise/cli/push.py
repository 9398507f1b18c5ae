"""``elsewise push``."""

from typing import Annotated

import typer

from elsewise.cli.options import AsJson, ModelPath
from elsewise.cli.output import print_json, to_stderr, to_stdout
from elsewise.cli.panels import OUTPUT
from elsewise.progress import showing


def push(
    model: ModelPath,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Repository of the hub, OWNER/NAME; made if need be.")],
    *,
    public: Annotated[
        bool, OUTPUT("--public", help="Show a repository that is made to everyone. Default: to you.")
    ] = False,
    with_refit_rows: Annotated[
        bool,
        OUTPUT("--with-refit-rows", help="Also push refit.safetensors and the baseline, which hold your texts."),
    ] = False,
    revision: Annotated[str | None, OUTPUT(metavar="NAME", help="Branch to push to. Default: main.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put MODEL on the hub, with its card. What holds your texts stays here.

    Anyone who may see the repository loads it by elsewise.load("hf://OWNER/NAME"), and by transformers as usual.
    """
    from elsewise.classifier.hub import push as push_folder

    with showing(f"pushing {model}"):
        address = push_folder(model, repo, private=not public, refit_rows=with_refit_rows, revision=revision)
    if as_json:
        print_json({"model": str(model), "address": address, "refit_rows": with_refit_rows})
        return
    to_stdout(address)
    if not with_refit_rows:
        to_stderr("rows kept to certify again, and the baseline, stay here: they hold your texts")
