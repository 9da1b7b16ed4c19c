"""
Every error of this provider, and one table that says what each of TikTok's codes means.

The tree (``*`` = permanent: derives from ``AirflowFailException``, so that no task retry is spent on it)::

    TikTokError
    ├── TikTokConfigError *          the Connection cannot be used
    ├── TikTokInputError *           an argument, refused before anything was sent
    │   └── TikTokMediaError *       the media, refused before anything was sent
    ├── TikTokMediaReadError         the media could not be read just now
    ├── TikTokStoreError             Airflow could not keep or give back what we keep there
    ├── TikTokTransportError
    │   ├── TikTokNothingSentError   no connection: TikTok has not seen the request
    │   └── TikTokNoAnswerError      sent, but not answered: TikTok may have acted
    ├── TikTokProtocolError          TikTok answered something that cannot be understood
    ├── TikTokUploadError            an upload that did not get through; nothing was posted
    │   └── TikTokUploadGoneError    TikTok has forgotten the upload
    ├── TikTokUnconfirmedError *     nobody can know whether this was posted: a person must look
    ├── TikTokUnfinishedError        not over in time; a retry goes on with the same publish
    └── TikTokAnswerError            TikTok said no, with a code
        ├── TikTokServerError            TikTok's own trouble
        ├── TikTokRateLimitError         too many calls in a minute
        ├── TikTokCapError               too many posts in a day
        ├── TikTokProcessingError        the publish failed in a way that a new one may not
        ├── TikTokTokenError             the access token is not valid (any more)
        ├── TikTokConsentError *         the creator has to allow the app (again)
        ├── TikTokAppError *             the TikTok app has to be set up differently
        ├── TikTokCreatorError *         the creator's account cannot do this
        ├── TikTokRequestError *         the request was wrong
        └── TikTokMediaRefusedError *    the media broke one of TikTok's rules

``CODES`` gives, for every code that TikTok documents, the class, who has to act and what to do. Sources:
OAuth error handling, API v2 error handling, Direct Post, Photo Post, Get Post Status and Media Transfer
references as of 2026-09-11, and creators' reports for ``invalid_params``.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_tiktok import remedies

#: The table's words, beside the table.
Helps = remedies.Helps
Who = remedies.Who


class TikTokError(AirflowException):
    """Anything that went wrong between Airflow and TikTok."""


class TikTokConfigError(TikTokError, AirflowFailException):
    """The Connection lacks something, or holds something that cannot be used."""


class TikTokInputError(TikTokError, AirflowFailException):
    """An argument that TikTok would refuse or silently drop. Nothing has been sent."""


class TikTokMediaError(TikTokInputError):
    """Media that TikTok would refuse, or that cannot be found. Nothing has been sent."""


class TikTokMediaReadError(TikTokError):
    """The media is there, but reading it failed this time."""


class TikTokStoreError(TikTokError):
    """A value could not be read from, or is not proven to be kept in, Airflow's Variables."""


class TikTokTransportError(TikTokError):
    """No answer came from TikTok."""


class TikTokNothingSentError(TikTokTransportError):
    """DNS, connection, TLS or pool failed: TikTok has not seen the request, so repeating it is safe."""


class TikTokNoAnswerError(TikTokTransportError):
    """The request left, and its answer was lost: TikTok may or may not have acted on it."""


class TikTokProtocolError(TikTokError):
    """An answer that is no JSON, cut short, or of a shape that TikTok does not document."""


class TikTokUploadError(TikTokError):
    """The bytes did not get through. The last range was never begun, so nothing can have been posted."""


class TikTokUploadGoneError(TikTokUploadError):
    """TikTok does not know the upload any more (its URL lives one hour); a new init is needed."""


class TikTokUnconfirmedError(TikTokError, AirflowFailException):
    """It cannot be known whether TikTok has posted. Not retried: a retry might post a second time."""


