# The first command after a clone can be any of these: each makes the virtual environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LIGHT := $(VENV)/.light
READY := $(VENV)/.ready
# Modules are compiled once, whatever the environment says: hundreds of tests start a Python.
PYTEST := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder
PYTHONS ?= python3.12 python3.13
WITHOUT_TORCH := sklearn,onnxruntime,openvino,parquet,excel
TORCH_FREE := $(addprefix tests/,batch calibrators classifier contracts data engines evaluation metrics rules scores storage) \
	--ignore tests/contracts/test_every_engine.py --ignore tests/engines/test_odd_texts.py

.PHONY: demo quick test check docs guarantees faults load mutants bench bench-smoke wheel try-wheel pythons lock clean

demo: $(LIGHT)
	$(BIN)/elsewise demo --out elsewise-demo

# The native engine, compiled again when its sources change; without a C compiler its tests are skipped.
NATIVE := src/elsewise/engines/c/native.so
$(NATIVE): $(wildcard src/elsewise/engines/c/*.[ch] src/elsewise/engines/native_build.py) | $(LIGHT)
	-$(BIN)/python -m elsewise.engines.native_build

# Two workers of one thread each; a document, and a file of tests, stays with one of them.
test: $(READY) $(NATIVE)
	$(PYTEST) $(IN_TWO)

# What one runs before each commit: nothing that is slow, imports a framework or starts a process.
quick: $(READY) $(NATIVE)
	$(PYTEST) $(IN_TWO) --quick --ignore tests/guarantees --ignore tests/faults tests

check: $(READY) $(NATIVE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=2 HF_HUB_OFFLINE=1 $(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report

# The pages of docs/ as a site in docs/_build: a warning is an error.
docs: $(READY)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build

guarantees: $(READY)
	$(PYTEST) -m guarantee tests

# Kills and damage, at full size.
faults: $(READY) $(NATIVE)
	$(PYTEST) -m faults tests

# The server under load, at full size: bodies that attack, slow crowds, overload, restarts, swaps and 10,000 texts.
load: $(READY)
	$(PYTEST) -s -m load tests/server

# Each benchmark once, on few made-up rows; and the example of the README on the default encoder.
bench-smoke: $(READY) $(NATIVE)
	$(PYTEST) -m bench tests/benchmarks tests/documents/test_readme.py

# Faults planted one at a time in a copy: do the tests see them?
mutants: $(READY)
	$(BIN)/python tools/mutate.py

# make bench DATA=FOLDER DOCUMENTS=FOLDER [FEW=FOLDER]: CLINC150, long documents and, for a Keras model beside a BERT, a set
# of few rows, each with train.csv, val.csv and test.csv.
bench: $(READY) $(NATIVE)
	test -f "$(DATA)/test.csv" -a -f "$(DOCUMENTS)/test.csv" || { echo "make bench DATA=FOLDER DOCUMENTS=FOLDER: CLINC150 and long documents, each with train.csv, val.csv and test.csv"; exit 2; }
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/million_rows.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/check.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/report.py
	mkdir -p bench-models
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/clinc150.py --data "$(DATA)" --models bench-models
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/other.py --data "$(DATA)" --models bench-models/clinc150-0 bench-models/clinc150-1 bench-models/clinc150-2 --far "$(DOCUMENTS)" $(FEW)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/quick.py --data "$(DATA)"
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/layers.py --data "$(DATA)" --models bench-models/clinc150-0 bench-models/clinc150-1 bench-models/clinc150-2
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/uncertainty.py --data "$(DATA)" --models bench-models/clinc150-0 bench-models/clinc150-1 bench-models/clinc150-2
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/resplits.py --data "$(DATA)" --model bench-models/clinc150-0
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/baseline.py --data "$(DATA)" --model bench-models/clinc150-0
	test -z "$(FEW)" || HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/keras_and_bert.py --clinc "$(DATA)" --model bench-models/clinc150-0 --sib "$(FEW)"
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/explain.py --data "$(DATA)" --model bench-models/clinc150-0
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/engines.py --data "$(DATA)" --documents "$(DOCUMENTS)" --models bench-models
	test -d bench-models/documents-0 || for seed in 0 1; do HF_HUB_OFFLINE=1 $(BIN)/elsewise fit "$(DOCUMENTS)/train.csv" --held-out "$(DOCUMENTS)/val.csv" --test "$(DOCUMENTS)/test.csv" -o bench-models/documents-$$seed --epochs 4 --seed $$seed || exit 1; done
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/long_documents.py --data "$(DOCUMENTS)" --models bench-models/documents-0 bench-models/documents-1
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/windows.py --data "$(DOCUMENTS)"
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/stream.py --data "$(DATA)" --model bench-models/clinc150
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/bulk.py --data "$(DATA)" --model bench-models/clinc150
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/one_text.py --data "$(DATA)" --model bench-models/clinc150-0
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/server.py --data "$(DATA)" --model bench-models/clinc150-0
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/native.py --data "$(DATA)" --documents "$(DOCUMENTS)" --model bench-models/clinc150-0
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/odd_texts.py --model bench-models/clinc150

# A wheel in dist/, for `pip install dist/elsewise-*.whl`.
wheel: $(LIGHT)
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist .

# The wheel in an empty environment, without its extras: it predicts from the folder that `make demo` leaves.
try-wheel: wheel
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/elsewise-*.whl
	! .venv-wheel/bin/python -m pip list 2> /dev/null | grep -iE '^(torch|transformers|openvino|pytest) '
	.venv-wheel/bin/elsewise predict elsewise-demo/model elsewise-demo/new.csv -o dist/answers.csv

# The tests that need no torch, on each of PYTHONS that is on this machine.
pythons:
	for python in $(PYTHONS); do \
		$$python --version || continue; \
		test -x .venv-$$python/bin/python || $$python -m venv .venv-$$python || exit 1; \
		.venv-$$python/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(WITHOUT_TORCH)]' pytest hypothesis sybil mapie || exit 1; \
		OMP_NUM_THREADS=2 HF_HUB_OFFLINE=1 .venv-$$python/bin/pytest -q $(TORCH_FREE) || exit 1; \
	done

# constraints.txt, from an empty environment of the oldest Python.
lock:
	$(PYTHON) tools/lock.py

# One environment that grows: what the demo needs, and then what tests, checks and documents need besides.
$(LIGHT): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,demo]'
	touch $@

$(READY): $(LIGHT)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .venv-* elsewise-demo bench-models docs/_build docs/generated dist .pytest_cache .mypy_cache .ruff_cache
