# Everything a developer does. `make test` needs only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install test slow lowest gpu lint demo docs dist bench clean

install: $(STAMP)

# torch comes first and alone: the constraints file pins the release, and no later resolver may change it.
# timm and torchvision are the independent reference of the tests only; --no-deps keeps their torch out.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "pip>=25.1" "setuptools>=77"
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e .
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps timm torchvision
	$(BIN)/python -m pip install --quiet -c constraints.txt pytest pytest-xdist hypothesis jaxtyping beartype pycocotools transformers pandas onnx onnxruntime openvino nncf starlette uvicorn python-multipart httpx2 "ray[data]" opencv-python-headless playwright ruff mypy types-PyYAML
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# one torch thread in tests: on two cores more of them only wait for each other
test slow lowest: export OMP_NUM_THREADS = 1

test: install lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

slow: install
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder

# on a machine with a CUDA device, in an environment whose torch uses it; the other tests hide it
gpu: install
	CONDETR_TESTS_ON_GPU=1 $(BIN)/python -m pytest tests/gpu

# the lowest versions that pyproject.toml accepts; without the tests that compare with transformers, which needs a newer
# huggingface_hub
LOWEST := cli training predicting evaluating datasets images engine model exporting runtime videos serving

lowest:
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e ".[onnx,openvino,serve,video,supervision,timm]"
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt pytest pytest-xdist hypothesis jaxtyping beartype pycocotools
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal $(addprefix tests/,$(LOWEST))

demo: install
	$(BIN)/condetr demo

# the site needs neither torch nor the package: mkdocstrings reads the source
docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

.venv-docs/.installed: constraints-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-docs.txt mkdocs-material "mkdocstrings[python]" latex2mathml ruff
	touch $@

# what a user installs: the wheel in a clean environment, and a short demo there, away from this folder
dist: install
	rm -rf dist build .venv-dist
	$(BIN)/python -m pip install --quiet -c constraints.txt build
	$(BIN)/python -m build --no-isolation --outdir dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.venv-dist/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd "$$(mktemp -d)" && $(CURDIR)/.venv-dist/bin/condetr --version \
		&& $(CURDIR)/.venv-dist/bin/condetr demo --images 60 --epochs 1 --out demo && ls demo/report/report.html
	rm -rf .venv-dist

bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .venv-docs .venv-dist .venv-lowest build dist site src/*.egg-info
