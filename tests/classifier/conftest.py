"""Cards in old model folders are no documents whose blocks are to be run."""

collect_ignore = ["old_folders"]
