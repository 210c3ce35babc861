#!/usr/bin/env python3
"""Validates JSON against a JSON Schema: validate.py SCHEMA FILE [--lines]. With --lines each line is one document.

Exit codes: 0 valid, 1 not (each violation is printed, at most 20), 2 nothing to validate.
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator


def main(schema, path, lines):
    schema = json.loads(Path(schema).read_text())
    Draft202012Validator.check_schema(schema)
    text = Path(path).read_text()
    documents = [json.loads(line) for line in text.splitlines()] if lines else [json.loads(text)]
    if not documents:
        print("there is nothing to validate")
        return 2
    validator = Draft202012Validator(schema)
    errors = [error for document in documents for error in validator.iter_errors(document)]
    for error in errors[:20]:
        print(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    print(f"{len(documents)} documents: {f'{len(errors)} violations' if errors else 'valid'}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "--lines" in sys.argv[3:]))
