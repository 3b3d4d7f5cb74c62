// For any application: its tables and functions, each to be called or watched, as anybody.
import { ConvexProvider } from "convex/react";
import { useEffect, useId, useMemo, useState } from "react";
import { isChat, type Application, type FunctionInfo, type Served } from "../application";
import { Boundary } from "../parts/Boundary";
import { ConnectionMark, useConnection } from "../parts/Connection";
import { BackIcon, Logo } from "../parts/icons";
import { SideBar } from "../parts/SideBar";
import { ThemeSwitch } from "../parts/ThemeSwitch";
import { knownPeople, openClient, personNamed } from "../people";
import { hrefOf } from "../route";
import { FunctionPane } from "./FunctionPane";
import { Overview } from "./Overview";
import { TablePane } from "./TablePane";

export function Playground({ served, name }: { served: Served; name: string }) {
  const [caller, setCaller] = useState("");
  const subject = caller === "" ? null : personNamed(caller).subject;
  const client = useMemo(() => openClient(subject), [subject]);
  useEffect(() => () => void client.close(), [client]);
  const { application } = served;
  const info = application.functions.find((each) => each.name === name);
  const table = application.tables.find((each) => each.name === name);

  return (
    <ConvexProvider client={client}>
      <div className="chat-page" data-shows={name === "" ? "list" : "room"}>
        <Contents served={served} shown={name} caller={caller} onCaller={setCaller} />
        <main className="playground">
          <a className="button back-to-list" href={hrefOf({ at: "playground", name: "" })}>
            <BackIcon />
            All functions
          </a>
          <Boundary resetKey={name} fallback={(error) => <p className="failure">{error.message}</p>}>
            {info !== undefined ? (
              <FunctionPane key={`${info.name} ${subject ?? ""}`} info={info} client={client} />
            ) : table !== undefined ? (
              <TablePane table={table} />
            ) : (
              <Overview application={application} unknown={name} />
            )}
          </Boundary>
        </main>
      </div>
    </ConvexProvider>
  );
}

interface ContentsProps {
  served: Served;
  shown: string;
  caller: string;
  onCaller: (caller: string) => void;
}

function Contents({ served, shown, caller, onCaller }: ContentsProps) {
  const connection = useConnection();
  const { application } = served;
  return (
    <SideBar title="Functions and tables" isAlone={shown === ""}>
      <div className="sidebar-head">
        <a className="brand" href={hrefOf({ at: "playground", name: "" })} aria-label="hub, overview">
          <Logo />
          <span>hub</span>
        </a>
        <ConnectionMark connection={connection} />
      </div>
      <nav className="chats contents" aria-label="Contents">
        {modulesOf(application).map(([module, functions]) => (
          <section key={module} aria-label={module}>
            <h2>{module}</h2>
            <ul>
              {functions.map((info) => (
                <li key={info.name}>
                  <a
                    className="chat-link"
                    href={hrefOf({ at: "playground", name: info.name })}
                    aria-current={info.name === shown ? "page" : undefined}
                  >
                    <span className="chat-title">{info.name.slice(module.length + 1)}</span>
                    <span className={`kind ${info.kind}`}>{info.kind}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {application.tables.length > 0 && (
          <section aria-label="Tables">
            <h2>Tables</h2>
            <ul>
              {application.tables.map((table) => (
                <li key={table.name}>
                  <a
                    className="chat-link"
                    href={hrefOf({ at: "playground", name: table.name })}
                    aria-current={table.name === shown ? "page" : undefined}
                  >
                    <span className="chat-title">{table.name}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        )}
      </nav>
      <div className="sidebar-foot">
        {served.has.includes("tokens") && <Caller caller={caller} onCaller={onCaller} />}
        <div className="sidebar-tools">
          <ThemeSwitch />
          {isChat(application) && (
            <a className="back-to-chat" href={hrefOf({ at: "home" })}>
              To the chat
            </a>
          )}
        </div>
      </div>
    </SideBar>
  );
}

/** Who calls. Without a name nobody does, whom `hub dev` trusts like the service. */
function Caller({ caller, onCaller }: { caller: string; onCaller: (caller: string) => void }) {
  const [text, setText] = useState(caller);
  const field = useId();
  return (
    <form
      className="caller"
      onSubmit={(event) => {
        event.preventDefault();
        onCaller(text.trim());
      }}
    >
      <label htmlFor={field}>Call as</label>
      <input
        id={field}
        name="caller"
        list={`${field}-people`}
        value={text}
        autoComplete="off"
        placeholder="the service, without a token"
        onChange={(event) => setText(event.target.value)}
        onBlur={() => onCaller(text.trim())}
      />
      <datalist id={`${field}-people`}>
        {knownPeople().map((person) => (
          <option key={person.subject} value={person.subject} />
        ))}
      </datalist>
    </form>
  );
}

function modulesOf(application: Application): [string, FunctionInfo[]][] {
  const modules = Map.groupBy(application.functions, (info) => info.name.slice(0, info.name.lastIndexOf(":")));
  return [...modules];
}
