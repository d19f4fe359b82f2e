"""A webhook receiver as it is usually written for Lambda in Python: boto3 and AWS's own runtime client."""

import base64
import hashlib
import hmac
import json
import os

import boto3

TABLE = os.environ["BUCKETWHEEL_TABLE"]
QUEUE = os.environ["BUCKETWHEEL_EVENTS_QUEUE"]
dynamodb = boto3.client("dynamodb")
secrets = boto3.client("secretsmanager")
sqs = boto3.client("sqs")
secret = None


def get(pk, sk):
    return dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True)


def handler(event, context):
    global secret
    credential = event["pathParameters"]["credential_id"]
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    if secret is None:
        secret = secrets.get_secret_value(SecretId="webhook-secret")["SecretString"]
        get(credential, "HOOK")
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(event["headers"].get("x-hub-signature", ""), f"sha256={digest}"):
        return {"statusCode": 401}
    get(credential, "HEAD")
    push = json.loads(body)
    sqs.send_message(
        QueueUrl=QUEUE,
        MessageBody=json.dumps({"event": event["headers"]["x-event-key"], "data": push}),
        MessageGroupId=push.get("repository", {}).get("uuid", credential),
        MessageDeduplicationId=digest,
    )
    return {"statusCode": 202}
