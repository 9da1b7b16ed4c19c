"""A token's life: where the grant is stored, and who may refresh it."""

from __future__ import annotations
