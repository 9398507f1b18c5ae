"""Every bad input and what becomes of it, as data: run by test_bad_input.py, shown by docs/bad-input.md."""

from bad_input import answers, files, labels, models, paths, population, texts

OF_LABELS = (
    "Labels are text: nothing guesses that one is a number, a date or a missing value. What is written here comes back "
    "byte for byte, from CSV through the model folder to CSV and JSON Lines."
)
OF_FOLDERS = (
    "No code runs from a folder and nothing is asked of the network, also when somebody makes the manifest of a "
    "changed folder fit again (*sealed again* below): the manifest finds accidents, and is no signature. Who can write "
    "the folder decides what it answers."
)
OF_ANSWERS = (
    "`calibrate` takes logits that are made already, and `fit --engine module:object` a model that is trained already. "
    "No file is unpickled; a module that you name is your own code, and runs."
)
OF_MARKS = (
    "`--group-column` and `--time-column` of `fit`, `check` and `calibrate`. In files of one run, a group is one group."
)

GROUPS = {
    "Files": (files.CASES, "The file is `data.csv` unless the message says otherwise, and the command is `predict`."),
    "Texts": (texts.CASES, "`predict` with a text model. No text stops a run."),
    "Labels": (labels.CASES, OF_LABELS),
    "Paths": (paths.CASES, "Nothing is written when a command is refused."),
    "Model folders": (models.CASES, OF_FOLDERS),
    "Logits, and models of your own": (answers.CASES, OF_ANSWERS),
    "Groups and times": (population.CASES, OF_MARKS),
    "Fine-tuned folders": (models.FINE_TUNED, "`calibrate FOLDER`. Only safetensors are opened, and no code is run."),
    "Encoders": (models.ENCODERS, "`fit --encoder ./encoder`. Only safetensors are opened, and no code is run."),
}
