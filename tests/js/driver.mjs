// Drives one published convex client: `node driver.mjs <version> <address> [transport]`; with JSON options of `hubTransport` as the
// last argument the client runs over it. The version `hub-client` is our own `HubClient`.
//
// Reads one command a line on stdin, writes one event a line on stdout. Everything the client does is written in the order in
// which it happened, so a test can say "the row was there before the promise resolved". Values are in convex's JSON encoding.
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

const [version, address, transportOptions] = process.argv.slice(2);
for (const level of ["log", "info", "warn", "error", "debug"]) {
  console[level] = (...words) => process.stderr.write(`${level}: ${words.map(String).join(" ")}\n`);
}

const published = version === "hub-client" ? "1.48.0" : version; // `hub-client` has no HTTP client, and its values are the same
const { ConvexClient, ConvexHttpClient } = await import(`convex-${published}/browser`);
const { ConvexError, convexToJson, jsonToConvex } = await import(`convex-${published}/values`);

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const encode = (value) => (value === undefined ? null : convexToJson(value));
const isOfApplication = (error) => error instanceof ConvexError || (ours.ApplicationError !== undefined && error instanceof ours.ApplicationError);
const failure = (error) => ({
  message: error.message,
  isConvexError: isOfApplication(error),
  ...(isOfApplication(error) ? { data: encode(error.data) } : {}),
});

// Without compression, a frame can be lost on the way and the next one still be read.
class PlainSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: false });
  }
}
const ours = version === "hub-client" || transportOptions ? await import("../../clients/js/dist/index.js") : {};
const transport = transportOptions ? ours.hubTransport({ webSocket: PlainSocket, ...JSON.parse(transportOptions) }) : undefined;

// `HubClient` by the names that `ConvexClient` has for the same.
function smallClient() {
  const hub = new ours.HubClient(address, { webSocket: PlainSocket });
  hub.onConnectionState(({ auth }) => ["confirmed", "refused"].includes(auth) && tellAuth(auth === "confirmed"));
  return {
    onUpdate(path, args, onValue, onError) {
      let current;
      const told = (value) => onValue((current = value));
      return Object.assign(hub.subscribe(path, args, told, onError), { getCurrentValue: () => current });
    },
    mutation: (path, args) => hub.mutation(path, args),
    query: (path, args) => hub.query(path, args),
    prefetch: (path, args, more) => hub.prefetch(path, args, more),
    setAuth: (fetchToken) => hub.setAuth(({ forceRefresh }) => fetchToken({ forceRefreshToken: forceRefresh })),
    close: () => hub.close(),
  };
}
let wasAuthenticated;
function tellAuth(isAuthenticated) {
  if (isAuthenticated !== wasAuthenticated) emit({ event: "auth", isAuthenticated });
  wasAuthenticated = isAuthenticated;
}

const options = { unsavedChangesWarning: false, ...(transport ? { webSocketConstructor: transport } : {}) };
let live; // made by the first command that needs it: an HTTP test opens no socket
const client = () => (live ??= version === "hub-client" ? smallClient() : new ConvexClient(address, options));
const http = new ConvexHttpClient(address, { skipConvexDeploymentUrlCheck: true });
const subscriptions = new Map();

// Appends a row to the local result of a query until the real one arrives.
const appending = ({ path, args, row }) => (store) => {
  const rows = store.getQuery(path, jsonToConvex(args));
  if (rows !== undefined) store.setQuery(path, jsonToConvex(args), [...rows, jsonToConvex(row)]);
};

const commands = {
  subscribe({ name, path, args }) {
    subscriptions.set(
      name,
      client().onUpdate(
        path,
        jsonToConvex(args),
        (value) => emit({ event: "update", name, value: encode(value) }),
        (error) => emit({ event: "error", name, ...failure(error) }),
      ),
    );
  },
  paginate({ name, path, args, items }) {
    const show = (result) =>
      emit({ event: "page", name, status: result.status, rows: result.results.map(encode) });
    const fail = (error) => emit({ event: "error", name, ...failure(error) });
    const options = { initialNumItems: items };
    subscriptions.set(
      name,
      client().onPaginatedUpdate_experimental(path, jsonToConvex(args), options, show, fail),
    );
  },
  more({ name, items }) {
    subscriptions.get(name).getCurrentValue().loadMore(items);
  },
  unsubscribe({ name }) {
    subscriptions.get(name)();
    subscriptions.delete(name);
  },
  async mutation({ path, args, optimistic }) {
    const options = optimistic ? { optimisticUpdate: appending(optimistic) } : undefined;
    return client().mutation(path, jsonToConvex(args), options);
  },
  async action({ path, args }) {
    return client().action(path, jsonToConvex(args));
  },
  async query({ path, args }) {
    return client().query(path, jsonToConvex(args));
  },
  prefetch({ path, args, ttlMs }) {
    (transport ?? client()).prefetch(path, jsonToConvex(args), { ttlMs });
  },
  wireFormat() {
    return transport.wireFormat;
  },
  // Hands out the tokens one after the other, the last one for ever; null means "signed out".
  auth({ tokens }) {
    const left = [...tokens];
    const fetchToken = async ({ forceRefreshToken }) => {
      const token = left.length > 1 ? left.shift() : left[0];
      emit({ event: "token", forced: forceRefreshToken });
      return token;
    };
    client().setAuth(fetchToken, (isAuthenticated) => emit({ event: "auth", isAuthenticated }));
  },
  httpAuth({ token }) {
    http.setAuth(token);
  },
  async http({ kind, path, args }) {
    return http[kind](path, jsonToConvex(args));
  },
  async close() {
    await live?.close();
    process.exit(0);
  },
};

// What every subscription shows at this moment, callbacks that have not run yet or not.
function screen() {
  const shown = {};
  for (const [name, subscription] of subscriptions) {
    try {
      shown[name] = encode(subscription.getCurrentValue());
    } catch (error) {
      shown[name] = failure(error);
    }
  }
  return shown;
}

async function run({ id, op, ...rest }) {
  try {
    const value = encode(await commands[op](rest));
    emit({ event: "done", id, value, ...(op === "mutation" ? { screen: screen() } : {}) });
  } catch (error) {
    emit({ event: "failed", id, ...failure(error) });
  }
}

emit({ event: "started", version });
for await (const line of createInterface({ input: process.stdin })) void run(JSON.parse(line));
process.exit(0);
