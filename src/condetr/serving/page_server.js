// Requests to the server. The token is kept here, in memory.
export class Refused extends Error {
  // `passing`: the same request may succeed later.
  constructor(message, passing = false) {
    super(message);
    this.passing = passing;
  }
}

const BUSY_TRIES = 20;
const wait = (seconds, signal) => new Promise((done, failed) => {
  const timer = setTimeout(done, 1000 * seconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); failed(signal.reason); });
});

export class Server {
  #token = null;

  // `askToken(wrong)` returns a promise of a token; `tell(text)` shows a text.
  constructor(askToken, tell) {
    this.askToken = askToken;
    this.tell = tell;
  }

  models() {
    return this.#request("models", {});
  }

  // Detections of any class that score at least `threshold`, at most `most`.
  predict(model, image, threshold, most, signal) {
    return this.#image("predict", { model, threshold, max_detections: most }, image, signal);
  }

  // `what`: { detection }, { query } or { at }.
  explain(model, image, threshold, what, signal) {
    return this.#image("explain", { model, threshold, ...what }, image, signal);
  }

  #image(path, query, image, signal) {
    const headers = { "Content-Type": "application/octet-stream" };
    return this.#request(`${path}?${new URLSearchParams(query)}`, { method: "POST", body: image, headers, signal });
  }

  async #request(path, { headers = {}, ...options }) {
    for (let tries = 0; ; tries++) {
      const bearer = this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` };
      let reply;
      try {
        reply = await fetch(path,
          { credentials: "omit", cache: "no-store", ...options, headers: { ...headers, ...bearer } });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Refused("The server does not respond.", true);
      }
      if (reply.status === 401) {
        this.#token = await this.askToken(this.#token !== null);
        continue;
      }
      if (reply.status === 429 && tries < BUSY_TRIES) {
        const seconds = Number(reply.headers.get("Retry-After")) || 1;
        this.tell(`The server is busy. Trying again in ${seconds} s.`);
        await wait(seconds, options.signal).finally(() => this.tell(""));
        continue;
      }
      const content = await reply.json().catch(() => ({ error: `status ${reply.status}` }));
      if (!reply.ok) throw new Refused(content.error, reply.status === 429 || reply.status >= 500);
      return content;
    }
  }
}
