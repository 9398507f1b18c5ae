"""Spark: a data frame's texts get the decisions of one process, and each Python worker loads the model once."""

import os
import shutil
import sys

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch.answers import COLUMNS
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError, MissingExtra

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas", "ignore::ResourceWarning")
NUMBERS = ("confidence", "probability")
TEXTS = ["a", "b", "c", None, "unknown", ""] * 200


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed: pip install 'elsewise[spark]'")
    if shutil.which("java") is None:
        pytest.skip("there is no Java for Spark: apt-get install default-jre-headless")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("OFF")
    yield made
    made.stop()
    del os.environ["PYSPARK_PYTHON"]


@pytest.fixture
def model(tmp_path):
    best = {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0]}
    classifier = ew.Classifier(MemoryEngine(("yes", "no"), best), ew.Identity(), ew.FixedThreshold(0.7))
    classifier.save(tmp_path / "model")
    return classifier, tmp_path / "model"


def test_a_data_frame_has_the_decisions_of_one_process(spark, model):
    from elsewise.batch.spark import decide

    classifier, folder = model
    frame = spark.createDataFrame([(i, text, "mine") for i, text in enumerate(TEXTS)], ["id", "text", "label"])

    made = decide(frame.repartition(5), folder)
    rows = {row["id"]: row.asDict() for row in made.collect()}

    expected = classifier.decide(TEXTS).columns
    assert made.columns == ["id", "text", "input_label", *COLUMNS]
    for i in range(len(TEXTS)):
        for name in COLUMNS:
            want = expected[name][i]
            assert rows[i][name] == (None if name in NUMBERS and np.isnan(want) else want)
        assert (rows[i]["text"], rows[i]["input_label"]) == (TEXTS[i], "mine")


def test_each_worker_loads_the_model_once(spark, model):
    from elsewise.batch import spark as module
    from elsewise.storage.sealed_folder import manifest_hash

    _, folder = model
    how = (str(folder), manifest_hash(folder), None, None, 1)

    def told(batches):
        import pyarrow as pa

        from elsewise.batch.spark import decided, opened

        for batch in decided(batches, "text", how):
            facts = opened.cache_info()
            yield pa.RecordBatch.from_pydict(
                {"process": [os.getpid()], "loads": [facts.misses], "rows": [batch.num_rows]}
            )

    frame = spark.createDataFrame([(text,) for text in ["a"] * 4000], "text string").repartition(8)
    facts = frame.mapInArrow(told, "process long, loads long, rows long").collect()

    assert module.opened.__wrapped__ is not None
    assert sum(row["rows"] for row in facts) == 4000
    assert len(facts) >= 8
    loads = {(row["process"], row["loads"]) for row in facts}  # a worker may have loaded other folders before
    assert 1 <= len(loads) == len(dict(loads)) <= 4


def test_wrong_columns_and_folders_are_told_by_the_driver(spark, model, tmp_path):
    from elsewise.batch.spark import decide, opened

    frame = spark.createDataFrame([(1, "a")], "id int, text string")

    with pytest.raises(InputError, match=r"the data frame has no column 'body'; it has 'id', 'text'"):
        decide(frame, model[1], "body")
    with pytest.raises(InputError, match=r"the column 'id' holds int, not string"):
        decide(frame, model[1], "id")
    with pytest.raises(ew.ElsewiseError, match="is not a model folder"):
        decide(frame, tmp_path)
    with pytest.raises(InputError, match="is not the folder that the driver has"):
        opened(str(model[1]), "0" * 64, None, None, 1)


def test_a_missing_spark_is_told_with_the_remedy(monkeypatch):
    from elsewise.batch.spark import decide

    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql.types", None)

    with pytest.raises(MissingExtra, match=r"pyspark.sql.types is not installed; run: pip install 'elsewise\[spark\]'"):
        decide(None, "model")
