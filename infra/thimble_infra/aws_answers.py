"""Turn AWS's errors in boto3 into sentences with a next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from thimble.errors import NotFound, Unavailable

NO_CREDENTIALS = (
    "there are no AWS credentials: `aws configure`, `aws sso login` or the variable AWS_PROFILE provides them"
)
REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
STALE = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")


@contextmanager
def sentences(subject: str) -> Iterator[None]:
    """Turn boto3's errors inside into Unavailable, or NotFound for a missing stack, about `subject`."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise Unavailable(NO_CREDENTIALS) from None
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "ValidationError" and "does not exist" in message:
            from thimble_infra.stacks import region

            raise NotFound(
                f"{subject} is not there in {region()}: `aws cloudformation list-stacks` lists those that "
                "are, AWS_DEFAULT_REGION names another region"
            ) from None
        if code in REFUSED:
            raise Unavailable(f"these credentials may not look at {subject}: {message}") from None
        if code in STALE:
            raise Unavailable(f"AWS refuses these credentials ({code}): renew them") from None
        raise Unavailable(f"AWS fails at {subject}: {code}: {message}") from None
    except BotoCoreError as error:
        raise Unavailable(f"AWS does not answer for {subject}: {error}") from None
