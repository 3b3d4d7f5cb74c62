// The peer as its own documentation sets it up: Parse Server with LiveQuery, one process, the same MongoDB.
import { createRequire } from "node:module";

import { ParseServer } from "parse-server";

const [databaseURI, port] = process.argv.slice(2);

// The database listens on a unix socket alone, whose address does not survive the adapter's own parsing: connected to beforehand.
const ofServer = createRequire(createRequire(import.meta.url).resolve("parse-server"));
const { MongoClient } = ofServer("mongodb");
const { MongoStorageAdapter } = ofServer("./Adapters/Storage/Mongo/MongoStorageAdapter.js");
const { GridFSBucketAdapter } = ofServer("./Adapters/Files/GridFSBucketAdapter.js");
const nowhere = "mongodb://connected.beforehand";
const databaseAdapter = new MongoStorageAdapter({ uri: nowhere, collectionPrefix: "", mongoOptions: {} });
const client = await MongoClient.connect(databaseURI);
databaseAdapter.client = client;
databaseAdapter.database = client.db();
databaseAdapter.connectionPromise = Promise.resolve();

const { server } = await ParseServer.startApp({
  databaseAdapter,
  filesAdapter: new GridFSBucketAdapter(nowhere), // connects when a file is stored; none is
  serverURL: `http://127.0.0.1:${port}/parse`,
  mountPath: "/parse",
  host: "127.0.0.1",
  port: Number(port),
  appId: "bench",
  masterKey: "bench-master",
  restAPIKey: "bench-rest",
  allowClientClassCreation: true,
  liveQuery: { classNames: ["Message", "Chat"] },
  startLiveQueryServer: true,
  silent: true,
  logsFolder: null,
});
server.keepAliveTimeout = 120_000; // Node's own 5 s would close a connection on which somebody is about to send
console.log("ready");
