// Clients beside each other: the stock one, one over `hubTransport`, and `HubClient`, all subscribed to the same queries. What they
// show is compared exactly. Runs in Node (compare-node.mjs) and in a browser (browser/compare-page.mjs).

/** Whether two native values are the same, to the sign of a zero. */
export function same(one, other) {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof ArrayBuffer || other instanceof ArrayBuffer) {
    if (!(one instanceof ArrayBuffer && other instanceof ArrayBuffer) || one.byteLength !== other.byteLength) return false;
    const bytes = new Uint8Array(other);
    return new Uint8Array(one).every((byte, index) => byte === bytes[index]);
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [keys, others] = [Object.keys(one), Object.keys(other)];
  return keys.length === others.length && keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]));
}

/** `direct` is the hub's address, `lossy` the same behind a network that loses frames and connections. */
export function beside({ ConvexClient, ours, webSocket, direct, lossy, queries, onProblem }) {
  const transport = ours.hubTransport({ webSocket });
  const quiet = { unsavedChangesWarning: false };
  const clients = {
    stock: new ConvexClient(direct, quiet),
    transport: new ConvexClient(lossy, { ...quiet, webSocketConstructor: transport }),
    small: new ours.HubClient(lossy, { webSocket }),
  };
  const shown = { stock: new Map(), transport: new Map(), small: new Map() };
  const counts = { stock: 0, transport: 0, small: 0 };
  let look = () => {};

  for (const [name, client] of Object.entries(clients)) {
    for (const { key, path, args } of queries) {
      const onValue = (value) => {
        shown[name].set(key, value);
        counts[name] += 1;
        look();
      };
      const onError = (error) => onProblem(`${name}: ${error}`);
      if (name === "small") client.subscribe(path, args, onValue, onError);
      else client.onUpdate(path, args, onValue, onError);
    }
  }

  return {
    counts,
    wireFormat: () => transport.wireFormat,
    /** Once every client shows `value` for the query `key`, the names of queries that any two of them show differently. */
    async differences(key, value) {
      await new Promise((resolve) => {
        look = () => Object.values(shown).every((screen) => screen.get(key) === value) && resolve();
        look();
      });
      const different = ({ key: other }) =>
        ["transport", "small"].some((name) => !same(shown.stock.get(other), shown[name].get(other)));
      return queries.filter(different).map(({ key: name }) => name);
    },
  };
}
