"""Where moto plays an operation too, the simulator's answers have the same members of the same types."""

import logging

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

# Members that only one side has, and why that is no mistake.
EXCUSED = {
    # What a session policy takes of its allowed size: there is none.
    "PackedPolicySize",
    # moto tells these where AWS does only when asked for a version or label, or not at all.
    "Selector",
    "SourceResult",
}


def shape(value):
    """What a value looks like."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items()) if key not in EXCUSED}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def told(call):
    """The answer or the error of a call without what is different each time."""
    try:
        answer = call()
        answer.pop("ResponseMetadata")
        return shape(answer)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def compare(checks, aws):
    # moto's server tells every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        keys = {"aws_access_key_id": "AKIAMOTO000000000000", "aws_secret_access_key": "x", "region_name": aws.region}

        def theirs(service):
            return boto3.client(service, endpoint_url=f"http://127.0.0.1:{port}", **keys)

        theirs("ssm").put_parameter(Name="/vmbridge/secret", Value="s", Type="SecureString")
        aws.control("POST", "/aws/mutate", {"op": "setParameter", "name": "/vmbridge/secret", "value": "s", "secure": True})
        role = {"RoleArn": aws.accounts[0]["roleArn"], "RoleSessionName": "conformance"}
        for service, call, arguments in [
            ("sts", "get_caller_identity", {}),
            ("sts", "assume_role", role),
            ("ssm", "get_parameter", {"Name": "/vmbridge/secret", "WithDecryption": True}),
            ("ssm", "get_parameter", {"Name": "/vmbridge/secret"}),
            ("ssm", "get_parameter", {"Name": "/vmbridge/secret:1", "WithDecryption": True}),
            ("ssm", "get_parameter", {"Name": "/vmbridge/nothing"}),
            ("ssm", "get_parameter", {"Name": "/vmbridge/secret:7"}),
        ]:
            ours, moto = (told(lambda client=client: getattr(client, call)(**arguments))
                          for client in (aws.client(service), theirs(service)))
            checks.equal(f"{call} {arguments} as in moto", ours, moto)
    finally:
        server.stop()
