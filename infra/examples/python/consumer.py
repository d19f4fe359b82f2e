"""Sets a build status for each pushed commit. Needs boto3; see README.md in the folder above."""

import json
import logging
import os
import sys

import boto3

log = logging.getLogger("consumer")


def commits(event):
    """The commits that branches of the repository were moved to."""
    changes = event["data"].get("push", {}).get("changes") or []
    tips = [change["new"] for change in changes if change.get("new")]  # none where a branch was deleted
    return [tip["target"]["hash"] for tip in tips if tip.get("type") == "branch"]


def handle(event, submit):
    """Handles one event. May be called twice for the same one: the calls have the same ids then."""
    if event["type"] != "org.bitbucket.repo.push" or "data" not in event:
        return
    for number, commit in enumerate(commits(event)):
        submit({
            "id": f"python-{event['id']}-{number}",
            "credential": event["credentialid"],
            "call": {
                "action": "set_build_status",
                "repository": event["subject"],
                "commit": commit,
                "key": "python",
                "state": "SUCCESSFUL",
                "url": "https://example.com/python",
            },
            "reply": "store",
        })


def batch(messages, submit, done):
    """Handles messages in their order. Of a group in which one failed, the others wait for the next time."""
    failed = set()
    for message in messages:
        group = message["Attributes"]["MessageGroupId"]
        if group in failed:
            continue
        try:
            handle(json.loads(message["Body"]), submit)
        except Exception:
            log.exception("message %s comes again", message["MessageId"])
            failed.add(group)
        else:
            done(message)


def main():
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    sqs = boto3.client("sqs")
    events, calls = os.environ["EVENTS_QUEUE_URL"], os.environ["CALLS_QUEUE_URL"]

    def submit(call):
        # Calls of one credential are one group, so that a long row of them does not hold up the others.
        sqs.send_message(QueueUrl=calls, MessageBody=json.dumps(call), MessageGroupId=call["credential"])

    def done(message):
        sqs.delete_message(QueueUrl=events, ReceiptHandle=message["ReceiptHandle"])

    while True:
        received = sqs.receive_message(
            QueueUrl=events,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=20,
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        batch(received.get("Messages", []), submit, done)


if __name__ == "__main__":
    main()
