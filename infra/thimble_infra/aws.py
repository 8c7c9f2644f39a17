"""S3, SQS and Step Functions on loopback: moto's server in its own process, with template.yaml's resources.

Objects of more than 5 MB are in anonymous temporary files; all objects are gone when the process ends. The
state machine is the deployed one: moto's interpreter executes it, and it calls the workflow function.
"""

import json
import os
import socket
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CORSConfigurationTypeDef

REGION = "us-east-1"
ACCOUNT = "123456789012"
MODELS, INBOX, RESULTS, PARTS = "thimble-models", "thimble-inbox", "thimble-results", "thimble-parts"
BUCKETS = (MODELS, INBOX, RESULTS, PARTS)
QUEUE, DEAD_LETTERS = "thimble-queue", "thimble-dead-letters"
WORKFLOW = "thimble-workflow"
DEFINITION = Path(__file__).parents[1] / "workflow.asl.json"
FUNCTION_TIMEOUT = 900.0  # seconds, for the files function and the workflow function
ATTEMPTS = 5
VISIBILITY_TIMEOUT = 5400  # seconds, six times the files function's timeout
READABLE_RESULTS = {  # so that curl can read results; on loopback only
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{RESULTS}/*",
        }
    ],
}
UPLOADS: "CORSConfigurationTypeDef" = {  # like the stack's rule for its own address
    "CORSRules": [{"AllowedMethods": ["POST"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}]
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def queue_url(s3_url: str, name: str = QUEUE) -> str:
    return f"{s3_url}/{ACCOUNT}/{name}"


def queue_arn(name: str = QUEUE) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def workflow_arn() -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{WORKFLOW}"


def definition() -> str:
    """Return the state machine with its substitutions made; it runs a range per core at a time."""
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{WORKFLOW}"
    text = DEFINITION.read_text().replace("${WorkflowFunctionArn}", function)
    return text.replace("${MapConcurrency}", str(cores()))


def cores() -> int:
    return os.cpu_count() or 1


def environment(s3_url: str) -> dict[str, str]:
    """Return the functions' environment here, with made-up credentials, never a user's real ones."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        "POWERTOOLS_SERVICE_NAME": "thimble",
        "POWERTOOLS_METRICS_NAMESPACE": "Thimble",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "OPENBLAS_NUM_THREADS": "1",
        "RETRY_SECONDS": "2",  # short, because somebody is watching
        **own,
        **CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ENDPOINT_URL_SQS": s3_url,
        "AWS_ENDPOINT_URL_SFN": s3_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        **no_proxy(),
        "MODELS_URI": f"s3://{MODELS}/models",
        "MODEL_URI": "",  # use the registry, whatever the terminal's environment says
        "RESULTS_URI": f"s3://{RESULTS}",
        "INBOX_URI": f"s3://{INBOX}",  # so that the page uploads as with Uploads=Enabled
        "AUTH": "",
        "PARTS_URI": f"s3://{PARTS}",
        "WORKFLOW_ARN": workflow_arn(),
    }


def no_proxy() -> dict[str, str]:
    """Return the variables that keep requests to loopback away from the environment's proxy."""
    names = ("NO_PROXY", "no_proxy")
    known = [host for name in names for host in os.environ.get(name, "").split(",") if host]
    return dict.fromkeys(names, ",".join(dict.fromkeys([*known, "127.0.0.1", "localhost"])))


def create_resources(s3_url: str) -> None:
    """Create the buckets, the queues, the notification from the inbox to its queue, and the state machine."""
    import boto3

    s3 = boto3.client("s3", endpoint_url=s3_url, region_name=REGION)
    sqs = boto3.client("sqs", endpoint_url=s3_url, region_name=REGION)
    states = boto3.client("stepfunctions", endpoint_url=s3_url, region_name=REGION)
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    for bucket in (MODELS, INBOX):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_cors(Bucket=INBOX, CORSConfiguration=UPLOADS)
    s3.put_bucket_policy(Bucket=RESULTS, Policy=json.dumps(READABLE_RESULTS))
    sqs.create_queue(QueueName=DEAD_LETTERS)
    redrive = {"deadLetterTargetArn": queue_arn(DEAD_LETTERS), "maxReceiveCount": ATTEMPTS}
    sqs.create_queue(
        QueueName=QUEUE,
        Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": str(VISIBILITY_TIMEOUT)},
    )
    s3.put_bucket_notification_configuration(
        Bucket=INBOX,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue_arn(), "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/{WORKFLOW}"
    states.create_state_machine(name=WORKFLOW, definition=definition(), roleArn=role)


def main() -> None:
    """Serve on sockets that the parent bound, as long as it lives: `python -m thimble_infra.aws FD...`."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    from thimble_infra import large_objects, step_functions
    from thimble_infra.environments import Environments

    class QuietRequestHandler(MotoRequestHandler):
        disable_nagle_algorithm = True

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    descriptors = [int(number) for number in sys.argv[1:]]
    with socket.socket(fileno=os.dup(descriptors[0])) as listener:
        port = listener.getsockname()[1]
    large_objects.install()
    step_functions.install(port, Environments("workflow", cores(), FUNCTION_TIMEOUT).call)
    application = DomainDispatcherApplication(create_backend_app)
    for descriptor in descriptors:
        server = make_server(
            "127.0.0.1",
            0,
            application,
            threaded=True,
            request_handler=QuietRequestHandler,
            fd=descriptor,
        )
        Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # returns when the parent ends, however it ends


if __name__ == "__main__":
    main()
