"""
Publishes once: finds out what has been begun, and does what :mod:`.decision` says, until it is on its way.

The same steps for a first try, a retry, a second process of the same try, and a task that is resumed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from airflow_provider_tiktok.api.models import PublishState, PublishStatus
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokError,
    TikTokInputError,
    TikTokStoreError,
    TikTokUnfinishedError,
    TikTokUploadError,
    answer_error,
)
from airflow_provider_tiktok.publishing.begin import Beginning, unconfirmed
from airflow_provider_tiktok.publishing.decision import (
    FOUND,
    HUNG_SECONDS,
    LONGER_SECONDS,
    REPEATS,
    SEEN,
    Action,
    Found,
    column,
    found,
    seen,
)
from airflow_provider_tiktok.publishing.ledger import Fence, Ledger, Record, Stage
from airflow_provider_tiktok.publishing.ownership import wait_for_outcome
from airflow_provider_tiktok.publishing.post import Post, Standing
from airflow_provider_tiktok.publishing.pull import release
from airflow_provider_tiktok.publishing.request import Rules
from airflow_provider_tiktok.publishing.sameness import check_bytes, check_posted, check_under_way
from airflow_provider_tiktok.publishing.sending import Sending
from airflow_provider_tiktok.publishing.status import ask, failure

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: What TikTok has said of a publish, or what was raised when it was asked.
Answer: TypeAlias = "PublishStatus | TikTokError"
#: Seconds between two questions where only an answer can tell what to do.
ASK_PAUSES = (1, 2, 4, 8, 15, 30)
#: How often a try goes on with an upload whose ranges seem to be taken, and are not.
MOST_SENDS = 5


@dataclass
class Publisher:
    """
    Publishes one post of one task instance.

    :param hook: of the account
    :param ledger: of the task instance
    :param post: what is to be posted
    :param request: a digest of each argument
    :param episode: see :func:`~airflow_provider_tiktok.publishing.identity.episode`
    :param rules: what a user has decided
    :param beginning: how a new publish is begun
    """

    hook: TikTokHook
    ledger: Ledger
    post: Post
    request: Mapping[str, str]
    episode: int
    rules: Rules
    beginning: Beginning
    _records: list[Record] = field(default_factory=list)
    _asks: int = 0
    _sends: int = 0
    _sealed: bool = False

    def stand(self, told: Answer | None = None) -> Standing:
        """
        Bring the publish on its way, or to its end.

        :param told: what TikTok has said of it just now; None = it is asked
        :raises TikTokError: the subclass says what; a retry goes on from here
        """
        while True:
            self._records = self.ledger.latest(proven=not self.beginning.is_fresh)
            standing = self._act(told)
            if standing is not None:
                return standing
            told = None

    @property
    def record(self) -> Record | None:
        """The latest generation."""
        return self._records[-1] if self._records else None

    def is_about(self, publish_id: str) -> bool:
        """
        Tell whether the latest generation is this publish.

        :param publish_id: that was waited for
        """
        self._records = self._records or self.ledger.latest()
        return self.record is not None and self.record.publish_id == publish_id

    @property
    def cancels(self) -> bool:
        """Whether an ending task is to cancel its publish: only a pull can be."""
        return self.rules.cancels and self.post.fence is Fence.NONE

    def stuck_at(self, standing: Standing) -> float | None:
        """
        Give the moment at which to look again at a publish that does not end; None = there is none.

        :param standing: of a publish that is on its way
        """
        at = standing.began + (HUNG_SECONDS if self.post.fence is Fence.NONE else LONGER_SECONDS) + 1
        return at if at > time.time() else None

    def cancel(self, standing: Standing) -> None:
        """
        Cancel a pull that TikTok is still downloading, as an ending task may; never raises.

        :param standing: of a publish that is on its way
        """
        if not self.cancels:
            return
        try:
            self.hook.cancel(standing.publish_id)
            log.info("Publish %s is cancelled.", standing.publish_id)
        except TikTokError as error:
            log.warning("Publish %s could not be cancelled: %s", standing.publish_id, error)

    def _act(self, told: Answer | None) -> Standing | None:
        record = self.record
        row = found(record)
        if row is not None:
            return self._act_on_record(row, record)
        assert record is not None  # noqa: S101 - nothing has a row
        record = self._reconciled(record)
        check_under_way(self.post, self.request, record)
        answer = told or self._asked(record)
        action = SEEN[seen(answer, record, now=time.time())][column(record.fence, sealed=self._sealed)]
        return self._handlers()[action](record, answer)

    def _handlers(self) -> dict[Action, Callable[[Record, Answer], Standing | None]]:
        return {
            Action.NEW: self._gone,
            Action.SAME: self._same,
            Action.LAST: self._last,
            Action.WAIT: self._wait,
            Action.ASK: self._ask,
            Action.SUBMITTED: self._submitted,
            Action.DONE: self._done,
            Action.FORGOTTEN: self._forgotten,
            Action.PACE: self._pace,
            Action.AGAIN: self._again,
            Action.HUNG: self._hung,
            Action.FAIL: self._fail,
            Action.UNCONFIRMED: self._unconfirmed,
        }

    # --- what the record says ---

    def _act_on_record(self, row: Found, record: Record | None) -> Standing | None:
        # as it was begun: what is asked for now may take another way
        action = FOUND[row][record.fence if record else self.post.fence]
        if record is None or action in (Action.NEW, Action.PACE):
            return self._new()
        if row is Found.DONE:
            return self._done_before(record)
        if row is Found.INTENT and wait_for_outcome(self.ledger, record).stage is not Stage.INTENT:
            return None
        if action is Action.UNCONFIRMED:
            return self._unconfirmed(record, None)
        if record.episode != self.episode:
            log.info("The task has been cleared since %s: it is published anew.", _told_of(record))
            return self._new()
        if action is Action.AGAIN:
            return self._again(record, None)
        raise answer_error(_told_of(record), record.code, log_id=record.log_id)

    def _done_before(self, record: Record) -> Standing | None:
        if self.rules.republish and record.episode != self.episode:
            log.info("Publish %s is posted; it is posted again, as if_published says.", record.publish_id)
            return self._new()
        check_posted(self.request, record)
        log.info("Publish %s was made by an earlier try: nothing is posted again.", record.publish_id)
        answer = self._asked(record)
        if isinstance(answer, PublishStatus) and answer.status in _ENDS:
            return Standing.of(record, answer)
        return Standing.of(record, PublishStatus(_STATUS_OF[record.stage]))

    # --- what TikTok says ---

    def _asked(self, record: Record) -> Answer:
        try:
            return ask(self.hook, record.publish_id)
        except TikTokError as error:
            log.info("Publish %s: the status cannot be asked just now: %s", record.publish_id, error)
            return error

    def _reconciled(self, record: Record) -> Record:
        """
        Give the publish that counts, and see whether its last range may have been sent.

        A process that was frozen may have written its own publish over one that another process has sealed
        since, and perhaps posted: what was sealed counts.
        """
        if record.fence is Fence.NONE or record.submitted:
            self._sealed = True
            return record
        sealed = self.ledger.sealed(record.generation)
        self._sealed = sealed is not None
        if sealed is None or sealed == record.publish_id:
            return record
        log.warning("Publish %s is left for %s, which another process has sent.", record.publish_id, sealed)
        self._records[-1] = self.ledger.write(replace(record, publish_id=sealed))
        return self._records[-1]

    def _wait(self, record: Record, answer: Answer) -> Standing:  # noqa: ARG002
        return Standing.of(record)

    def _ask(self, record: Record, answer: Answer) -> None:
        """Ask again, a minute long; then let Airflow try again later."""
        if self._asks < len(ASK_PAUSES):
            time.sleep(ASK_PAUSES[self._asks])
            self._asks += 1
            return
        if isinstance(answer, TikTokError):
            raise answer
        raise TikTokUnfinishedError(
            f"Publish {record.publish_id}: TikTok says {answer.status}, but not whether it has all bytes. "
            "The record is kept: let the task be retried."
        )

    def _submitted(self, record: Record, answer: Answer) -> Standing:  # noqa: ARG002
        self._note(replace(record, stage=Stage.SUBMITTED, submitted=time.time()))
        return Standing.of(record)

    def _done(self, record: Record, answer: Answer) -> Standing:
        assert isinstance(answer, PublishStatus)  # noqa: S101 - only a status says so
        stage = Stage.COMPLETE if answer.status == PublishState.PUBLISH_COMPLETE else Stage.INBOX
        self._note(replace(record, stage=stage))
        self._tidy(record)
        return Standing.of(record, answer)

    def _forgotten(self, record: Record, answer: Answer) -> Standing:  # noqa: ARG002
        log.warning(
            "Publish %s: TikTok does not know it any more. It was submitted more than a day ago, and is "
            "taken for posted: look in the creator's profile.",
            record.publish_id,
        )
        self._note(replace(record, stage=Stage.COMPLETE))
        return Standing.of(record, PublishStatus(PublishState.PUBLISH_COMPLETE))

    def _again(self, record: Record, answer: Answer | None) -> Standing | None:
        record = self._failed(record, answer)
        failed = [each for each in self._records if found(each) is Found.FAILED_BY_TIKTOK]
        if sum(each.episode == self.episode for each in failed) > REPEATS:
            raise answer_error(_told_of(record), record.code, log_id=record.log_id)
        log.warning("%s has failed for TikTok's own reasons (%s): once more.", _told_of(record), record.code)
        return self._new()

    def _pace(self, record: Record, answer: Answer) -> Standing | None:
        record = self._failed(record, answer)
        self.beginning.at_limit(answer_error(_told_of(record), record.code, log_id=record.log_id))
        return self._new()

    def _fail(self, record: Record, answer: Answer) -> NoReturn:
        if isinstance(answer, TikTokError):
            raise answer  # of the account, not of this publish: the record stays as it is
        record = self._failed(record, answer)
        error = failure(record.publish_id, answer)
        raise error or answer_error(_told_of(record), record.code)

    def _failed(self, record: Record, answer: Answer | None) -> Record:
        """Note that a publish has failed, if that was told just now, before anything is done about it."""
        if isinstance(answer, PublishStatus):
            record = replace(record, stage=Stage.FAILED, code=answer.fail_reason, log_id=answer.log_id)
            self._records[-1] = self.ledger.write(record)
            self._tidy(record)
        return record

    def _gone(self, record: Record, answer: Answer) -> Standing | None:
        """Give a publish up that surely posts nothing any more."""
        if isinstance(answer, PublishStatus) and answer.status == PublishState.FAILED:  # we have cancelled it
            self._failed(record, answer)
        else:
            log.warning("Publish %s can no longer be finished: a new one is made.", record.publish_id)
            self._records[-1] = self.ledger.write(replace(record, stage=Stage.GONE))
            self._tidy(record)
        return self._new()

    def _hung(self, record: Record, answer: Answer) -> Standing | None:  # noqa: ARG002
        if self.rules.replace_hung:
            self.ledger.write(replace(record, cancels=True))
            with suppress(TikTokAnswerError):  # it has come to an end meanwhile
                self.hook.cancel(record.publish_id)
            return Standing.of(record)
        raise TikTokUnfinishedError(
            f"Publish {record.publish_id}: TikTok has been pulling for more than an hour and a quarter and "
            "does not come to an end. It is not made anew, which might post it twice. What to do: let the "
            "task be retried later, upload videos (source FILE_UPLOAD), or allow a new one with "
            "replace_hung_pull=True, which cancels this one first."
        )

    def _unconfirmed(
        self,
        record: Record,
        answer: Answer | None,  # noqa: ARG002
    ) -> Standing | None:
        if record.stage is not Stage.UNCONFIRMED:
            self._records[-1] = self.ledger.write(replace(record, stage=Stage.UNCONFIRMED))
        if self.rules.republish_unconfirmed:
            log.warning("%s may be posted; it is posted again, as if_unconfirmed says.", _told_of(record))
            return self._new()
        raise unconfirmed(self.post.what, record)

    # --- go on with it ---

    def _same(self, record: Record, answer: Answer) -> Standing | None:
        """Send what is missing; the last range may have been sent only if it says so."""
        self._sends += 1
        if self._sends > MOST_SENDS:
            raise TikTokUploadError(
                f"Publish {record.publish_id}: its bytes did not get through, though each range seemed to. "
                "Is there a proxy that answers for TikTok? Nothing was posted."
            )
        uploaded = answer.uploaded_bytes if isinstance(answer, PublishStatus) else None
        return self._sent(record, uploaded or 0)

    def _last(self, record: Record, answer: Answer) -> Standing | None:  # noqa: ARG002
        with suppress(TikTokInputError):  # the media is not there any more: only the status can tell
            return self._sent(record, None)
        return Standing.of(record)

    def _sent(self, record: Record, start: int | None) -> Standing | None:
        url = self.ledger.url(self.hook.account, record)
        if not url:
            if start is None:
                return Standing.of(record)
            raise TikTokUnfinishedError(
                f"Publish {record.publish_id}: its bytes were not all sent, and its address is not to be had "
                "any more (has the client secret changed?). Nothing was posted. A new one is made by a retry "
                "once this one can surely not be finished, 70 minutes after its beginning."
            )
        check_bytes(self.post, record)
        return Sending(self.hook, self.ledger, self.post, lambda: None).run(record, url, start)

    def _new(self) -> Standing | None:
        return self.beginning.begin(self._blank)

    # --- notes ---

    def _blank(self) -> Record:
        return Record(
            len(self._records) + 1,
            Stage.PUBLISH,
            episode=self.episode,
            request=dict(self.request),
            media=self.post.media(),
            began=time.time(),
            cancels=self.cancels,
            fence=self.post.fence,
        )

    def _note(self, record: Record) -> None:
        """Keep what only spares a question to TikTok: a publish that is on its way must not fail for it."""
        try:
            self.ledger.write(record)
        except TikTokStoreError as error:
            log.warning("Publish %s: %s is not noted: %s", record.publish_id, record.stage, error)

    def _tidy(self, record: Record) -> None:
        if record.fence is Fence.NONE:
            release(self.hook, record.publish_id)
        self.ledger.forget_url(record)
        self.ledger.forget_claim(record.generation)


_ENDS = (PublishState.PUBLISH_COMPLETE, PublishState.SEND_TO_USER_INBOX)
_STATUS_OF = {
    Stage.COMPLETE: PublishState.PUBLISH_COMPLETE,
    Stage.INBOX: PublishState.SEND_TO_USER_INBOX,
}


def _told_of(record: Record) -> str:
    return f"publish {record.publish_id}" if record.publish_id else f"init {record.generation}"
