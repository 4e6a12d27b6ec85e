# Two commands: `make run` and `make test`. Each sets up everything it needs in this folder; nothing is installed elsewhere.
PYTHON ?= python3

.PHONY: run demo test lint clean help

help:
	@echo "make run    set up, write a first config.yaml, then watch the terms in it and serve the archive on http://127.0.0.1:8765"
	@echo "make demo   the same machine on invented platforms whose terms change before your eyes"
	@echo "make test   set up, then lint, types, layers and all tests"

run: .venv/installed
	@test -f config.yaml || .venv/bin/tosmon --config config.yaml init
	.venv/bin/tosmon --config config.yaml run

demo: .venv/installed
	.venv/bin/tosmon demo

.venv/installed: pyproject.toml $(shell find tosmon -type f -not -name '*.pyc' 2>/dev/null)
	test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check .
	@touch $@

.venv-test/installed: pyproject.toml
	test -x .venv-test/bin/pip || $(PYTHON) -m venv .venv-test
	.venv-test/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	.venv-test/bin/pip install --quiet --disable-pip-version-check --editable '.[browser,hooks]' --group dev
	@touch $@

test: lint
	.venv-test/bin/python -m pytest -n 2 --dist loadfile

lint: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/lint-imports

clean:
	rm -rf .venv .venv-test .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
