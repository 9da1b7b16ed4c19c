"""What the README prints is run here."""

from __future__ import annotations
