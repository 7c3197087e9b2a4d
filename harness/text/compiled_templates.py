"""Compiled templates, kept on disk as Python keeps compiled modules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import jinja2

from harness.text.files import replace_whole


class CompiledTemplates(jinja2.BytecodeCache):
    """Keeps one file a template in `__pycache__` beside this module, if it can be written.

    `made_by` are the files whose code the compiler calls. If one of them or the version of Jinja
    changes, all templates are compiled again; Jinja itself notices a changed template.
    """

    def __init__(self, made_by: Sequence[Path]) -> None:
        digest = sha256(f"{jinja2.__version__} {sys.implementation.cache_tag}".encode())
        for path in made_by:
            digest.update(path.read_bytes())
        self.version = digest.hexdigest()[:16]

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        with suppress(Exception):  # a damaged file is none; unpickling raises anything
            bucket.load_bytecode(BytesIO(self._place(bucket).read_bytes()))

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        place, compiled = self._place(bucket), BytesIO()
        bucket.write_bytecode(compiled)
        with suppress(OSError):
            for old in place.parent.glob(f"{bucket.key}-*.j2c"):
                old.unlink()
            replace_whole({place: compiled.getvalue()})

    def _place(self, bucket: jinja2.bccache.Bucket) -> Path:
        return Path(__file__).with_name("__pycache__") / f"{bucket.key}-{self.version}.j2c"
