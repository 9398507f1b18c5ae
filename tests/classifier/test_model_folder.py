"""The model folder: written whole, read only as it was written, and loaded unchanged by other tools."""

import dataclasses
import json
import random
import shutil
import types
import typing

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier import model_folder, packing
from elsewise.classifier.kept_rows import kept_evidence
from elsewise.engines.memory import MemoryEngine
from elsewise.engines.pool import fine_tuned
from elsewise.errors import ArtifactError, InputError
from elsewise.fitting.engines_to_try import usual_engine
from elsewise.storage import sealed_folder
from elsewise.storage.json_files import finite
from support.sealed_again import seal

T, U = typing.TypeVar("T"), typing.TypeVar("U")


class Alias:
    """What ``type name[T] = value`` makes from Python 3.12 on, and numpy 2.5 of NDArray: it is no class."""

    def __init__(self, name, value, *, type_params=()):
        self.__name__, self.__value__, self.__type_params__ = name, value, type_params

    def __getitem__(self, given):
        return types.GenericAlias(self, given)

    def __or__(self, other):
        return typing.Union[self, other]  # noqa: UP007 - this is what the bar is made of


ALIASES = [Alias, *([typing.TypeAliasType] if hasattr(typing, "TypeAliasType") else [])]


@pytest.fixture
def small(tmp_path):
    """A folder without a text model, quick to copy and break."""
    z = np.random.default_rng(0).normal(size=(600, 3)) * 3
    codes = z.argmax(axis=1)
    codes[::20] = (codes[::20] + 1) % 3
    classifier = ew.Classifier(
        MemoryEngine(("a", "b", "Other"), {"x": [4.0, 0.0, 0.0], "y": [0.1, 0.0, 0.0]}),
        ew.Temperature.fit(z, codes),
        ew.CertifiedThreshold.fit(ew.softmax(z[:400]), codes[:400], reference=ew.softmax(z[400:]), target_accuracy=0.8),
    )
    classifier.save(tmp_path / "small")
    return tmp_path / "small"


def copied(path, tmp_path):
    target = tmp_path / "copy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(path, target)
    return target


def test_what_is_loaded_answers_bit_for_bit_as_what_was_saved(fitted, model, sample):
    texts = [row.text for row in sample]

    loaded = ew.load(model)

    assert loaded.probabilities(texts).tobytes() == fitted.probabilities(texts).tobytes()
    assert loaded.decide(texts).labels == fitted.decide(texts).labels
    assert loaded.rule == fitted.rule
    assert loaded.certificate == fitted.certificate
    assert loaded.provenance.folded == fitted.provenance.folded


def test_the_folder_holds_what_the_design_says(model):
    names = {path.name for path in model.iterdir()}

    assert ("model.onnx" in names) == (usual_engine() == "openvino")  # a graph is for the engines that run it
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
    }
    assert names >= {
        "elsewise.json",
        "manifest.json",
        "canary.json",
        "arrays.safetensors",
        "refit.safetensors",
        "evaluation.json",
    }
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl", ".joblib"))]


def test_the_transformers_pipeline_gives_the_same_probabilities_to_five_decimals(model, fitted):
    transformers = pytest.importorskip("transformers")
    from elsewise.data.sample import support_texts

    texts = [row.text for row in support_texts(seed=5, rows=1000)]
    pipe = transformers.pipeline("text-classification", model=str(model), top_k=None, device="cpu")

    theirs = pipe(texts, batch_size=32)

    alone = fine_tuned(fitted.engine)
    ours = ew.softmax(alone.run(texts).logits)
    column = {label: code for code, label in enumerate(fitted.labels)}
    worst = max(
        abs(answer["score"] - row[column[answer["label"]]])
        for row, answers in zip(ours, theirs, strict=True)
        for answer in answers
    )
    assert len(texts) == 1000
    assert worst < 1e-5


def test_a_text_alone_and_among_63_others_in_any_order_is_bit_identical(fitted, sample):
    texts = [row.text for row in sample[:64]]
    together = fitted.probabilities(texts)
    order = np.random.default_rng(0).permutation(len(texts))

    shuffled = fitted.probabilities([texts[i] for i in order])
    alone = np.concatenate([fitted.probabilities([text]) for text in texts])

    assert shuffled.tobytes() == together[order].tobytes()
    assert alone.tobytes() == together.tobytes()


