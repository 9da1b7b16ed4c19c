"""Tests of a grant's life: from the Connection, through the store, to the token of a call."""

from __future__ import annotations
