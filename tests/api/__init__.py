"""Tests of the API client: against made-up answers, and against real sockets on loopback."""

from __future__ import annotations
