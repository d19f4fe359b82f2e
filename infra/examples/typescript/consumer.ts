// Sets a build status for each pushed commit. See README.md in the folder above.

import {
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";

/** What is read of an envelope (envelope.json) and of a push (repo.push.json). */
interface Event {
  id: string;
  type: string;
  subject?: string;
  credentialid: string;
  data?: { push?: { changes?: { new?: { type?: string; target?: { hash?: string } } | null }[] | null } };
}

/** A call, as far as it is used here (call.json). */
interface Call {
  id: string;
  credential: string;
  call: Record<string, string>;
  reply: "queue" | "store";
}

type Submit = (call: Call) => Promise<void>;

/** The commits that branches of the repository were moved to. A deleted branch has none. */
function commits(event: Event): string[] {
  const tips = (event.data?.push?.changes ?? []).map((change) => change.new);
  return tips.flatMap((tip) => (tip?.type === "branch" && tip.target?.hash ? [tip.target.hash] : []));
}

/** Handles one event. May be called twice for the same one: the calls have the same ids then. */
async function handle(event: Event, submit: Submit): Promise<void> {
  if (event.type !== "org.bitbucket.repo.push" || !event.subject) return;
  for (const [number, commit] of commits(event).entries()) {
    await submit({
      id: `typescript-${event.id}-${number}`,
      credential: event.credentialid,
      call: {
        action: "set_build_status",
        repository: event.subject,
        commit,
        key: "typescript",
        state: "SUCCESSFUL",
        url: "https://example.com/typescript",
      },
      reply: "store",
    });
  }
}

/** Handles messages in their order. Of a group in which one failed, the others wait for the next time. */
async function batch(messages: Message[], submit: Submit, done: (message: Message) => Promise<void>): Promise<void> {
  const failed = new Set<string | undefined>();
  for (const message of messages) {
    const group = message.Attributes?.MessageGroupId;
    if (failed.has(group)) continue;
    try {
      await handle(JSON.parse(message.Body ?? "") as Event, submit);
      await done(message);
    } catch (error) {
      console.error(`message ${message.MessageId} comes again`, error);
      failed.add(group);
    }
  }
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const sqs = new SQSClient({});
const events = setting("EVENTS_QUEUE_URL");
const calls = setting("CALLS_QUEUE_URL");

// Calls of one credential are one group, so that a long row of them does not hold up the others.
const submit: Submit = async (call) => {
  await sqs.send(
    new SendMessageCommand({ QueueUrl: calls, MessageBody: JSON.stringify(call), MessageGroupId: call.credential }),
  );
};

const done = async (message: Message) => {
  await sqs.send(new DeleteMessageCommand({ QueueUrl: events, ReceiptHandle: message.ReceiptHandle }));
};

for (;;) {
  const received = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: events,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 20,
      MessageSystemAttributeNames: ["MessageGroupId"],
    }),
  );
  await batch(received.Messages ?? [], submit, done);
}
