"""Claims whose looks may lie as far apart as on a busy machine, and which end soon after their process."""

from __future__ import annotations

from unittest import mock

from airflow_provider_tiktok.claim import Pace
from airflow_provider_tiktok.publishing import begin, ownership

#: Of tasks in an Airflow, which takes up to a second for a look.
IN_AIRFLOW = Pace(write=3.0, settle=3.75, hold=12.0, ttl=18.0)
#: Of processes that ask the metadata database themselves.
FORKED = Pace(write=0.6, settle=0.75, hold=4.0, ttl=6.0)


def use(pace: Pace) -> None:
    """
    Have all publishes of this process claim at this pace.

    :param pace: the same in all processes
    """
    for module in (begin, ownership):
        mock.patch.object(module, "publish_pace", return_value=pace).start()