def test_every_flipped_bit_is_refused_with_the_name_of_a_file(small, tmp_path):
    rng = random.Random(0)
    files = sorted(path.name for path in small.iterdir())
    for _ in range(200):
        broken = copied(small, tmp_path)
        file = broken / rng.choice(files)
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)

        with pytest.raises(ArtifactError) as refusal:
            ew.load(broken)

        assert str(broken) in str(refusal.value)


@pytest.mark.parametrize("name", ["elsewise.json", "memory.json", "canary.json"])
def test_a_missing_file_is_named(small, tmp_path, name):
    broken = copied(small, tmp_path)
    (broken / name).unlink()

    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        ew.load(broken)


def test_the_card_of_what_transformers_cannot_open_does_not_name_it(small):
    card = (small / "README.md").read_text(encoding="utf-8")

    assert "pipeline_tag: text-classification" in card
    assert "transformers" not in card


@pytest.mark.parametrize("name", ["pytorch_model.bin", "head.pkl"])
def test_a_file_that_we_did_not_write_is_refused(small, tmp_path, name):
    broken = copied(small, tmp_path)
    (broken / name).write_bytes(b"anything")

    with pytest.raises(ArtifactError, match=rf"{name} was not written by elsewise"):
        ew.load(broken)


def test_a_forged_folder_is_refused_in_words(small):
    described = small / "elsewise.json"
    written = json.loads(described.read_text())
    written["engines"]["memory"]["rule"] = {"kind": "nonsense"}
    described.write_text(json.dumps(written))
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)

    with pytest.raises(ArtifactError, match=r"elsewise.json holds a part that this version cannot read"):
        ew.load(small)


@pytest.mark.parametrize("alias", ALIASES)
def test_a_part_opens_whose_types_are_aliases(alias, tmp_path, monkeypatch):
    """As NDArray is one from numpy 2.5 on: no model folder opened."""
    array = alias("Array", np.ndarray[typing.Any, np.dtype[T]], type_params=(T,))
    number = alias("Number", float)
    several = alias("Several", tuple[T, ...], type_params=(T,))
    fields = {"weights": array[np.float64], "centre": array[np.float64] | None, "low": number, "all": several[number]}
    part = dataclasses.make_dataclass("Part", fields.items())
    monkeypatch.setitem(packing.KINDS, "aliased", part)
    monkeypatch.setitem(packing.NAMES, part, "aliased")

    arrays = {}
    packed = finite(packing.pack(part(np.ones(2), None, -np.inf, (1.0, np.inf)), arrays, "part"))
    opened = packing.unpack(packed, arrays, tmp_path, part)

    assert opened.weights is arrays["part.weights"]
    assert (opened.centre, opened.low, opened.all) == (None, -np.inf, (1.0, np.inf))
    with pytest.raises(ArtifactError, match="'weights' of another type"):
        packing.unpack({**packed, "weights": "many"}, arrays, tmp_path, part)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_type_that_it_stands_for(alias):
    array = alias("Array", np.ndarray[typing.Any, np.dtype[T]], type_params=(T,))
    several = alias("Several", tuple[T, ...], type_params=(T,))
    swapped = alias("Swapped", several[U] | T, type_params=(T, U))
    whole = alias("Whole", alias("Integer", int))
    perhaps = alias("Perhaps", whole | None)

    for type_, value in [
        (array, np.ones(2)),
        (array[np.int64] | None, np.ones(2, np.int64)),
        (whole, 2),
        (perhaps, None),
        (perhaps | str, "two"),
        (several, ("two", 2)),
        (several[perhaps], (2, None)),
        (swapped[str, int], (2, 2)),
        (alias("Anything", typing.Any), object()),
        (alias("Seam", packing.Calibrator), ew.Temperature(1.0)),
        (alias("Word", typing.Literal["pool"]), "pool"),
    ]:
        assert packing._is_a(value, type_), type_
    for type_, value in [
        (array, [1.0]),
        (array[np.int64] | None, 0),
        (whole, True),
        (perhaps, "two"),
        (several[perhaps], (2, "two")),
        (swapped[str, int], ("two",)),
        (alias("Seam", packing.Calibrator), 1.0),
        (alias("Word", typing.Literal["pool"]), "pond"),
    ]:
        assert not packing._is_a(value, type_), type_


