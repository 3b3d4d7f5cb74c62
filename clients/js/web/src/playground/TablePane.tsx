// One table: its fields with their types and docs, and its indexes.
import type { TableInfo } from "../application";
import { Docs } from "./Docs";

export function TablePane({ table }: { table: TableInfo }) {
  const required = new Set(table.row.required ?? []);
  return (
    <article className="pane">
      <header className="pane-head">
        <h1>
          <code>{table.name}</code>
        </h1>
        <p className="tags">
          <span className="tag">table</span>
          {table.collection !== table.name && (
            <span className="tag">
              collection <code>{table.collection}</code>
            </span>
          )}
        </p>
        {table.docs !== "" && (
          <p className="docs">
            <Docs text={table.docs} />
          </p>
        )}
      </header>
      <section className="card">
        <h2>Fields</h2>
        <dl className="fields">
          {Object.entries(table.row.properties ?? {}).map(([name, field]) => (
            <div key={name}>
              <dt>
                <code className="argument-name">{name}</code>
                {!required.has(name) && <span className="tag">optional</span>}
                <code className="type">{field["x-type"]}</code>
              </dt>
              <dd>
                <Docs text={field.description ?? ""} />
              </dd>
            </div>
          ))}
        </dl>
      </section>
      <section className="card">
        <h2>Indexes</h2>
        {table.indexes.length === 0 ? (
          <p className="quiet">None but that of the id.</p>
        ) : (
          <ul className="indexes">
            {table.indexes.map((index) => (
              <li key={index.fields.join()}>
                <code>{index.fields.join(", ")}</code>
                {index.unique && <span className="tag">unique</span>}
              </li>
            ))}
          </ul>
        )}
      </section>
    </article>
  );
}
