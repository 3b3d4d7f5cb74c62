// Who sits in front of this tab. Each tab may be somebody else; a new one begins as whoever signed in last.
import { ConvexReactClient } from "convex/react";
import { hubTransport } from "hub-client";

export interface Person {
  /** The `sub` of their tokens. */
  subject: string;
  name: string;
}

const CURRENT = "hub.person";
const KNOWN = "hub.people";
const KNOWN_MOST = 6;
const SUGGESTED = ["Ada", "Grace", "Alan"];

export function personNamed(name: string): Person {
  const shown = name.trim().replace(/\s+/g, " ");
  return { subject: shown.toLowerCase().replaceAll(" ", "-"), name: shown };
}

export function currentPerson(): Person | null {
  return read<Person>(sessionStorage, CURRENT) ?? read<Person>(localStorage, CURRENT);
}

/** Whoever was here before, the last first, and then some names to begin with. */
export function knownPeople(): Person[] {
  const known = read<Person[]>(localStorage, KNOWN) ?? [];
  const suggested = SUGGESTED.map(personNamed).filter((one) => known.every((other) => other.subject !== one.subject));
  return [...known, ...suggested].slice(0, KNOWN_MOST);
}

export function remember(person: Person): void {
  const others = (read<Person[]>(localStorage, KNOWN) ?? []).filter((each) => each.subject !== person.subject);
  write(localStorage, KNOWN, [person, ...others].slice(0, KNOWN_MOST));
  write(localStorage, CURRENT, person);
  write(sessionStorage, CURRENT, person);
}

export function forgetCurrent(): void {
  sessionStorage.removeItem(CURRENT);
  localStorage.removeItem(CURRENT);
}

/** A number for each person, to tell them apart by colour. */
export function hueOf(subject: string): number {
  let sum = 0;
  for (const character of subject) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 4093;
  return Math.round((sum * 137.508) % 360); // the golden angle: what is near each other in sums is far apart in hues
}

/** A token of this hub's own issuer; null where it gives none. */
export async function fetchToken(subject: string): Promise<string | null> {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ subject }),
  });
  if (!response.ok) return null;
  return ((await response.json()) as { token: string }).token;
}

/** A client that speaks for one person, or, with null, comes without a token. */
export function openClient(subject: string | null): ConvexReactClient {
  const client = new ConvexReactClient(location.origin, {
    webSocketConstructor: hubTransport(),
    logger: false, // what fails is told on the page
  });
  if (subject !== null) client.setAuth(() => fetchToken(subject).catch(() => null));
  return client;
}

function read<Value>(storage: Storage, key: string): Value | null {
  try {
    return JSON.parse(storage.getItem(key) ?? "null") as Value | null;
  } catch {
    return null;
  }
}

function write(storage: Storage, key: string, value: unknown): void {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // full or switched off: whoever reloads the page signs in again
  }
}