def test_a_link_is_refused(small, tmp_path):
    broken = copied(small, tmp_path)
    (broken / "memory.json").unlink()
    (broken / "memory.json").symlink_to(small / "memory.json")

    with pytest.raises(ArtifactError, match=r"memory.json leads out of the model folder"):
        ew.load(broken)


def test_a_snapshot_of_the_hub_opens(small, tmp_path):
    """As `snapshot_download` leaves it: every file is a link to one named by its hash, two folders up."""
    snapshot, blobs = tmp_path / "hub/snapshots/abc", tmp_path / "hub/blobs"
    for folder in (snapshot / "deep", blobs):
        folder.mkdir(parents=True)
    (small / "deep").mkdir()
    (small / "deep/notes.json").write_text("{}")
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)
    for file in [*small.glob("*.*"), *small.glob("deep/*")]:
        name = file.relative_to(small)
        file.rename(blobs / file.name)
        (snapshot / name).symlink_to("../" * (2 + len(name.parts) - 1) + f"blobs/{file.name}")

    assert ew.load(snapshot).labels == ("a", "b", "Other")

    (blobs / "memory.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"memory\.json was changed since it was written"):
        ew.load(snapshot)


def test_a_mounted_volume_opens_and_what_was_added_to_it_is_found(small, tmp_path):
    """As Kubernetes mounts one: files and folders are links into `..data`, which is a link itself."""
    (small / "deep").mkdir()
    (small / "deep/notes.json").write_text("{}")
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)
    volume = tmp_path / "volume"
    volume.mkdir()
    small.rename(volume / "..2026")
    (volume / "..data").symlink_to("..2026")
    for file in (volume / "..2026").iterdir():
        (volume / file.name).symlink_to(f"..data/{file.name}")

    assert ew.load(volume).labels == ("a", "b", "Other")

    (volume / "deep/added.bin").write_bytes(b"anything")
    with pytest.raises(ArtifactError, match=r"deep/added\.bin was not written by elsewise; remove it"):
        ew.load(volume)


def test_a_folder_that_is_a_link_out_of_the_model_is_refused(small, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (small / "more").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ArtifactError, match=r"small/more was not written by elsewise"):
        ew.load(small)


@pytest.mark.parametrize("name", ["elsewise.json", "manifest.json", "memory.json"])
def test_a_pointer_of_git_lfs_is_called_one(small, name):
    (small / name).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4380\n")

    with pytest.raises(ArtifactError, match=rf"{name} is a Git LFS pointer, not the file itself; run: git lfs pull$"):
        ew.load(small)


def test_a_newer_folder_is_refused_with_the_remedy(small):
    manifest = small / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": sealed_folder.FORMAT + 1}))

    with pytest.raises(ArtifactError, match=r"newer than this version reads \(2\); run: pip install -U elsewise"):
        ew.load(small)


def test_an_older_folder_is_refused_with_the_remedy(small):
    manifest = small / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 1}))

    with pytest.raises(ArtifactError, match=r"format 1 is older than this version reads \(2\); fit it again"):
        ew.load(small)


def test_every_engine_has_its_own_entry_and_its_own_canary_answers(small):
    described, canary = (json.loads((small / name).read_text()) for name in ("elsewise.json", "canary.json"))

    assert described["engine"] == "memory"
    assert list(described["engines"]) == list(canary["probabilities"]) == ["memory"]
    parts = {"calibrator", "rule", "gate", "familiarity", "sets"}
    assert set(described["engines"]["memory"]) == {"name", "settings", "fingerprint", *parts}
    assert len(canary["probabilities"]["memory"]) == len(canary["texts"])


def test_other_files_under_the_same_certificate_are_refused(small):
    """A changed table with a manifest that fits: the certificate is not its own."""
    table = small / "memory.json"
    table.write_text(table.read_text().replace("0.1", "0.9"))
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)

    with pytest.raises(ArtifactError, match=r"the certificate of memory belongs to other files or settings"):
        ew.load(small)


