"""``elsewise doctor``."""

from elsewise.options import Json
from elsewise.showing import print_json, print_table, tell


def doctor(*, as_json: Json = False) -> None:
    """Show what is installed, which engine is used and why, and the commands that add what is missing."""
    from elsewise.doctor import diagnosis

    found = diagnosis()
    if as_json:
        print_json(found)
        return
    print_table("", ("machine", ""), [(name, str(value or "not told")) for name, value in found["machine"].items()])
    print_table("", ("library", "version"), [(name, version or "-") for name, version in found["versions"].items()])
    print_table("", ("engine", "precisions", ""), [
        (name, ", ".join(engine["precisions"]) or "-", engine["note"]) for name, engine in found["engines"].items()
    ])  # fmt: skip
    print_table("", ("encoder", "folder"), [
        (name, folder or "not on this machine") for name, folder in found["encoders"].items()
    ])  # fmt: skip
    for line in found["advice"] or ["Nothing is missing."]:
        tell(line)
