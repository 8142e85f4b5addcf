"""Assumes a role and posts to a protected API, as a client in another account does."""

import json
import sys

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

url, role, region = sys.argv[1:4]

assumed = boto3.client("sts", region_name=region).assume_role(RoleArn=role, RoleSessionName="invoke-test")
keys = assumed["Credentials"]
credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

request = AWSRequest("POST", url, data=json.dumps({"features": [5.1, 3.5, 1.4, 0.2]}), headers={"Content-Type": "application/json"})
SigV4Auth(credentials, "execute-api", region).add_auth(request)
response = requests.post(url, data=request.body, headers=dict(request.headers), timeout=10)
print(response.status_code, response.text)