def larger(folder, name, size):
    """Make a file seem large, with a manifest that fits."""
    with (folder / name).open("r+b") as file:
        file.truncate(size)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name]["size"] = size
    manifest["sha256"] = sealed_folder._seal(manifest["files"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "size"), [("arrays.safetensors", 32 << 30), ("canary.json", 64 << 20), ("memory.json", 64 << 20)]
)
def test_a_file_is_refused_by_its_size_before_it_is_read(small, name, size, monkeypatch):
    (small / "arrays.safetensors").touch()
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)
    monkeypatch.setattr(sealed_folder, "sha256_of", lambda file: "read" if file.name == name else "not it")
    larger(small, name, size + 1)
    with pytest.raises(ArtifactError, match=rf"{name} has {size + 1:,} bytes, and at most {size:,} are read"):
        sealed_folder._verified(small, name, {"size": size + 1, "sha256": "read"}, is_wanted=False)

    larger(small, name, size)
    sealed_folder._verified(small, name, {"size": size, "sha256": "read"}, is_wanted=False)


def test_a_manifest_is_refused_by_its_size(small):
    with (small / "manifest.json").open("r+b") as file:
        file.truncate((64 << 20) + 1)

    with pytest.raises(ArtifactError, match=r"manifest.json is larger than 64 MB, the most that is read of JSON"):
        ew.load(small)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda described: described.update(history=[{"looks": "x"}]), "'engine'"),
        (lambda described: described.update(history=["x"]), "string indices must be integers"),
        (lambda described: described.update(other=["y" * 1000]), r"'other' cannot be \['y{50,60}\.\.\."),
    ],
)
def test_a_description_of_other_values_is_refused_in_a_short_line(small, change, said):
    described = json.loads((small / "elsewise.json").read_text())
    change(described)
    (small / "elsewise.json").write_text(json.dumps(described))
    seal(small)

    with pytest.raises(ArtifactError, match=rf"elsewise.json holds what this version cannot read: {said}"):
        ew.load(small)


@pytest.mark.parametrize("default", ["ab", [1.0, 2.0], [None] * 3, {}, [1.0, "x", 0.0]])
def test_a_table_of_other_values_is_refused_by_its_name(small, default):
    (small / "memory.json").write_text(json.dumps({"table": {}, "default": default}))
    seal(small)

    with pytest.raises(ArtifactError, match=r"memory.json cannot be read: "):
        ew.load(small)


def test_an_evaluation_that_no_card_can_show_is_refused(small, tmp_path):
    (small / "evaluation.json").write_text(json.dumps({"rows": {}}))
    seal(small)
    loaded = ew.load(small)

    with pytest.raises(ArtifactError, match=r"evaluation.json or elsewise.json hold what no card can show: "):
        loaded.save(tmp_path / "new")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lengths": np.array([2**31 - 1, 1], np.int32)}, "lengths that do not fit"),
        ({"lengths": np.array([-1, 4], np.int32)}, "lengths that do not fit"),
        ({"token_ids": np.array([5, 6], np.int32)}, "lengths that do not fit"),
        ({"token_ids": np.array([5, -6, 7], np.int32)}, "lengths that do not fit"),
        ({"token_ids": np.array([[5, 6, 7]], np.int32)}, "lengths that do not fit"),
        ({"lengths": None}, "refit.tune.lengths"),
    ],
)
def test_kept_tokens_that_do_not_fit_are_refused(change, said):
    from elsewise.classifier.kept_rows import refit_tokens

    whole = {"lengths": np.array([1, 2], np.int32), "token_ids": np.array([5, 6, 7], np.int32)}
    named = {f"refit.tune.{name}": array for name, array in {**whole, **change}.items() if array is not None}

    assert len(refit_tokens({f"refit.tune.{name}": array for name, array in whole.items()}, "tune")) == 2
    with pytest.raises(ArtifactError, match=rf"refit\.safetensors cannot be read: .*{said}"):
        refit_tokens(named, "tune")


def test_other_probabilities_on_the_canary_texts_are_refused(small):
    """As when a library or a processor computes otherwise: only the answers give it away."""
    canary = json.loads((small / "canary.json").read_text())
    canary["probabilities"]["memory"][0][0] -= 0.01
    (small / "canary.json").write_text(json.dumps(canary))
    (small / "manifest.json").unlink()
    sealed_folder.write_manifest(small)

    with pytest.raises(ArtifactError, match=r"canary.json: probabilities differ by .*; fit it again$"):
        ew.load(small)