class TikTokUnfinishedError(TikTokError):
    """It has not come to its end in the time that was given. The record is kept: a retry goes on with it."""


class TikTokAnswerError(TikTokError):
    """
    TikTok answered with an error code.

    :param message: what happened, for a person
    :param code: TikTok's code, ``fail_reason`` or OAuth ``error``
    :param log_id: TikTok's id of the request, to be named to their support
    :param http_status: of the answer; 0 where there was none (a publish that failed later)
    :param detail: TikTok's own text
    """

    def __init__(
        self, message: str, *, code: str = "", log_id: str = "", http_status: int = 0, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.log_id = log_id
        self.http_status = http_status
        self.detail = detail


class TikTokServerError(TikTokAnswerError):
    """TikTok's own trouble: later it may work."""


class TikTokRateLimitError(TikTokAnswerError):
    """More calls than TikTok allows in a minute. The call was blocked: nothing was done."""


class TikTokCapError(TikTokAnswerError):
    """More posts, drafts or creators than TikTok allows in a day. Nothing was posted."""


class TikTokProcessingError(TikTokAnswerError):
    """The publish failed, nothing was posted, and the same post may go through in a new publish."""


class TikTokTokenError(TikTokAnswerError):
    """The access token is not valid, and a refreshed one was not either."""


class TikTokConsentError(TikTokAnswerError, AirflowFailException):
    """The creator has to allow the app again, or to allow it more."""


class TikTokAppError(TikTokAnswerError, AirflowFailException):
    """The TikTok app has to be set up differently, or has to pass TikTok's audit."""


class TikTokCreatorError(TikTokAnswerError, AirflowFailException):
    """The creator's account cannot do this."""


class TikTokRequestError(TikTokAnswerError, AirflowFailException):
    """The request was wrong: sending it again changes nothing."""


class TikTokMediaRefusedError(TikTokAnswerError, AirflowFailException):
    """TikTok looked at the media and refused it."""


@dataclass(frozen=True)
class Code:
    """
    What one of TikTok's codes means.

    :param error: the exception it is raised as
    :param who: who has to act
    :param helps: whether waiting, retrying or nothing helps
    :param fix: what to do, one sentence for the person who reads the task log
    """

    error: type[TikTokAnswerError]
    who: Who
    helps: Helps
    fix: str


#: Stands for the Connection's id where that is not known; see :func:`name_connection`.
_CONN_ID = "CONN_ID"
_LOGIN = f"let the creator allow the app again: airflow-tiktok login --conn-id {_CONN_ID}"
_BAD_REQUEST = Code(
    TikTokRequestError, Who.DEVELOPER, Helps.NOTHING, "correct the argument that TikTok's message names"
)
_NOT_THIS_PUBLISH = "check that the Connection still belongs to the creator who started this publish"

#: TikTok's code, exactly as sent -> what it means.
CODES: dict[str, Code] = {
    # --- OAuth (`error` of the token and revoke endpoints) ---
    "access_denied": Code(TikTokConsentError, Who.CREATOR, Helps.NOTHING, _LOGIN),
    "invalid_client": Code(
        TikTokAppError,
        Who.APP_OWNER,
        Helps.NOTHING,
        "correct client key (login) and client secret (password) of the Connection",
    ),
    "invalid_grant": Code(TikTokConsentError, Who.CREATOR, Helps.NOTHING, _LOGIN),
    "invalid_request": _BAD_REQUEST,
    "invalid_scope": Code(
        TikTokAppError, Who.APP_OWNER, Helps.NOTHING, "add the scope to the app in TikTok's developer portal"
    ),
    "unauthorized_client": Code(
        TikTokAppError, Who.APP_OWNER, Helps.NOTHING, "let the app use Login Kit in TikTok's developer portal"
    ),
    "unsupported_grant_type": _BAD_REQUEST,
    "unsupported_response_type": _BAD_REQUEST,
    "server_error": Code(TikTokServerError, Who.TIKTOK, Helps.RETRY, "try again later"),
    "temporarily_unavailable": Code(TikTokServerError, Who.TIKTOK, Helps.RETRY, "try again later"),
    # --- the API's error envelope ---
    "invalid_param": _BAD_REQUEST,
    "invalid_params": _BAD_REQUEST,
    "app_version_check_failed": Code(
        TikTokCreatorError,
        Who.CREATOR,
        Helps.NOTHING,
        "update the TikTok app on the creator's phone to 31.8 or newer",
    ),
    "invalid_publish_id": Code(
        TikTokRequestError,
        Who.DEVELOPER,
        Helps.NOTHING,
        "use a publish_id that an operator of this provider returned; TikTok forgets very old ones",
    ),
    "token_not_authorized_for_specified_publish_id": Code(
        TikTokRequestError, Who.DEVELOPER, Helps.NOTHING, _NOT_THIS_PUBLISH
    ),
    "publish_not_cancellable": Code(
        TikTokRequestError, Who.NOBODY, Helps.NOTHING, "nothing: the publish is already past its download"
    ),
    "scope_permission_missed": Code(
        TikTokConsentError, Who.CREATOR, Helps.NOTHING, f"grant the missing scope: {_LOGIN}"
    ),
    "invalid_file_upload": Code(
        TikTokMediaRefusedError, Who.DEVELOPER, Helps.NOTHING, "send a video that TikTok can read"
    ),
    "access_token_invalid": Code(
        TikTokTokenError,
        Who.NOBODY,
        Helps.REFRESH,
        f"nothing if it happens once; if it stays: {_LOGIN}",
    ),
    "scope_not_authorized": Code(
        TikTokConsentError, Who.CREATOR, Helps.NOTHING, f"grant the missing scope: {_LOGIN}"
    ),
    "spam_risk_too_many_posts": Code(
        TikTokCapError,
        Who.NOBODY,
        Helps.DAY,
        "wait: TikTok allows a creator about 15 posts in 24 hours over all apps",
    ),
    "spam_risk_user_banned_from_posting": Code(
        TikTokCreatorError, Who.CREATOR, Helps.NOTHING, "settle the ban with TikTok"
    ),
    "reached_active_user_cap": Code(
        TikTokCapError,
        Who.APP_OWNER,
        Helps.DAY,
        "wait, or ask TikTok for more: an unaudited app serves 5 creators in 24 hours",
    ),
    "spam_risk_too_many_pending_share": Code(
        TikTokCapError,
        Who.CREATOR,
        Helps.DAY,
        "publish or discard drafts in the TikTok inbox: 5 may be pending in 24 hours",
    ),
    "unaudited_client_can_only_post_to_private_accounts": Code(
        TikTokAppError,
        Who.APP_OWNER,
        Helps.NOTHING,
        "set the creator's ACCOUNT to private and post with SELF_ONLY, post drafts (MEDIA_UPLOAD), "
        "or pass TikTok's audit; privacy_level SELF_ONLY alone is not enough",
    ),
    "url_ownership_unverified": Code(
        TikTokAppError,
        Who.APP_OWNER,
        Helps.NOTHING,
        "verify the media URL's domain or prefix in TikTok's developer portal; a video can also be uploaded",
    ),
    "privacy_level_option_mismatch": Code(
        TikTokRequestError,
        Who.DEVELOPER,
        Helps.NOTHING,
        "choose a privacy_level that creator_info offers for this creator",
    ),
    "rate_limit_exceeded": Code(
        TikTokRateLimitError, Who.NOBODY, Helps.MINUTE, "wait: the call was blocked, nothing was done"
    ),
    "internal_error": Code(TikTokServerError, Who.TIKTOK, Helps.RETRY, "try again later"),
    # --- `fail_reason` of a publish ---
    "file_format_check_failed": Code(
        TikTokMediaRefusedError,
        Who.DEVELOPER,
        Helps.NOTHING,
        "send MP4, MOV or WebM with H.264, H.265, VP8 or VP9; photos as JPEG or WebP",
    ),
    "duration_check_failed": Code(
        TikTokMediaRefusedError,
        Who.DEVELOPER,
        Helps.NOTHING,
        "make the video shorter than the creator's limit (creator_info, max_video_post_duration_sec)",
    ),
    "frame_rate_check_failed": Code(
        TikTokMediaRefusedError, Who.DEVELOPER, Helps.NOTHING, "encode with 23 to 60 frames a second"
    ),
    "picture_size_check_failed": Code(
        TikTokMediaRefusedError,
        Who.DEVELOPER,
        Helps.NOTHING,
        "videos: 360 to 4096 px a side; photos: at most 1080 px on the short and 1920 px on the long side",
    ),
    "internal": Code(TikTokProcessingError, Who.TIKTOK, Helps.RETRY, "publish it again"),
    "video_pull_failed": Code(
        TikTokProcessingError,
        Who.DEVELOPER,
        Helps.RETRY,
        "see that the URL answers 200 without a redirect for an hour, then publish it again",
    ),
    "photo_pull_failed": Code(
        TikTokProcessingError,
        Who.DEVELOPER,
        Helps.RETRY,
        "see that every photo's URL answers 200 without a redirect for an hour, then publish it again",
    ),
    "publish_cancelled": Code(
        TikTokRequestError, Who.DEVELOPER, Helps.NOTHING, "nothing: it was cancelled through the API"
    ),
    "auth_removed": Code(TikTokConsentError, Who.CREATOR, Helps.NOTHING, _LOGIN),
    "spam_risk_text": Code(
        TikTokRequestError, Who.DEVELOPER, Helps.NOTHING, "change the caption: TikTok took it for spam"
    ),
    "spam_risk": Code(
        TikTokCreatorError,
        Who.CREATOR,
        Helps.NOTHING,
        "look at the account in the TikTok app: TikTok saw a risk",
    ),
}


#: Characters of TikTok's own text that go into a message.
LONGEST_DETAIL = 500


def unknown_code(http_status: int) -> Code:
    """
    Judge a code that TikTok does not document, by its HTTP status alone.

    :param http_status: of the answer; 0 for the ``fail_reason`` of a publish
    """
    if http_status == 429:
        return CODES["rate_limit_exceeded"]
    if http_status >= 500:
        return CODES["internal_error"]
    return Code(
        TikTokRequestError, Who.DEVELOPER, Helps.NOTHING, "look the code up in TikTok's documentation"
    )


def answer_error(
    what: str, code: str, *, detail: str = "", log_id: str = "", http_status: int = 0
) -> TikTokAnswerError:
    """
    Make the exception for one of TikTok's codes.

    :param what: what was refused or failed, such as ``video init`` or ``publish v_pub_file~v2-1.7``
    :param code: TikTok's code, matched exactly; an unknown one keeps its own text
    :param detail: TikTok's message
    :param log_id: TikTok's id of the request
    :param http_status: of the answer; 0 for the ``fail_reason`` of a publish
    """
    row = CODES.get(code) or unknown_code(http_status)
    message = f"TikTok: {what}: {code or 'no code'}"
    if detail:
        message += f" ({detail[:LONGEST_DETAIL]})"
    if http_status:
        message += f", HTTP {http_status}"
    message += f", log_id {log_id or 'not given'}. What to do: {row.fix}."
    return row.error(message, code=code, log_id=log_id, http_status=http_status, detail=detail)


def name_connection(error: TikTokError, conn_id: str) -> None:
    """
    Have an error name the Connection in the command that it tells to run.

    :param error: of a call, which does not know whose it was
    :param conn_id: of the Connection
    """
    error.args = tuple(
        each.replace(f"--conn-id {_CONN_ID}", f"--conn-id {conn_id}") if isinstance(each, str) else each
        for each in error.args
    )
