// Requests to the API. The token is kept for the browser's session and sent as a header, never in a URL.

const TOKEN_KEY = "quakecast-token";

/** The server refused a request; the message is one line for people. */
export class ServerError extends Error {
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

  /** Returns the JSON body of a path. */
  async json<Body>(path: string, signal?: AbortSignal): Promise<Body> {
    const answer = await this.open(path, { Accept: "application/json" }, signal);
    return (await answer.json()) as Body;
  }

  /** Returns a successful answer. Asks the user for the token if the server requires one, again as long as it is wrong. */
  async open(path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    for (;;) {
      const token = sessionStorage.getItem(TOKEN_KEY);
      const sent = token === null ? headers : { ...headers, Authorization: `Bearer ${token}` };
      const answer = await fetch(path, { headers: sent, signal: signal ?? null, cache: "no-store", credentials: "omit" });
      if (answer.ok) return answer;
      if (answer.status !== 401) throw await errorOf(answer);
      if (token === sessionStorage.getItem(TOKEN_KEY)) {
        // No other request has stored a new token in the meantime.
        sessionStorage.setItem(TOKEN_KEY, await this.askForToken(token === null ? "" : "The server does not accept this token."));
      }
    }
  }
}

async function errorOf(answer: Response): Promise<ServerError> {
  try {
    const body = (await answer.json()) as { error?: unknown; remedy?: unknown };
    if (typeof body.error === "string") {
      return new ServerError(answer.status, body.error, typeof body.remedy === "string" ? body.remedy : "");
    }
  } catch {
    // The body is not JSON, for example a proxy's page.
  }
  return new ServerError(answer.status, `the server answered ${answer.status}`);
}
