"""Decide the texts of a Spark data frame, for those whose data lie there: each Python worker loads the model once.

The columns are those of an answers file, and so are the decisions: a text's answer never depends on its neighbours.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from elsewise.batch.answers import COLUMNS
from elsewise.batch.layout import types_of
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.load import load
from elsewise.data.rows import output_names
from elsewise.errors import InputError, need
from elsewise.storage.sealed_folder import manifest_hash

TYPES: Final = {"string": "StringType", "bool_": "BooleanType", "float64": "DoubleType"}  # as Spark calls them


def decide(
    frame: Any, model: str | Path, text_column: str = "text", *, engine: str | None = None,
    precision: str | None = None, threads: int | None = 1,
) -> Any:  # fmt: skip
    """Add the columns of an answers file to a Spark data frame: label, abstained, reason, ..., truncated.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Any columns, one of them texts; a missing text is unreadable.
    model : str or Path
        A model folder that all workers see under this path.
    text_column : str
        The column with the texts.
    engine, precision, threads : optional
        As for `elsewise.load`, for each Python worker. Default: the folder's engine on one thread.

    Returns
    -------
    pyspark.sql.DataFrame
        All columns of `frame`, and those of the answers. A column of `frame` that is called like one of these is
        renamed, as ``label`` to ``input_label``.

    Raises
    ------
    InputError
        If the column does not exist or holds no strings.
    MissingExtra
        If pyspark is not installed.
    """
    types = need("pyspark.sql.types", extra="spark")
    if text_column not in frame.columns:
        raise InputError(f"the data frame has no column {text_column!r}; it has {', '.join(map(repr, frame.columns))}")
    if not isinstance(frame.schema[text_column].dataType, types.StringType):
        kind = frame.schema[text_column].dataType.simpleString()
        raise InputError(f"the column {text_column!r} holds {kind}, not string")
    names, _ = output_names(frame.columns, COLUMNS)
    for old, new in names.items():
        frame = frame.withColumnRenamed(old, new) if old in frame.columns else frame
    column, ours = names.get(text_column, text_column), types_of(COLUMNS)
    fields = [types.StructField(name, getattr(types, TYPES[ours[name]])()) for name in COLUMNS]
    schema = types.StructType([*frame.schema.fields, *fields])
    place = str(Path(model).absolute())
    load(place, engine=engine, precision=precision, threads=threads)  # a wrong folder is told here, not by a worker
    how = (place, manifest_hash(Path(place)), engine, precision, threads)
    return frame.mapInArrow(lambda batches: decided(batches, column, how), schema)


def decided(batches: Iterable[Any], column: str, how: tuple[Any, ...]) -> Iterator[Any]:
    """Add the columns of answers to record batches of pyarrow."""
    arrow = need("pyarrow", extra="parquet")
    classifier = opened(*how)
    types = types_of(COLUMNS)
    for batch in batches:
        decisions = classifier.decide(batch.column(batch.schema.get_field_index(column)).to_pylist())
        columns = decisions.columns
        arrays = [arrow.array(columns[name], type=getattr(arrow, types[name])(), from_pandas=True) for name in COLUMNS]
        yield arrow.RecordBatch.from_arrays([*batch.columns, *arrays], names=[*batch.schema.names, *COLUMNS])


@cache
def opened(path: str, manifest: str, engine: str | None, precision: str | None, threads: int | None) -> Classifier:
    """Load a model folder once in this process; again only where its manifest is another one."""
    if manifest_hash(Path(path)) != manifest:
        raise InputError(f"{path} is not the folder that the driver has; put the same folder there on all workers")
    return load(path, engine=engine, precision=precision, threads=threads)
