// Asks the API for JSON. A token, once given, is kept for the browser's session and goes along as a header, never in an address.

const KEPT_AS = "quakecast-token";

/** The server said no, or could not be reached: one line for a person. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly remedy = "",
  ) {
    super(message);
  }
}

export class Server {
  constructor(private readonly askForToken: (trouble: string) => Promise<string>) {}

  /** A body of the API. */
  async json<Body>(path: string, signal?: AbortSignal): Promise<Body> {
    const answer = await this.open(path, { Accept: "application/json" }, signal);
    return (await answer.json()) as Body;
  }

  /** An answer that is there; asks for the token when it is needed, as often as it is wrong. */
  async open(path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    for (;;) {
      const token = sessionStorage.getItem(KEPT_AS);
      const sent = token === null ? headers : { ...headers, Authorization: `Bearer ${token}` };
      const answer = await fetch(path, { headers: sent, signal: signal ?? null, cache: "no-store", credentials: "omit" });
      if (answer.ok) return answer;
      if (answer.status !== 401) throw await refusal(answer);
      if (token === sessionStorage.getItem(KEPT_AS)) {
        // Nobody has given another one in the meantime.
        sessionStorage.setItem(KEPT_AS, await this.askForToken(token === null ? "" : "The server does not know this token."));
      }
    }
  }
}

async function refusal(answer: Response): Promise<Refused> {
  try {
    const body = (await answer.json()) as { error?: unknown; remedy?: unknown };
    if (typeof body.error === "string") {
      return new Refused(answer.status, body.error, typeof body.remedy === "string" ? body.remedy : "");
    }
  } catch {
    // No JSON: a proxy's page, for example.
  }
  return new Refused(answer.status, `the server answered ${answer.status}`);
}
