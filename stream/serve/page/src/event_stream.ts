// Follows /v1/stream by fetch, because EventSource cannot send an Authorization header. Reconnects and resumes after the last record.
import { ServerError, type Server } from "./server";

export interface Message {
  topic: string;
  data: string;
}

/** Parses server-sent events (WHATWG HTML, 9.2.6) from text that may be split anywhere. */
export class Parser {
  private rest = "";
  private topic = "";
  private data: string[] = [];
  /** The `id` of the last complete message, from which to resume. */
  cursor: string | null = null;
  private id: string | null = null;

  push(text: string): Message[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    const messages: Message[] = [];
    for (const line of lines) {
      if (line === "") this.end(messages);
      else if (!line.startsWith(":")) this.field(line);
    }
    return messages;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.topic = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }

  private end(messages: Message[]): void {
    if (this.id !== null) this.cursor = this.id;
    if (this.data.length > 0) messages.push({ topic: this.topic || "message", data: this.data.join("\n") });
    this.topic = "";
    this.data = [];
  }
}

export type Connection = "connecting" | "open" | "lost";

const SILENCE_MILLISECONDS = 45_000; // the server sends a keep-alive every 15 s
const LONGEST_PAUSE_MILLISECONDS = 30_000;
const CURSOR_INVALID = new Set([400, 404, 410]);

/** Follows a stream until `stop` is called. */
export class EventStream {
  private readonly stopped = new AbortController();
  private cursor: string | null = null;

  constructor(
    private readonly server: Server,
    private readonly path: () => string,
    private readonly onMessages: (messages: Message[]) => void,
    private readonly onConnection: (state: Connection, trouble: string) => void,
  ) {}

  stop(): void {
    this.stopped.abort();
  }

  async follow(): Promise<void> {
    let failures = 0;
    while (!this.stopped.signal.aborted) {
      this.onConnection(failures === 0 ? "connecting" : "lost", "");
      let trouble = "the server closed the stream";
      try {
        await this.readOnce(() => {
          failures = 0;
        });
      } catch (error) {
        if (this.stopped.signal.aborted) return;
        trouble = error instanceof Error ? error.message : String(error);
        if (error instanceof ServerError && CURSOR_INVALID.has(error.status)) this.cursor = null; // the log was created anew: start from the beginning
      }
      failures += 1;
      this.onConnection("lost", trouble);
      await pause(Math.min(LONGEST_PAUSE_MILLISECONDS, 500 * 2 ** failures) * (0.75 + Math.random() / 2), this.stopped.signal);
    }
  }

  private async readOnce(onOpen: () => void): Promise<void> {
    const attempt = new AbortController();
    const end = (): void => attempt.abort();
    this.stopped.signal.addEventListener("abort", end);
    let watch = setTimeout(end, SILENCE_MILLISECONDS);
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.cursor !== null) headers["Last-Event-ID"] = this.cursor;
      const answer = await this.server.open(this.path(), headers, attempt.signal);
      if (answer.body === null) throw new ServerError(answer.status, "the stream has no body");
      onOpen();
      this.onConnection("open", "");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(end, SILENCE_MILLISECONDS);
        const messages = parser.push(value);
        if (messages.length > 0) this.onMessages(messages);
        this.cursor = parser.cursor ?? this.cursor;
      }
    } finally {
      clearTimeout(watch);
      this.stopped.signal.removeEventListener("abort", end);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
