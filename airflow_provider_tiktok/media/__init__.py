"""What is posted: where it lies, what it is, and how its bytes are read."""

from __future__ import annotations
