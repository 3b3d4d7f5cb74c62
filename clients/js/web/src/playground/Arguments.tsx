// A field for each argument of a function, of the kind that its schema asks for.
import { useId } from "react";
import type { Schema } from "../application";
import { Docs } from "./Docs";
import { controlOf, shapeOf, type Drafts } from "./values";

interface Props {
  schema: Schema;
  drafts: Drafts;
  mistakes: Readonly<Record<string, string>>;
  onChange: (name: string, text: string) => void;
}

export function Arguments({ schema, drafts, mistakes, onChange }: Props) {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) return <p className="quiet">It takes no arguments.</p>;
  return (
    <div className="arguments">
      {properties.map(([name, property]) => (
        <Argument
          key={name}
          name={name}
          property={property}
          root={schema}
          isRequired={schema.required?.includes(name) ?? false}
          text={drafts[name] ?? ""}
          mistake={mistakes[name] ?? ""}
          onChange={(text) => onChange(name, text)}
        />
      ))}
    </div>
  );
}

interface ArgumentProps {
  name: string;
  property: Schema;
  root: Schema;
  isRequired: boolean;
  text: string;
  mistake: string;
  onChange: (text: string) => void;
}

function Argument({ name, property, root, isRequired, text, mistake, onChange }: ArgumentProps) {
  const id = useId();
  const control = controlOf(property, root);
  const shape = shapeOf(property, root);
  const shared = {
    id,
    name,
    value: text,
    "aria-invalid": mistake !== "",
    "aria-describedby": `${id}-about`,
    autoComplete: "off",
    spellCheck: false,
  };
  return (
    <div className="argument">
      <label htmlFor={id}>
        <code className="argument-name">{name}</code>
        {!isRequired && <span className="tag">optional</span>}
        <code className="type">{property["x-type"]}</code>
      </label>
      {control.kind === "choice" ? (
        <select {...shared} onChange={(event) => onChange(event.target.value)}>
          <option value="">{isRequired ? "Choose" : "not given"}</option>
          {control.choices.map((choice) => (
            <option key={String(choice)} value={JSON.stringify(choice)}>
              {typeof choice === "string" ? choice : JSON.stringify(choice)}
            </option>
          ))}
        </select>
      ) : control.kind === "json" ? (
        <textarea {...shared} className="field-area" rows={Math.min(10, text.split("\n").length + 1)} onChange={(event) => onChange(event.target.value)} />
      ) : (
        <input
          {...shared}
          inputMode={control.kind === "number" ? "decimal" : "text"}
          placeholder={isRequired ? "" : "not given"}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      {shape !== null && <code className="type">{shape}</code>}
      <p id={`${id}-about`} className={mistake === "" ? "about" : "about mistake"} role={mistake === "" ? undefined : "alert"}>
        {mistake === "" ? <Docs text={property.description ?? ""} /> : `${name} ${mistake}`}
      </p>
    </div>
  );
}