@pytest.mark.parametrize("place", ["missing", "a file"])
def test_what_is_no_model_folder_is_refused(tmp_path, place):
    path = tmp_path / place
    if place == "a file":
        path.write_text("hello")

    with pytest.raises(ArtifactError, match=r"is not a model folder"):
        ew.load(path)


def test_saving_over_something_else_is_refused_and_leaves_it_alone(small, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")

    with pytest.raises(InputError, match=r"exists and is not a model folder"):
        ew.load(small).save(mine)

    assert (mine / "thesis.txt").read_text() == "years of work"


def test_saving_over_a_folder_with_a_manifest_of_something_else_is_refused(small, tmp_path):
    mine = tmp_path / "extension"
    mine.mkdir()
    (mine / "manifest.json").write_text('{"manifest_version": 3}')
    (mine / "thesis.txt").write_text("years of work")

    with pytest.raises(InputError, match=r"exists and is not a model folder"):
        ew.load(small).save(mine)

    assert (mine / "thesis.txt").exists()


def test_saving_over_a_model_with_a_file_of_yours_beside_it_is_refused(small):
    classifier = ew.load(small)
    (small / ".notes").write_text("mine")

    with pytest.raises(InputError, match=r"also holds \.notes, which would be lost"):
        classifier.save(small)


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_files_that_desktops_leave_behind_do_no_harm(small, name):
    (small / name).write_bytes(b"anything")

    made = ew.load(small)
    made.save(small)

    assert made.labels == ("a", "b", "Other")
    assert not (small / name).exists()


def test_a_link_to_a_model_stays_a_link_when_saved_over(small, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(small)

    ew.load(link).save(link)

    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "small"]


def test_saving_over_a_model_replaces_it_and_leaves_nothing_behind(small):
    classifier = ew.load(small)
    before = sorted(path.name for path in small.parent.iterdir())

    classifier.save(small)

    assert sorted(path.name for path in small.parent.iterdir()) == before
    assert ew.load(small).rule == classifier.rule


def test_a_save_that_fails_leaves_the_old_model(small, monkeypatch):
    classifier = ew.load(small)
    monkeypatch.setattr(
        "elsewise.classifier.model_folder.write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )

    with pytest.raises(InputError, match="cannot be written: disk full"):
        classifier.save(small)

    assert ew.load(small).rule == classifier.rule
    assert [path.name for path in small.parent.iterdir()] == ["small"]


def test_the_certificate_counts_are_what_the_served_rule_gives_on_the_certify_rows(fitted, model):
    """METHODS C33, after saving and loading, on rows kept for a later certification."""
    loaded = ew.load(model)
    evidence, codes = kept_evidence(loaded, loaded.provenance.arrays, "certify")

    decisions = loaded.rule(evidence)

    answered = ~decisions.abstained
    assert int(answered.sum()) == loaded.certificate.n
    assert int((decisions.codes != codes)[answered].sum()) == loaded.certificate.errors


def test_a_change_since_it_was_loaded_is_not_saved_over(small):
    mine, theirs = ew.load(small), ew.load(small)
    theirs.with_provenance(record={"by": "them"}).save(small)

    with pytest.raises(InputError, match="small was changed meanwhile, and that change would be lost; run the command"):
        mine.with_provenance(record={"by": "me"}).save(small)

    assert ew.load(small).provenance.record == {"by": "them"}


def test_what_a_classifier_saved_itself_it_may_save_over(small, tmp_path):
    mine = ew.load(small)
    for number, path in enumerate((small, small, tmp_path / "copy", tmp_path / "copy")):
        mine.with_provenance(record={"number": number}).save(path)

    ew.load(small).save(tmp_path / "copy")  # what comes from elsewhere replaces it, as a new fit does
    with pytest.raises(InputError, match="copy was changed meanwhile"):
        mine.save(tmp_path / "copy")
    shutil.rmtree(small)
    mine.save(small)


def test_what_is_read_is_what_was_checked(small, monkeypatch):
    """The bytes that were hashed are parsed: a file that is replaced right after the check is not read again."""
    checked = model_folder.read_sealed

    def replaced_after(path, wanted):
        sealed = checked(path, wanted)
        for name in ("elsewise.json", "canary.json"):
            (path / name).write_text("{}")
        return sealed

    before = model_folder.ModelFolder.read(small).description
    monkeypatch.setattr(model_folder, "read_sealed", replaced_after)

    assert model_folder.ModelFolder.read(small).description == before
