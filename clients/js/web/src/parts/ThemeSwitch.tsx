// Three buttons of which one is on: the colours of the system, light, dark.
import { AutoIcon, MoonIcon, SunIcon } from "./icons";
import { choose, useTheme, type Theme } from "../theme";

const CHOICES: { theme: Theme; label: string; Icon: () => React.JSX.Element }[] = [
  { theme: "system", label: "Colours of the system", Icon: AutoIcon },
  { theme: "light", label: "Light", Icon: SunIcon },
  { theme: "dark", label: "Dark", Icon: MoonIcon },
];

export function ThemeSwitch() {
  const chosen = useTheme();
  return (
    <div className="theme-switch" role="group" aria-label="Colours">
      {CHOICES.map(({ theme, label, Icon }) => (
        <button key={theme} type="button" aria-pressed={theme === chosen} aria-label={label} title={label} onClick={() => choose(theme)}>
          <Icon />
        </button>
      ))}
    </div>
  );
}
