// Clients beside each other in a browser, see ../compare.mjs: `?direct=…&lossy=…&cells=a,b`.
import { ConvexClient } from "convex/browser";

import * as ours from "../../../clients/js/dist/index.js";
import { beside } from "../compare.mjs";

const { direct, lossy, cells } = Object.fromEntries(new URLSearchParams(location.search));
const queries = [
  ...cells.split(",").map((name) => ({ key: name, path: "cells:get", args: { name } })),
  { key: "everything", path: "cells:list", args: {} },
];
const onProblem = (text) => console.error(text);
const clients = beside({ ConvexClient, ours, direct, lossy, queries, onProblem });

window.differences = async ({ key, value }) => ({ differences: await clients.differences(key, value), counts: clients.counts });
