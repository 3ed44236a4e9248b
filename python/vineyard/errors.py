# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""All errors of the package.

Each subclasses `VineyardException` and, where there is one, the builtin that a person would catch:
a missing object is also a ``KeyError``, a full store also a ``MemoryError``.

>>> issubclass(ObjectNotExistsException, KeyError)
True
>>> str(ObjectNotExistsException("no object o0000000000000001"))
'no object o0000000000000001'
"""

from __future__ import annotations


class VineyardException(RuntimeError):
    """What every error of this package is."""

    def __str__(self) -> str:  # KeyError would show the repr of its message
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


# ---- one for each status code of the instance


class InvalidException(VineyardException, ValueError):
    """An argument has no meaning here. Mend the call."""


class ObjectNotExistsException(VineyardException, KeyError):
    """No such object, blob, name or volume (any more)."""


class VolumeNotFoundException(ObjectNotExistsException, FileNotFoundError):
    """The path lies in no volume."""


class ObjectExistsException(VineyardException, FileExistsError):
    """The name is taken."""


class NotEnoughMemoryException(VineyardException, MemoryError):
    """Does not fit: never (larger than the limit), or not by the deadline."""


class TimeoutException(VineyardException, TimeoutError):
    """The time given ran out. The call may be repeated."""


class ConnectionFailedException(VineyardException, ConnectionError):
    """No instance answers at the socket."""


class PermissionDeniedException(VineyardException, PermissionError):
    """The socket, or this user, may not do that."""


class NotImplementedException(VineyardException, NotImplementedError):
    """Understood, but not built. The message says what to do instead."""


class NeedsClusterException(VineyardException, NotImplementedError):
    """Has a meaning only with other instances; this one runs alone."""


class CorruptedException(VineyardException, ValueError):
    """What was read contradicts itself. Nothing was served."""


class ConflictException(VineyardException):
    """A compare-and-set saw another version. Read again, then repeat."""


class FailedPreconditionException(VineyardException):
    """Not in the present state: sealed already, still referred to, closed, ..."""


class UnknownErrorException(VineyardException):
    """A fault of ours. Please report the message."""


class IOErrorException(VineyardException, OSError):
    """A system call failed for a reason outside the store."""


class CancelledException(VineyardException):
    """The caller, or the end of the process, called it off."""


class LimitExceededException(VineyardException):
    """A limit other than memory: message size, connections, descriptors."""


class ObjectTypeErrorException(VineyardException, TypeError):
    """The object is of another type than the one asked for."""


class ConnectionErrorException(VineyardException, ConnectionError):
    """The peer speaks another version, or no sense at all."""


# ---- raised on this side


class TypeErrorException(VineyardException, TypeError):
    """A value of this type can't be stored. Nothing was."""


class KeyErrorException(VineyardException, KeyError):
    """The metadata has no such key."""


class PickleRefusedException(TypeErrorException, PermissionError):
    """The value needs pickle, and pickle is refused: by ``connect(pickle=False)``, by the environment or
    the configuration, or because this is a pod of Kubernetes."""


class UnpickleException(VineyardException, ValueError):
    """A pickle can't be loaded here: its class is missing, or it is damaged."""


class UnknownLayoutException(CorruptedException, NotImplementedError):
    """Stored in a layout (or a version of it) that this release does not know."""


class NotAvailableHereException(VineyardException, LookupError):
    """The value is whole, but needs what is not here: a class, a time zone, a format of numbers.

    The message says what, and what to do."""


class ObjectSealedException(FailedPreconditionException):
    """The blob is sealed already, and can't be written any more."""


class ObjectNotSealedException(FailedPreconditionException):
    """The blob is not sealed yet, and can't be read."""


class VineyardServerNotReadyException(ConnectionFailedException):
    """An instance was started, but did not become ready."""


class UserInputErrorException(InvalidException):
    """An argument that can't be meant: see the message."""


class ObjectIsBlobException(ObjectTypeErrorException):
    """An object was asked for, and this is a blob."""


class InvalidStreamStateException(FailedPreconditionException):
    """The stream is not open here, or not for that."""


class StreamDrainedException(VineyardException, EOFError):
    """The stream has come to its end."""


class StreamFailedException(FailedPreconditionException):
    """The stream's writer gave it up, or ended before it had finished."""


class StreamOpenedException(ObjectExistsException):
    """The stream is open already."""


# ---- for programs that name them in an `except`: nothing raises these


class AlreadyStoppedException(VineyardException):
    """Of older releases."""


class ArrowErrorException(VineyardException):
    """Of older releases."""


class AssertionFailedException(VineyardException, AssertionError):
    """Of older releases."""


class EndOfFileException(VineyardException, EOFError):
    """Of older releases."""


class EtcdErrorException(VineyardException):
    """Of older releases."""


class GlobalObjectInvalidException(VineyardException, ValueError):
    """Of older releases."""


class MetaTreeInvalidException(VineyardException, ValueError):
    """Of older releases."""


class MetaTreeLinkInvalidException(MetaTreeInvalidException):
    """Of older releases."""


class MetaTreeNameInvalidException(MetaTreeInvalidException):
    """Of older releases."""


class MetaTreeNameNotExistsException(MetaTreeInvalidException):
    """Of older releases."""


class MetaTreeSubtreeNotExistsException(MetaTreeInvalidException):
    """Of older releases."""


class MetaTreeTypeInvalidException(MetaTreeInvalidException):
    """Of older releases."""


class MetaTreeTypeNotExistsException(MetaTreeInvalidException):
    """Of older releases."""


class ObjectNotSpilledException(VineyardException):
    """Of older releases."""


class ObjectSpilledException(VineyardException):
    """Of older releases."""


class RedisErrorException(VineyardException):
    """Of older releases."""


__all__ = [name for name in dir() if name.endswith("Exception")]
