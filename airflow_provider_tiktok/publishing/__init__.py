"""What makes a post happen: checks before anything is sent, the publish itself, what a status means."""

from __future__ import annotations
