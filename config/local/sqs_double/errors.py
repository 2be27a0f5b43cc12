"""SQS's errors, each under the name of the JSON protocol and, where they differ, of the older one.

Clients see the older name in `x-amzn-query-error` ("Making Amazon SQS API requests using the AWS
JSON protocol", Developer Guide; "Common Errors", API Reference).
"""


class QueueError(Exception):
    def __init__(
        self,
        name: str,
        message: str,
        *,
        query_name: str = "",
        status: int = 400,
        sender: bool = True,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.query_name = query_name or name
        self.status = status
        self.sender = sender


def invalid(message: str) -> QueueError:
    return QueueError("InvalidParameterValueException", message, query_name="InvalidParameterValue")


def missing(parameter: str) -> QueueError:
    message = f"The request must contain the parameter {parameter}."
    return QueueError("MissingRequiredParameterException", message, query_name="MissingParameter")


def invalid_attribute_value(name: str) -> QueueError:
    return QueueError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def invalid_attribute_name(name: str) -> QueueError:
    return QueueError("InvalidAttributeName", f"Unknown Attribute {name}.")


def no_such_queue() -> QueueError:
    return QueueError(
        "QueueDoesNotExist",
        "The specified queue does not exist.",
        query_name="AWS.SimpleQueueService.NonExistentQueue",
    )


def queue_exists() -> QueueError:
    return QueueError(
        "QueueNameExists",
        "A queue already exists with the same name and a different value for an attribute.",
        query_name="QueueAlreadyExists",
    )


def expired_token() -> QueueError:
    message = "The security token included in the request is expired."
    return QueueError("ExpiredTokenException", message, query_name="ExpiredToken", status=403)


def batch(name: str, message: str) -> QueueError:
    return QueueError(name, message, query_name=f"AWS.SimpleQueueService.{name}")


def handle_refused(reason: str = "The receipt handle has expired") -> QueueError:
    return QueueError(
        "InvalidParameterValueException",
        f"Value for parameter ReceiptHandle is invalid. Reason: {reason}.",
        query_name="InvalidParameterValue",
    )


def handle_unknown() -> QueueError:
    return QueueError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")


def throttled() -> QueueError:
    return QueueError(
        "RequestThrottled",
        "The request was denied due to request throttling.",
        query_name="AWS.SimpleQueueService.RequestThrottled",
    )


def unavailable() -> QueueError:
    return QueueError("ServiceUnavailable", "The request has failed.", status=503, sender=False)


def internal() -> QueueError:
    return QueueError("InternalError", "The request has failed.", status=500, sender=False)
