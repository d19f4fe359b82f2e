// A webhook receiver as it is usually written for Lambda on Node: AWS's own SDK and runtime client.
import { createHmac, timingSafeEqual } from "node:crypto";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";

const table = process.env.BUCKETWHEEL_TABLE;
const queue = process.env.BUCKETWHEEL_EVENTS_QUEUE;
const dynamodb = new DynamoDBClient({});
const secrets = new SecretsManagerClient({});
// Else it would take the address of the queue, which is not where this is measured.
const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
let secret;

const get = (pk, sk) =>
  dynamodb.send(new GetItemCommand({ TableName: table, Key: { pk: { S: pk }, sk: { S: sk } }, ConsistentRead: true }));

export const handler = async (event) => {
  const credential = event.pathParameters.credential_id;
  const body = event.isBase64Encoded ? Buffer.from(event.body, "base64") : Buffer.from(event.body);
  if (!secret) {
    secret = (await secrets.send(new GetSecretValueCommand({ SecretId: "webhook-secret" }))).SecretString;
    await get(credential, "HOOK");
  }
  const digest = createHmac("sha256", secret).update(body).digest("hex");
  const expected = Buffer.from(`sha256=${digest}`);
  const claimed = Buffer.from(event.headers["x-hub-signature"] ?? "");
  if (claimed.length !== expected.length || !timingSafeEqual(claimed, expected)) {
    return { statusCode: 401 };
  }
  await get(credential, "HEAD");
  const push = JSON.parse(body);
  await sqs.send(new SendMessageCommand({
    QueueUrl: queue,
    MessageBody: JSON.stringify({ event: event.headers["x-event-key"], data: push }),
    MessageGroupId: push.repository?.uuid ?? credential,
    MessageDeduplicationId: digest,
  }));
  return { statusCode: 202 };
};
