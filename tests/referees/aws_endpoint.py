"""The AWS part of an endpoints.json of vmbridge-simulator: boto3 clients, raw signed requests, and the control endpoint."""

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.validate import ParamValidator


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: dict
    body: bytes


class Aws:
    """The simulated services. TLS is verified against the simulator's authority, always."""

    def __init__(self, path):
        file = Path(path)
        content = json.loads(file.read_text())
        if not content.get("aws"):
            raise SystemExit(f"{path} has no AWS: start vmbridge-simulator with --aws-nodes")
        aws = content["aws"]
        self.endpoints = str(file)
        self.url = aws["url"]
        self.ca_file = str(file.parent / aws["caFile"])
        self.accounts = aws["accounts"]
        self.control_url = content["controlUrl"]
        self.region = self.accounts[0]["regions"][0]
        self.judged = 0
        self.misshapen = []
        self._pool = urllib3.PoolManager(ca_certs=self.ca_file, retries=False)

    def client(self, service, account=0, session=None, attempts=1, **more):
        """A boto3 client with the keys of an account, or of a session that AssumeRole gave."""
        keys = {
            "aws_access_key_id": self.accounts[account]["accessKeyId"],
            "aws_secret_access_key": self.accounts[account]["secretAccessKey"],
        }
        if session:
            keys = {
                "aws_access_key_id": session["AccessKeyId"],
                "aws_secret_access_key": session["SecretAccessKey"],
                "aws_session_token": session["SessionToken"],
            }
        config = Config(retries={"total_max_attempts": attempts}, parameter_validation=False)
        arguments = {"endpoint_url": self.url, "verify": self.ca_file, "region_name": self.region, "config": config}
        client = boto3.client(service, **{**arguments, **keys, **more})
        client.meta.events.register("after-call", self._judge)
        return client

    def _judge(self, http_response, parsed, model, **_):
        """Holds a good answer, as botocore read it, against the shape that it should have."""
        if http_response.status_code >= 300 or model.output_shape is None:
            return
        members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(members, model.output_shape)
        self.judged += 1
        # An activation that nobody used has no registrations, whatever the model says.
        errors = [error for error in report.generate_report().splitlines() if "RegistrationsCount" not in error]
        self.misshapen.extend(f"{model.name}: {error}" for error in errors)

    def send(self, signing_name, method, path, headers, body):
        """A request signed by botocore, whatever is in it."""
        account = self.accounts[0]
        request = AWSRequest(method=method, url=self.url + path, headers=headers, data=body)
        credentials = Credentials(account["accessKeyId"], account["secretAccessKey"])
        SigV4Auth(credentials, signing_name, self.region).add_auth(request)
        answer = self._pool.request(method, self.url + path, headers=dict(request.headers.items()), body=body)
        return Answer(answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.data)

    def control(self, method, path, body=None):
        """A call of the control endpoint."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
