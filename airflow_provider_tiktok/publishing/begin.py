"""
Begins a publish: a new generation, from its checks to TikTok having begun it and the record saying so.

An upload's init posts nothing, so it is simply made, and made anew where its answer was lost. A pull's init
is the deed: it is made under a claim; the record says before that it will be, and then what came of it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_tiktok import stats
from airflow_provider_tiktok.api.client import DEADLINE_SECONDS
from airflow_provider_tiktok.api.models import PublishInit
from airflow_provider_tiktok.claim import Held
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokProtocolError,
    TikTokServerError,
    TikTokStoreError,
    TikTokUnconfirmedError,
)
from airflow_provider_tiktok.publishing.ledger import Fence, Ledger, Record, Stage
from airflow_provider_tiktok.publishing.ownership import Ownership, claim, is_claimed, publish_pace, time_left
from airflow_provider_tiktok.publishing.pace import (
    LOST,
    OK,
    Limit,
    Place,
    Released,
    is_first_of_backlog,
    limit_of,
)
from airflow_provider_tiktok.publishing.post import Post, Standing
from airflow_provider_tiktok.publishing.sending import Sending
from airflow_provider_tiktok.publishing.turn import (
    Turn,
    note_gone,
    note_outcome,
    should_queue,
    turn,
)

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: TikTok may have acted.
IN_DOUBT = (TikTokNoAnswerError, TikTokServerError, TikTokProtocolError)
#: Seconds between tries of an upload's init whose answer was lost: it posts nothing.
INIT_PAUSES = (1.0, 3.0)
#: Seconds between tries to keep the record of a pull that TikTok has begun.
KEEP_PAUSES = (0.2, 0.5, 1, 2, 4, 8, *(15,) * 20)
#: How many of TikTok's minutes a task that is not deferrable waits, where a minute's limit was hit.
MINUTES = 3


@dataclass
class Beginning:
    """
    Begins the publishes of one task instance.

    :param hook: of the account
    :param ledger: of the task instance
    :param post: what is to be posted
    :param context: of the task
    :param place: of the task in its account's queue
    :param released: the queue has let it go; None = it has not waited there
    :param queue: defers the task to its account's queue, for the limit that was met; None = it waits here
    """

    hook: TikTokHook
    ledger: Ledger
    post: Post
    context: Any
    place: Place
    released: Released | None = None
    queue: Callable[[Limit | None], NoReturn] | None = None
    _minutes: int = 0

    @property
    def is_fresh(self) -> bool:
        """
        Whether the queue has let a task go that most probably has no record yet.

        Then one look is enough before its init: the claim brings the proof, before a pull's init and before
        the last range of an upload, whose init posts nothing.
        """
        return self.released is not None and is_first_of_backlog(self.context)

    def begin(self, blank: Callable[[], Record]) -> Standing | None:
        """
        Begin a publish.

        :param blank: gives the record to be filled in; opens the media
        :return: None where the record has to be looked at again
        :raises TikTokError: nothing was posted, or the record says so
        """
        if self.queue and not self.released and should_queue(self.hook, self.context, self.post.post_mode):
            self.queue(None)
        if self.post.fence is Fence.PUBLISH_ID:
            return self._upload(blank())
        try:
            self.post.check()
            self.post.stage()
        except TikTokAnswerError as error:  # creator_info tells of caps, and of accounts that cannot post
            self.at_limit(error)
            return None
        return self._pull(blank())

    def at_limit(self, error: TikTokAnswerError) -> None:
        """
        Wait where TikTok takes no more just now, or raise.

        :param error: that TikTok has answered with
        """
        ticket = self.released.ticket if self.released else ""
        note_outcome(self.hook, error, self.post.post_mode, ticket)
        limit = limit_of(error)
        if limit is None:
            raise error
        self.released = None
        if self.queue:
            log.info("%s", error)
            self.queue(limit)
        if limit is not Limit.MINUTE or self._minutes >= MINUTES:
            raise error
        self._minutes += 1
        pause = self.hook.account.rate_window * random.uniform(0.5, 1.0)  # noqa: S311 - TikTok's minute slides
        log.info("Waiting %.0f s: %s", pause, error)
        time.sleep(pause)
        stats.waited("minute", pause, self.hook.tiktok_conn_id)

    # --- an upload ---

    def _upload(self, blank: Record) -> Standing | None:
        ownership = Ownership(self.ledger, self.hook.account, blank.generation)
        try:
            begun = self._begun_upload(ownership, blank)
            if begun is None:
                return None
            record = self._begun(blank, begun)
            ownership.offer(record, begun.upload_url)
            return Sending(self.hook, self.ledger, self.post, ownership.result).run(
                record, begun.upload_url, 0
            )
        finally:
            ownership.stop()

    def _begun_upload(self, ownership: Ownership, blank: Record) -> PublishInit | None:
        # whom the queue has let go is rarely refused, and soon has its turn, unless another is before it
        nearly = ownership.start if self.released else lambda: None
        if self.released and not self.released.after:
            nearly()
        try:
            self.post.check()
            with self._turn(nearly) as mine:
                begun = self._upload_init()
                mine.note(OK)
                return begun
        except TikTokAnswerError as error:
            if limit_of(error):
                ownership.refused(_refused(blank, error))
            self.at_limit(error)
            return None

    def _upload_init(self) -> PublishInit:
        for pause in (*INIT_PAUSES, None):
            try:
                return self.post.init(lambda: DEADLINE_SECONDS)
            except IN_DOUBT as error:
                if pause is None:
                    raise
                log.warning("An init without bytes posts nothing, so it is made again: %s", error)
                time.sleep(pause)
        raise AssertionError("the last one returns or raises")

    # --- a pull ---

    def _pull(self, blank: Record) -> Standing | None:
        try:
            record = self._begun_pull(blank)
        except TikTokUnconfirmedError:
            log.warning("What was staged stays, since TikTok may be pulling it; the sweep removes it.")
            raise
        except TikTokAnswerError as error:
            self.post.unwanted()
            self.at_limit(error)
            return None
        except TikTokError:
            self.post.unwanted()
            raise
        if record is None:
            self.post.unwanted()
            return None
        self.post.accepted(record.publish_id)
        log.info("Publish %s: TikTok pulls %s.", record.publish_id, self.post.what)
        return Standing.of(record)

    def _begun_pull(self, blank: Record) -> Record | None:
        """Make the init under a claim; None where another process has made it."""
        # a claim that is there may have to die first, which must not take up the account's turn
        held = claim(self.ledger, blank.generation) if is_claimed(self.ledger, blank.generation) else None
        with self._turn() as mine:
            if held is None or (isinstance(held, Held) and held.left() < publish_pace(self.ledger).hold / 3):
                held = claim(self.ledger, blank.generation)  # the turn may have been long in coming
            if isinstance(held, Record):
                return None
            record = self._intend(blank, held)
            begun = self._pull_init(record, held, mine)
            mine.note(OK)
            record = self._begun(record, begun)
            self._keep(record)
            return record

    def _intend(self, blank: Record, held: Held) -> Record:
        """
        Write that the init is about to be made.

        :raises TikTokStoreError: that may have come too late, and stand over what another process has made
        """
        record = self.ledger.write(replace(blank, stage=Stage.INTENT, began=time.time()))
        if held.left() > 0:
            return record
        # it stays: nobody who reads it may take it that nothing was sent
        raise TikTokStoreError(
            "The right to publish ran out while it was noted that it is used: the machine or Airflow was too "
            "slow. This process has sent nothing, but another one of this task may have."
        )

    def _pull_init(self, record: Record, held: Held, mine: Turn) -> PublishInit:
        """Make the init; what came of it is in the record before anything else is done."""
        try:
            return self.post.init(lambda: time_left(held, self.ledger))
        except (*IN_DOUBT, AirflowTaskTimeout) as error:
            mine.note(LOST)
            self._record_doubt(record, error)
            raise unconfirmed(self.post.what, record, error) from error
        except TikTokAnswerError as error:
            final = isinstance(error, AirflowFailException) or limit_of(error) is not None
            refused = _refused(record, error)
            self._keep(refused if final else replace(refused, stage=Stage.NOTHING_SENT))
            raise
        except TikTokError:  # no connection, no token, or the claim has run out
            self._keep(replace(record, stage=Stage.NOTHING_SENT))
            raise

    def _record_doubt(self, record: Record, error: BaseException) -> None:
        try:
            self.ledger.write(replace(record, stage=Stage.UNCONFIRMED))
        except TikTokStoreError as failure:  # that it was intended is in the record already
            log.warning("%s (while this was met: %s)", failure, type(error).__name__)

    def _keep(self, record: Record) -> None:
        """Keep what has come of a pull's init, however long that takes: nobody else can know it."""
        for pause in (*KEEP_PAUSES, None):
            try:
                self.ledger.write(record)
            except TikTokStoreError as error:
                if pause is None:
                    if record.publish_id:
                        raise unconfirmed(self.post.what, record, error) from error
                    raise
                log.warning("The record of %s cannot be kept yet: %s", self.post.what, error)
                time.sleep(pause)
            else:
                return

    def _begun(self, record: Record, begun: PublishInit) -> Record:
        creator = self.hook.creator_username
        return self.post.planned(replace(record, publish_id=begun.publish_id, creator=creator))

    def _turn(self, nearly: Callable[[], None] = lambda: None) -> AbstractContextManager[Turn]:
        released, self.released = self.released, None
        return turn(self.hook, self.place, released, self.post.post_mode, nearly)

    def leave(self) -> None:
        """Tell the next task of the queue not to wait for this one, which makes no init."""
        if self.released:
            note_gone(self.hook, self.released, self.post.post_mode)


def _refused(record: Record, error: TikTokAnswerError) -> Record:
    return replace(record, stage=Stage.REFUSED, code=error.code, log_id=error.log_id)


def unconfirmed(what: str, record: Record, error: BaseException | None = None) -> TikTokUnconfirmedError:
    """
    Make the error for a post that may have been made or not.

    :param what: was to be posted
    :param record: of the publish
    :param error: that was met
    """
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.began))
    happened = f" What happened: {error}" if error else ""
    named = f" Its publish_id is {record.publish_id}." if record.publish_id else ""
    return TikTokUnconfirmedError(
        f"TikTok may have taken {what} or not, and a second try might post it twice.{named} Look in the "
        f"creator's profile, drafts and inbox for a post of {since} or later. If it is not there after an "
        'hour, clear the task with if_unconfirmed="republish", which posts it again; if it is there, mark '
        f"the task as a success.{happened}"
    )
