"""Whose mailbox a mail goes to, as pure rules."""

import unicodedata

from auth_service.errors import InvalidInput
from auth_service.identifiers import canonical_email
from auth_service.mail.smtp import NO_MAILBOX, UndeliverableError
from auth_service.models import FOR_OWNERS, LINKS, NOTICES_OF, DueMail, User


def may_be_a_strangers(mail: DueMail, user: User) -> bool:
    """Whether the mailbox is not proved to be the user's, and the mail was not counted when it was asked for."""
    if mail.user_id is None or mail.kind in NOTICES_OF.values():
        return mail.kind not in LINKS
    return mail.recipient is not None or not user.is_verified


def is_for(user: User, mail: DueMail) -> bool:
    """Whether a mail may go to a user: the notices of an account only if its address was verified."""
    return user.is_verified or mail.kind not in FOR_OWNERS


def is_asked_for(mail: DueMail) -> bool:
    """Whether anybody can have this mail with a link sent, to any address."""
    return mail.kind in LINKS and (mail.user_id is None or mail.recipient is not None)


def deliverable(email: str) -> str:
    """An address with the name as its owner writes it, and the domain as the DNS knows it; in NFC (RFC 6532, 3.1).

    Raises:
        UndeliverableError: it is none (accounts may come from elsewhere).
    """
    try:
        domain = canonical_email(email).rpartition("@")[2]
    except InvalidInput:
        raise UndeliverableError(NO_MAILBOX) from None
    return f"{unicodedata.normalize('NFC', email.strip()).rpartition('@')[0]}@{domain}"
