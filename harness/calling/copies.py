"""Copies a module, or its state_dict."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def deep_copy(module: Any) -> Any:
    """Return a deep copy of a module; None if it is no module, or cannot be copied."""
    if not hasattr(module, "named_parameters"):
        return None
    try:
        return copy.deepcopy(module)
    except Exception:  # a module may hold anything, such as a lock
        return None


def save_state(module: Any) -> Mapping[str, Any] | None:
    """Return a copy of a module's state_dict; None if it has none."""
    if not hasattr(module, "state_dict"):
        return None
    try:
        return {name: copy.deepcopy(value) for name, value in module.state_dict().items()}
    except Exception:  # a user's own state_dict may raise anything
        return None
