import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream, Parser, type Message } from "../src/event_stream";
import { ServerError, type Server } from "../src/server";

const STREAM =
  ': hello\nretry: 3000\n\nid: a1\nevent: forecasts\ndata: {"x":1}\n\nid: a2\r\nevent: alerts\r\ndata: one\r\ndata: two\r\n\r\nid: a3\n\n';

test("messages are the same wherever the text is split", () => {
  for (let size = 1; size <= STREAM.length; size += 1) {
    const parser = new Parser();
    const found: Message[] = [];
    for (let start = 0; start < STREAM.length; start += size) found.push(...parser.push(STREAM.slice(start, start + size)));
    assert.deepEqual(found, [
      { topic: "forecasts", data: '{"x":1}' },
      { topic: "alerts", data: "one\ntwo" },
    ]);
    assert.equal(parser.cursor, "a3");
  }
});

test("an incomplete message is not returned, and its cursor is ignored", () => {
  const parser = new Parser();
  assert.deepEqual(parser.push("id: b1\ndata: {}\n\nid: b2\ndata: {"), [{ topic: "message", data: "{}" }]);
  assert.equal(parser.cursor, "b1");
});

/** Answers each request with the next of some bodies, and notes what it was asked. */
class ScriptedServer {
  readonly asked: (string | undefined)[] = [];
  constructor(private readonly answers: (string | ServerError)[]) {}

  open(_: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    this.asked.push(headers["Last-Event-ID"]);
    const answer = this.answers.shift();
    if (answer instanceof ServerError) return Promise.reject(answer);
    if (answer !== undefined) return Promise.resolve(new Response(answer));
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  }
}

async function followed(answers: (string | ServerError)[], until: number): Promise<{ data: string[]; asked: (string | undefined)[] }> {
  const server = new ScriptedServer(answers);
  const data: string[] = [];
  const stream = new EventStream(
    server as unknown as Server,
    () => "/v1/stream",
    (messages) => data.push(...messages.map((m) => m.data)),
    () => undefined,
  );
  const following = stream.follow();
  while (server.asked.length < until) await new Promise((resolve) => setTimeout(resolve, 20));
  stream.stop();
  await following;
  return { data, asked: server.asked };
}

test("a broken stream resumes after the last complete record", async () => {
  const { data, asked } = await followed(["id: c1\ndata: first\n\nid: c2\ndata: cut", "id: c2\ndata: second\n\n"], 3);
  assert.deepEqual(data, ["first", "second"]);
  assert.deepEqual(asked, [undefined, "c1", "c2"]);
});

test("if the server rejects the cursor, the stream starts again", async () => {
  const { asked } = await followed(["id: d1\ndata: first\n\n", new ServerError(400, "no such cursor")], 3);
  assert.deepEqual(asked, [undefined, "d1", undefined]);
});
